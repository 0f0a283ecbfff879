//! Telling the outside what becomes of a run: posts over HTTP (RFC 9110), one for each event, in order.
//!
//! It is never in the way of the run. Events wait in a bounded queue that a thread of its own empties, with
//! pauses that grow while nobody takes them; what cannot be told is told to the log, once. Whoever ends the
//! process or the kernel may wait a moment for what is left ([`flush`]).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use formats::figures::hex;
use formats::plan::Plan;
use formats::steps::Place;
use formats::told::{Event, ReportTo, What, SIGNATURE};
use formats::Document;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::Agent;

use crate::moment;

/// Events that wait at most; the oldest go first. A run has about fifty.
const MOST: usize = 200;
/// One post, from looking for the host to its answer.
const LIMIT: Duration = Duration::from_secs(10);
/// The pause behind the first post that fails; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// For how long it has to fail until that is worth a line.
const TOLD_BEHIND: Duration = Duration::from_mins(1);

static TELLER: OnceLock<Teller> = OnceLock::new();

/// This process's way to the outside.
struct Teller {
    run: String,
    hostname: String,
    queue: Sender<Message>,
}

enum Message {
    Event(Box<Event>),
    /// Answered when nothing waits any more.
    Flush(Sender<()>),
}

/// What became of one post.
#[derive(Debug, PartialEq, Eq)]
enum Posted {
    Taken,
    /// It will never be taken: it is dropped.
    Refused(String),
    /// It may be taken later.
    Failed(String),
}

/// From now on this process tells what its plan wants told. Says nothing where nobody is to be told.
pub fn begin(plan: &Plan) {
    let Some(to) = plan.report_to.clone() else {
        return;
    };
    let (queue, messages) = mpsc::channel();
    let teller = Teller {
        run: plan.run.clone(),
        hostname: plan.hostname.clone(),
        queue,
    };
    if TELLER.set(teller).is_err() {
        return;
    }
    let started = thread::Builder::new()
        .name("outside".to_owned())
        .spawn(move || {
            let agent = agent(&to);
            work(&messages, &mut |event| post(&agent, &to, event));
        });
    if let Err(e) = started {
        log::warn!("nobody outside is told of this run: start a thread: {e}");
    }
}

/// Something became of a step.
pub fn tell(
    place: Place,
    step: &str,
    what: What,
    attempt: u32,
    seconds: Option<f64>,
    error: Option<&str>,
) {
    let Some(teller) = TELLER.get() else {
        return;
    };
    let event = Event {
        run: teller.run.clone(),
        hostname: teller.hostname.clone(),
        at: moment::now(),
        place,
        step: step.to_owned(),
        what,
        attempt,
        seconds,
        error: error.map(str::to_owned),
    };
    // Nobody receives where the thread could not be started.
    let _ = teller.queue.send(Message::Event(Box::new(event)));
}

/// Waits until everything is told, for so long at most.
pub fn flush(limit: Duration) {
    let Some(teller) = TELLER.get() else {
        return;
    };
    let (done, wait) = mpsc::channel();
    if teller.queue.send(Message::Flush(done)).is_ok() {
        let _ = wait.recv_timeout(limit);
    }
}

