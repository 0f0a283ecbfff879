//! Whether a gateway is there: it answers ARP (RFC 826) or neighbour discovery (RFC 4861).
//!
//! No packet is made here. The kernel is told to look for the neighbour, and its table is read
//! until it has an answer that is newer than the question. The routes do not matter for that, so
//! a gateway outside every prefix is probed like any other.

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use formats::network::{Gateway, Network, RouteKind};
use rustix::io::Errno;
use rustix::net::{netdevice, socket_with, AddressFamily, SocketFlags, SocketType};

use super::kernel::{Kernel, NLM_F_CREATE, NLM_F_REPLACE};
use super::links::{of_kind, AF_INET, AF_INET6, USER_HZ};
use super::wire::{dumped, u16_at, u32_at, Attributes, Request};
use super::NetworkError;

const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
/// `struct ndmsg`.
const NDMSG: usize = 12;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_CACHEINFO: u16 = 3;
/// States of a neighbour, linux/neighbour.h.
const NUD_INCOMPLETE: u16 = 0x01;
const NUD_REACHABLE: u16 = 0x02;
const NUD_PROBE: u16 = 0x10;
const NUD_FAILED: u16 = 0x20;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
/// Look for the neighbour as if a packet were to go there; since 2.6.31.
const NTF_USE: u8 = 1;

/// Between looks at the table.
const PAUSE: Duration = Duration::from_millis(50);
/// The kernel's clock counts in these.
const TICK: Duration = Duration::from_millis(1000 / USER_HZ as u64);

/// Every gateway of unicast routes with its link, once. None of them was probed.
pub fn gateways(network: &Network) -> Vec<Gateway> {
    let mut found: Vec<Gateway> = Vec::new();
    for route in &network.routes {
        let (Some(address), Some(link)) = (route.gateway, route.link.as_ref()) else {
            continue;
        };
        let known = found
            .iter()
            .any(|g| g.address == address && g.link == *link);
        if route.kind == RouteKind::Unicast && !known {
            found.push(Gateway {
                address,
                link: link.clone(),
                answers: false,
            });
        }
    }
    found
}

/// Probes all of them at the same time. `now` gives the name that a link has here; a gateway on a
/// link without one, or that cannot be probed, does not answer, and the log says why.
pub fn probe_all(
    gateways: &[Gateway],
    now: &(dyn Fn(&str) -> Option<String> + Sync),
    patience: Duration,
) -> Vec<Gateway> {
    thread::scope(|scope| {
        let probed: Vec<_> = gateways
            .iter()
            .map(|gateway| {
                scope.spawn(move || {
                    let name = now(&gateway.link)
                        .ok_or_else(|| NetworkError::NoLink(gateway.link.clone()))?;
                    probe(&name, gateway.address, patience)
                })
            })
            .collect();
        gateways
            .iter()
            .zip(probed)
            .map(|(gateway, thread)| {
                let answers = match thread.join() {
                    Ok(Ok(answers)) => answers,
                    Ok(Err(e)) => {
                        log::warn!("ask gateway {}: {e}", gateway.address);
                        false
                    }
                    Err(_) => false,
                };
                Gateway {
                    answers,
                    ..gateway.clone()
                }
            })
            .collect()
    })
}

/// An entry of the neighbour table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Neighbour {
    state: u16,
    hardware: Option<Vec<u8>>,
    /// How long ago it was last known to be there.
    confirmed: Duration,
}

/// Whether a gateway answers on a link within `patience`. What the neighbour table knew before is
/// no answer, unless somebody wrote it there for ever.
pub fn probe(link: &str, gateway: IpAddr, patience: Duration) -> Result<bool, NetworkError> {
    let index = index_of(link)?;
    let mut kernel = Kernel::open()?;
    let start = Instant::now();
    loop {
        let neighbour = look(&mut kernel, index, gateway)?;
        if neighbour
            .as_ref()
            .is_some_and(|n| is_answer(n, start.elapsed()))
        {
            return Ok(true);
        }
        if start.elapsed() >= patience {
            return Ok(false);
        }
        if let Some(request) = next_question(neighbour.as_ref(), index, gateway) {
            match kernel.request(&format!("look for {gateway} on {link}"), request) {
                Ok(()) => {}
                Err(e) if matches!(e.errno(), Some(Errno::PERM | Errno::ACCESS)) => return Err(e),
                // The link is not up yet, or the entry went away since the look at it.
                Err(e) => log::debug!("{e}"),
            }
        }
        thread::sleep(PAUSE);
    }
}

