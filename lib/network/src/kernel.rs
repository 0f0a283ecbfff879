//! Talks to the kernel's rtnetlink(7): dumps and single requests, blocking, with a timeout.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{set_socket_timeout, Timeout};
use rustix::net::{
    bind, recv, sendto, socket_with, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
};

use super::wire::{pieces, Piece, Request};
use super::NetworkError;

/// The kernel answers at once; this only keeps a broken one from holding up the whole run.
const PATIENCE: Duration = Duration::from_secs(10);
/// Greater than what any kernel puts into one datagram of a dump (32 KiB).
const DATAGRAM: usize = 128 * 1024;
/// How often a dump is tried when something changed in between.
const ATTEMPTS: u32 = 10;

/// The flags of requests, linux/netlink.h.
pub const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
/// Replace what is there.
pub const NLM_F_REPLACE: u16 = 0x100;
/// Fail with `EEXIST` where it is there.
pub const NLM_F_EXCL: u16 = 0x200;
/// Make it where it is not there.
pub const NLM_F_CREATE: u16 = 0x400;

/// A socket to the kernel's rtnetlink.
#[derive(Debug)]
pub struct Kernel {
    socket: OwnedFd,
    sequence: u32,
}

impl Kernel {
    /// Opens one, in the network namespace of the calling thread.
    pub fn open() -> Result<Kernel, NetworkError> {
        let failed = |e: rustix::io::Errno| NetworkError::Socket(e.into());
        // The protocol 0 is NETLINK_ROUTE.
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0)).map_err(failed)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).map_err(failed)?;
        Ok(Kernel {
            socket,
            sequence: 0,
        })
    }

    fn send(&mut self, what: &str, request: &Request) -> Result<(), NetworkError> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let bytes = request.to_bytes(self.sequence);
        sendto(
            &self.socket,
            &bytes,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )
        .map_err(|e| NetworkError::refused(what, e.into()))?;
        Ok(())
    }

    fn receive<'a>(&self, what: &str, buffer: &'a mut [u8]) -> Result<&'a [u8], NetworkError> {
        loop {
            // With TRUNC the true length comes back, also of a datagram that was cut.
            match recv(&self.socket, &mut *buffer, RecvFlags::TRUNC) {
                Ok((_, length)) if length <= buffer.len() => return Ok(&buffer[..length]),
                Ok(_) => {
                    let cut = io::Error::other("the kernel's answer is too long");
                    return Err(NetworkError::refused(what, cut));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(NetworkError::refused(what, e.into())),
            }
        }
    }

    /// All datagrams of a dump, one behind the other. A dump that something changed under is
    /// tried again.
    pub fn dump(&mut self, what: &'static str, request: Request) -> Result<Vec<u8>, NetworkError> {
        let mut request = request;
        request.flags = NLM_F_REQUEST | NLM_F_DUMP;
        for _ in 0..ATTEMPTS {
            let (bytes, torn) = self.dump_once(what, &request)?;
            if !torn {
                return Ok(bytes);
            }
        }
        let torn = io::Error::other("it changes all the time");
        Err(NetworkError::refused(&format!("list {what}"), torn))
    }

    fn dump_once(
        &mut self,
        what: &'static str,
        request: &Request,
    ) -> Result<(Vec<u8>, bool), NetworkError> {
        let doing = format!("list {what}");
        self.send(&doing, request)?;
        let mut buffer = vec![0; DATAGRAM];
        let (mut all, mut torn) = (Vec::new(), false);
        loop {
            let datagram = self.receive(&doing, &mut buffer)?;
            let mut mine = false;
            let mut done = false;
            for piece in pieces(what, datagram)? {
                let (sequence, flags) = match piece {
                    Piece::Message(m) => (m.sequence, m.flags),
                    Piece::End {
                        sequence, flags, ..
                    } => (sequence, flags),
                };
                // A late answer to a request that timed out.
                if sequence != self.sequence {
                    continue;
                }
                mine = true;
                torn |= flags & NLM_F_DUMP_INTR != 0;
                match piece {
                    Piece::End { error: 0, .. } => done = true,
                    Piece::End { error, .. } => {
                        let error = io::Error::from_raw_os_error(error);
                        return Err(NetworkError::refused(&doing, error));
                    }
                    Piece::Message(_) => {}
                }
            }
            if mine {
                all.extend(datagram);
                all.resize(all.len().next_multiple_of(4), 0);
            }
            if done {
                return Ok((all, torn));
            }
        }
    }

    /// Does one thing and waits until the kernel says that it is done.
    pub fn request(&mut self, what: &str, request: Request) -> Result<(), NetworkError> {
        let mut request = request;
        request.flags |= NLM_F_REQUEST | NLM_F_ACK;
        self.send(what, &request)?;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            for piece in pieces("the kernel's answer", self.receive(what, &mut buffer)?)? {
                match piece {
                    Piece::End {
                        sequence, error, ..
                    } if sequence == self.sequence => {
                        return match error {
                            0 => Ok(()),
                            error => Err(NetworkError::refused(
                                what,
                                io::Error::from_raw_os_error(error),
                            )),
                        };
                    }
                    _ => {}
                }
            }
        }
    }
}