/// Empties the queue for as long as somebody may fill it.
fn work(messages: &Receiver<Message>, post: &mut dyn FnMut(&Event) -> Posted) {
    let mut queue: VecDeque<Event> = VecDeque::new();
    let mut waiting: Vec<Sender<()>> = Vec::new();
    let mut pause = FIRST_PAUSE;
    let mut again = Instant::now();
    // The network may be down for a while, and has to be during a part of every run.
    let (mut failing_since, mut told) = (None, false);
    loop {
        let received = if queue.is_empty() {
            messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            messages.recv_timeout(again.saturating_duration_since(Instant::now()))
        };
        match received {
            Ok(Message::Event(event)) => {
                queue.push_back(*event);
                if queue.len() > MOST {
                    queue.pop_front();
                }
            }
            Ok(Message::Flush(done)) => {
                waiting.push(done);
                // Whoever waits has little time.
                again = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(event) = queue.front().filter(|_| again <= Instant::now()) {
            match post(event) {
                Posted::Taken => {
                    if std::mem::take(&mut told) {
                        log::info!("the outside is told of the run again");
                    }
                    failing_since = None;
                    pause = FIRST_PAUSE;
                    queue.pop_front();
                }
                Posted::Refused(why) => {
                    log::warn!("tell the outside: {}, {:?}: {why}", event.step, event.what);
                    queue.pop_front();
                }
                Posted::Failed(why) => {
                    let since = failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > TOLD_BEHIND && !std::mem::replace(&mut told, true) {
                        log::warn!("tell the outside: {why}; tried again, the run goes on");
                    }
                    again = Instant::now() + pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        if queue.is_empty() {
            waiting.drain(..).for_each(|done| {
                // Its time was over.
                let _ = done.send(());
            });
        }
    }
}

/// The addresses that the plan has, whatever name is asked for.
#[derive(Debug)]
struct Known(Vec<SocketAddr>);

impl Resolver for Known {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        for address in self.0.iter().take(8) {
            addresses.push(*address);
        }
        if addresses.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(addresses)
    }
}

fn agent(to: &ReportTo) -> Agent {
    let addresses = to.addresses.iter().filter_map(|a| a.parse().ok());
    let config = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent("reroot")
        .build();
    Agent::with_parts(
        config,
        DefaultConnector::default(),
        Known(addresses.collect()),
    )
}

fn post(agent: &Agent, to: &ReportTo, event: &Event) -> Posted {
    let body = event.to_json();
    let sent = agent
        .post(&to.url)
        .header("Content-Type", "application/json")
        .header(SIGNATURE, &signature(&to.key, body.as_bytes()))
        .send(&body);
    match sent {
        Ok(answer) => {
            let status = answer.status();
            match status.as_u16() {
                200..=299 => Posted::Taken,
                // Too many, too early, a time that was over: later, perhaps.
                408 | 425 | 429 | 500..=599 => {
                    Posted::Failed(format!("{} answers {status}", to.url))
                }
                _ => Posted::Refused(format!("{} answers {status}", to.url)),
            }
        }
        Err(e) => Posted::Failed(format!("post to {}: {e}", to.url)),
    }
}

/// HMAC-SHA256 of a body, as the header has it.
fn signature(key: &str, body: &[u8]) -> String {
    // Keys of any length are taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn event(step: &str) -> Event {
        Event {
            run: "20260102T030405Z-0a1b".to_owned(),
            hostname: "shop1".to_owned(),
            at: "20260102T030406Z".to_owned(),
            place: Place::Ram,
            step: step.to_owned(),
            what: What::Done,
            attempt: 1,
            seconds: Some(1.5),
            error: None,
        }
    }

    /// Answers each request on a connection of its own with the next of these; gives headers and body.
    fn server(
        answers: &'static [&'static str],
    ) -> (ReportTo, thread::JoinHandle<Vec<(String, String)>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let to = ReportTo {
            url: format!("http://events.example:{}/reroot?a=b", address.port()),
            addresses: vec![address.to_string()],
            key: "key".to_owned(),
        };
        let server = thread::spawn(move || {
            let answered = answers.iter().map(|answer| {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
                }
                let lower = head.to_lowercase();
                let length = lower.split("content-length: ").nth(1).unwrap();
                let length = length.lines().next().unwrap().parse().unwrap();
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let mut stream = stream;
                write!(
                    stream,
                    "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                .unwrap();
                (head, String::from_utf8(body).unwrap())
            });
            answered.collect()
        });
        (to, server)
    }

    #[test]
    fn a_post_is_signed_and_goes_to_the_known_address() {
        let (to, server) = server(&["204 No Content"]);
        assert_eq!(post(&agent(&to), &to, &event("wipe")), Posted::Taken);
        let (head, body) = &server.join().unwrap()[0];
        assert!(head.starts_with("POST /reroot?a=b HTTP/1.1\r\n"), "{head}");
        assert!(
            head.to_lowercase().contains("host: events.example:"),
            "{head}"
        );
        let signed = signature("key", body.as_bytes());
        assert!(
            head.to_lowercase()
                .contains(&format!("reroot-signature: {signed}\r\n")),
            "{head}"
        );
        assert_eq!(Event::from_json(body.as_bytes()).unwrap(), event("wipe"));
    }

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231, test case 2.
        assert_eq!(
            signature("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn answers_say_whether_it_is_tried_again() {
        for (answer, again) in [
            (&["503 Service Unavailable"][..], true),
            (&["429 Too Many Requests"], true),
            (&["404 Not Found"], false),
            (&["302 Found"], false),
        ] {
            let (to, server) = server(answer);
            let posted = post(&agent(&to), &to, &event("wipe"));
            server.join().unwrap();
            assert_eq!(matches!(posted, Posted::Failed(_)), again, "{posted:?}");
            assert_eq!(matches!(posted, Posted::Refused(_)), !again, "{posted:?}");
        }
        let nobody = ReportTo {
            url: "http://events.example/".to_owned(),
            addresses: vec!["127.0.0.1:1".to_owned()],
            key: "key".to_owned(),
        };
        let posted = post(&agent(&nobody), &nobody, &event("wipe"));
        assert!(matches!(posted, Posted::Failed(_)), "{posted:?}");
    }

    /// What is tried again stays in front: who reads them sees them in order.
    #[test]
    fn events_are_told_in_order_whatever_fails_meanwhile() {
        let (send, receive) = mpsc::channel();
        for step in ["a", "b", "c"] {
            send.send(Message::Event(Box::new(event(step)))).unwrap();
        }
        let (done, wait) = mpsc::channel();
        send.send(Message::Flush(done)).unwrap();
        let (told, mut tries) = (mpsc::channel(), 0);
        let worker = thread::spawn(move || {
            work(&receive, &mut |event| {
                tries += 1;
                if tries == 1 {
                    return Posted::Failed("nobody is there".to_owned());
                }
                if event.step == "b" {
                    return Posted::Refused("404".to_owned());
                }
                told.0.send(event.step.clone()).unwrap();
                Posted::Taken
            });
        });
        wait.recv_timeout(Duration::from_mins(1)).unwrap();
        drop(send);
        worker.join().unwrap();
        assert_eq!(told.1.iter().collect::<Vec<_>>(), ["a", "c"]);
    }
}