/// It is certain that the neighbour is there, and was within `since`.
fn is_answer(neighbour: &Neighbour, since: Duration) -> bool {
    neighbour.state & (NUD_PERMANENT | NUD_NOARP) != 0
        || neighbour.state & NUD_REACHABLE != 0 && neighbour.confirmed <= since + TICK
}

/// What to tell the kernel so that it asks; nothing while it does.
fn next_question(neighbour: Option<&Neighbour>, index: u32, gateway: IpAddr) -> Option<Request> {
    let (family, flags, state, hardware) = match neighbour {
        Some(n) if n.state & (NUD_INCOMPLETE | NUD_PROBE) != 0 => return None,
        // Known from before: probing it leaves the address in use meanwhile, deleting it would
        // not.
        Some(Neighbour {
            state,
            hardware: Some(hardware),
            ..
        }) if state & NUD_FAILED == 0 && *state != 0 => {
            (gateway, NLM_F_REPLACE, NUD_PROBE, Some(hardware))
        }
        _ => (gateway, NLM_F_CREATE, 0, None),
    };
    let mut body = [0; NDMSG];
    body[0] = if family.is_ipv4() { AF_INET } else { AF_INET6 };
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..10].copy_from_slice(&state.to_ne_bytes());
    body[10] = if hardware.is_some() { 0 } else { NTF_USE };
    let request = Request::new(RTM_NEWNEIGH, flags, &body).ip(NDA_DST, gateway);
    Some(match hardware {
        Some(hardware) => request.with(NDA_LLADDR, hardware),
        None => request,
    })
}

/// Each form that a question can have.
#[cfg(test)]
pub(super) fn every_question() -> Vec<Request> {
    let known = Neighbour {
        state: NUD_REACHABLE,
        hardware: Some(vec![2, 0, 0, 0, 0, 1]),
        confirmed: Duration::ZERO,
    };
    ["192.0.2.1", "2001:db8::1"]
        .iter()
        .map(|ip| ip.parse().expect("an address"))
        .flat_map(|ip| [None, Some(&known)].map(|n| next_question(n, 3, ip)))
        .flatten()
        .collect()
}

fn look(
    kernel: &mut Kernel,
    index: u32,
    gateway: IpAddr,
) -> Result<Option<Neighbour>, NetworkError> {
    let mut body = [0; NDMSG];
    body[0] = if gateway.is_ipv4() { AF_INET } else { AF_INET6 };
    let bytes = kernel.dump("neighbours", Request::new(RTM_GETNEIGH, 0, &body))?;
    for message in of_kind(&dumped("neighbours", &bytes)?, RTM_NEWNEIGH) {
        if u32_at(message.body, 4) != index {
            continue;
        }
        let attributes = Attributes::behind("neighbours", message.body, NDMSG)?;
        if attributes.ip(NDA_DST) == Some(gateway) {
            let ticks = attributes
                .bytes(NDA_CACHEINFO)
                .map_or(u32::MAX, |info| u32_at(info, 0));
            return Ok(Some(Neighbour {
                state: u16_at(message.body, 8),
                hardware: attributes.bytes(NDA_LLADDR).map(<[u8]>::to_vec),
                confirmed: TICK.saturating_mul(ticks),
            }));
        }
    }
    Ok(None)
}

fn index_of(link: &str) -> Result<u32, NetworkError> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|e| NetworkError::Socket(e.into()))?;
    netdevice::name_to_index(&socket, link).map_err(|_| NetworkError::NoLink(link.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_newer_than_the_question() {
        let known = |state, confirmed| Neighbour {
            state,
            hardware: None,
            confirmed: Duration::from_millis(confirmed),
        };
        let cases = [
            ("fresh", known(NUD_REACHABLE, 40), true),
            ("from before", known(NUD_REACHABLE, 5000), false),
            ("stale", known(0x04, 40), false),
            ("being asked", known(NUD_PROBE, 40), false),
            ("failed", known(NUD_FAILED, 40), false),
            ("written for ever", known(NUD_PERMANENT, 900_000), true),
            ("a link without ARP", known(NUD_NOARP, 900_000), true),
        ];
        for (name, neighbour, answer) in cases {
            let since = Duration::from_millis(100);
            assert_eq!(is_answer(&neighbour, since), answer, "{name}");
        }
    }
}
