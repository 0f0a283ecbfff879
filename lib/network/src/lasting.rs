//! Which answers of the kernel will be the same however often it is asked.
//!
//! A link that negotiates, a driver that loads its firmware, an address that is not in use yet are
//! worth waiting for. A kernel that does not know what it is asked for is not: waiting only puts
//! off the answer.

use rustix::io::Errno;

use super::NetworkError;

/// Answers that stay.
const LASTING: [Errno; 12] = [
    // An attribute, a value or a combination that this kernel or driver does not know.
    Errno::INVAL,
    Errno::RANGE,
    Errno::MSGSIZE,
    Errno::NAMETOOLONG,
    // A kind of link, a family or an option that it was not built with.
    Errno::OPNOTSUPP,
    Errno::AFNOSUPPORT,
    Errno::PROTONOSUPPORT,
    Errno::NOSYS,
    Errno::NOTTY,
    // A file of sysfs that it does not have.
    Errno::NOENT,
    // Somebody forbids it.
    Errno::PERM,
    Errno::ACCESS,
];

impl NetworkError {
    /// Asking again would give the same answer.
    pub fn is_lasting(&self) -> bool {
        match self {
            NetworkError::Refused { .. } => self.errno().is_some_and(|e| LASTING.contains(&e)),
            // The description is at fault, not the moment.
            NetworkError::Unmakeable { .. } => true,
            // Hardware may still appear, and tell others apart; an address may come into use.
            NetworkError::Missing { .. }
            | NetworkError::Ambiguous { .. }
            | NetworkError::NoLink(_)
            | NetworkError::SourceUnused { .. }
            | NetworkError::Socket(_)
            | NetworkError::Unreadable { .. } => false,
        }
    }

    /// The same for a route that prefers a source address: to the kernel an address that is not in
    /// use yet is as invalid (`EINVAL`) as one that never will be.
    pub(super) fn of_route_with_source(self) -> NetworkError {
        match self {
            NetworkError::Refused { what, source }
                if Errno::from_io_error(&source) == Some(Errno::INVAL) =>
            {
                NetworkError::SourceUnused { what, source }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn refused(errno: Errno) -> NetworkError {
        NetworkError::refused("add 192.0.2.7/24 to eth0", errno.into())
    }

    #[test]
    fn what_will_not_change_is_told_from_what_may() {
        for errno in [Errno::INVAL, Errno::OPNOTSUPP, Errno::PERM, Errno::RANGE] {
            assert!(refused(errno).is_lasting(), "{errno:?}");
        }
        for errno in [
            Errno::BUSY,
            Errno::AGAIN,
            Errno::NOBUFS,
            Errno::NETUNREACH,
            Errno::HOSTUNREACH,
            Errno::NETDOWN,
            Errno::NODEV,
            Errno::IO,
        ] {
            assert!(!refused(errno).is_lasting(), "{errno:?}");
        }
        assert!(!NetworkError::NoLink("eth0".into()).is_lasting());
        let broken = NetworkError::Refused {
            what: String::new(),
            source: io::Error::other("the kernel's answer is too long"),
        };
        assert!(!broken.is_lasting());
    }

    #[test]
    fn a_source_address_may_still_come_into_use() {
        assert!(!refused(Errno::INVAL).of_route_with_source().is_lasting());
        assert!(refused(Errno::PERM).of_route_with_source().is_lasting());
    }
}
