//! QEMU's control socket: one command, one answer, events passed over.
//!
//! Follows the QEMU Machine Protocol: a greeting, `qmp_capabilities`, then JSON objects by line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use serde_json::{json, Value};

/// A connection that has got past the greeting.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket that a QEMU just started is about to make.
    pub fn connect(socket: &Path) -> Result<Self> {
        let deadline = Instant::now() + Duration::from_mins(2);
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("connect {}", socket.display()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream
            .set_read_timeout(Some(Duration::from_mins(10)))
            .context("set a time limit")?;
        let mut qmp = Self {
            reader: BufReader::new(stream),
        };
        qmp.next_object().context("QEMU's greeting")?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes one command and gives what it returns.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let line = json!({"execute": command, "arguments": arguments}).to_string();
        let stream = self.reader.get_mut();
        stream
            .write_all(line.as_bytes())
            .with_context(|| format!("send {command} to QEMU"))?;
        loop {
            let mut answer = self.next_object()?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command} {arguments}: {error}");
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    /// Waits for an event of that name and gives it. Those that came while a command was answered
    /// are passed over, so wait before the next command.
    pub fn wait_for_event(&mut self, name: &str, limit: Duration) -> Result<Value> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            let object = self
                .next_object()
                .with_context(|| format!("wait for QEMU's event {name}"))?;
            if object["event"] == name {
                return Ok(object);
            }
        }
        bail!("no event {name} from QEMU within {} s", limit.as_secs())
    }

    fn next_object(&mut self) -> Result<Value> {
        let mut line = String::new();
        let read = self
            .reader
            .read_line(&mut line)
            .context("read from QEMU's control socket")?;
        if read == 0 {
            bail!("QEMU closed its control socket");
        }
        serde_json::from_str(&line).with_context(|| format!("not JSON from QEMU: {line}"))
    }
}
