//! Who is told of a run by `--report-to`: an HTTP server on this machine's loopback, where a machine of a
//! test finds it as its router.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{anyhow, ensure, Context, Result};
use formats::figures::hex;
use formats::told::Event;
use formats::Document;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::ssh::HOST;

const LIMIT: Duration = Duration::from_secs(30);

/// A server that is there until the process ends.
#[derive(Debug)]
pub struct Listener {
    /// What to report to.
    pub url: String,
    heard: Arc<Mutex<Vec<Event>>>,
    faults: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// Begins to listen. What is not signed with this key is a fault.
    pub fn start(key: &str) -> Result<Self> {
        let server = TcpListener::bind("127.0.0.1:0").context("listen on loopback")?;
        let port = server.local_addr()?.port();
        let heard = Arc::<Mutex<Vec<Event>>>::default();
        let faults = Arc::<Mutex<Vec<String>>>::default();
        let (h, f, key) = (Arc::clone(&heard), Arc::clone(&faults), key.to_owned());
        std::thread::spawn(move || {
            for stream in server.incoming().flatten() {
                let one = receive(&stream, &key);
                let answer = if one.is_ok() {
                    "204 No Content"
                } else {
                    "400 Bad Request"
                };
                let _ = write!(&stream, "HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n");
                match one {
                    Ok(event) => lock(&h).push(event),
                    Err(e) => lock(&f).push(format!("{e:#}")),
                }
            }
        });
        Ok(Self {
            url: format!("http://{HOST}:{port}/events"),
            heard,
            faults,
        })
    }

    /// Everything heard so far, in order; an error where something was no event, or not signed.
    pub fn heard(&self) -> Result<Vec<Event>> {
        let faults = lock(&self.faults);
        ensure!(faults.is_empty(), "{faults:#?}");
        Ok(lock(&self.heard).clone())
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receive(stream: &TcpStream, key: &str) -> Result<Event> {
    stream.set_read_timeout(Some(LIMIT))?;
    let mut reader = BufReader::new(stream);
    let (mut length, mut signature) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).context("read a request")?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().context(line.clone())?,
            "reroot-signature" => value.clone_into(&mut signature),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).context("read a body")?;
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    let mut mac = mac.map_err(|e| anyhow!("{e}"))?;
    mac.update(&body);
    let digits = hex(&mac.finalize().into_bytes());
    ensure!(
        signature == format!("sha256={digits}"),
        "signed with {signature}"
    );
    Ok(Event::from_json(&body)?)
}
