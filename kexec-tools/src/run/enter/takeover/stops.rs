//! The stops of a traced process, from the status that wait(2) gives, as in ptrace(2).

/// Why a traced process stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It enters or leaves a system call (`PTRACE_O_TRACESYSGOOD`).
    Call,
    /// It executes another program (`PTRACE_EVENT_EXEC`).
    Exec,
    /// It was asked to stop (`PTRACE_INTERRUPT`), or is stopped with its group.
    Asked,
    /// It is about to be given this signal.
    Signal(i32),
    /// It has ended.
    Ended,
}

const SIGTRAP: i32 = 5;
const EVENT_EXEC: i32 = 4;
const EVENT_STOP: i32 = 128;

/// Reads a status.
pub fn parse(status: i32) -> Stop {
    if status & 0xff != 0x7f {
        return Stop::Ended;
    }
    let signal = status >> 8 & 0xff;
    match status >> 16 {
        EVENT_EXEC => Stop::Exec,
        EVENT_STOP => Stop::Asked,
        _ if signal == SIGTRAP | 0x80 => Stop::Call,
        _ => Stop::Signal(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_stop_is_known() {
        for (status, expected) in [
            (0x0000_137f, Stop::Signal(19)),
            (0x0000_117f, Stop::Signal(17)),
            (0x0000_227f, Stop::Signal(34)),
            (0x0000_857f, Stop::Call),
            (0x0004_057f, Stop::Exec),
            (0x0080_057f, Stop::Asked),
            (0x0080_137f, Stop::Asked),
            (0x0000_0100, Stop::Ended),
            (0x0000_0009, Stop::Ended),
        ] {
            assert_eq!(parse(status), expected, "{status:#x}");
        }
    }
}
