//! What the errors of `kexec_load(2)` and `kexec_file_load(2)` mean to an operator, and after which
//! of them the other call is worth a try.

use formats::entry::KexecCall;
use rustix::io::Errno;

/// What comes after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The other call may do.
    Other,
    /// Something is in the way that can be mended, or passes.
    Mend,
    /// This kernel is not wanted here, and no other way in is looked for.
    Final,
}

/// An error explained.
#[derive(Clone, Copy, Debug)]
pub struct Explained {
    call: Option<KexecCall>,
    errno: Errno,
    /// Cause and remedy, in words.
    pub text: &'static str,
    /// What comes after it.
    pub then: Then,
}

use KexecCall::{KexecFileLoad as FileLoad, KexecLoad as Load};
use Then::{Final, Mend, Other};

const fn row(call: Option<KexecCall>, errno: Errno, then: Then, text: &'static str) -> Explained {
    Explained {
        call,
        errno,
        text,
        then,
    }
}

/// By call, or for both. The first row that fits is taken.
#[rustfmt::skip]
const TABLE: &[Explained] = &[
    row(Some(Load), Errno::PERM, Other, "the running kernel is locked down or lets nobody load by kexec_load any more (kernel.kexec_load_disabled, kernel.kexec_load_limit_reboot), or CAP_SYS_BOOT is missing"),
    row(Some(FileLoad), Errno::PERM, Final, "the running kernel lets nobody load any more (kernel.kexec_load_disabled, kernel.kexec_load_limit_reboot), is locked down and does not accept this kernel's signature, or CAP_SYS_BOOT is missing"),
    row(None, Errno::BUSY, Mend, "another load by kexec is in progress; try again"),
    row(Some(Load), Errno::NOMEM, Mend, "too little free memory for kernel and initramfs; try --payload disk"),
    row(Some(FileLoad), Errno::NOMEM, Mend, "too little free memory to hold kernel and initramfs twice; try --payload disk"),
    row(None, Errno::NOSYS, Other, "the running kernel was built without this call"),
    row(Some(Load), Errno::INVAL, Other, "the running kernel does not take this layout: more than half of its memory, or more or other segments than it allows"),
    row(Some(FileLoad), Errno::INVAL, Other, "the running kernel does not take these files or this command line: more than half of its memory, or a command line that is too long"),
    row(Some(Load), Errno::ADDRNOTAVAIL, Other, "the running kernel does not let anything be loaded at these addresses"),
    row(Some(FileLoad), Errno::ADDRNOTAVAIL, Other, "no memory range is large enough for the initramfs; try --payload disk"),
    row(None, Errno::OPNOTSUPP, Other, "the running kernel does not support this on this machine"),
    row(Some(Load), Errno::FAULT, Mend, "a staged file became shorter while it was being loaded; run `go` again"),
    row(Some(FileLoad), Errno::TXTBSY, Mend, "somebody has the kernel or the initramfs open for writing"),
    row(Some(FileLoad), Errno::NOEXEC, Other, "the running kernel does not take this kernel's format"),
    row(Some(FileLoad), Errno::FBIG, Mend, "the kernel or the initramfs is larger than the running kernel reads; try --payload disk"),
    row(Some(FileLoad), Errno::KEYREJECTED, Final, "the running kernel demands a signature that this kernel does not have, or by another key"),
    row(Some(FileLoad), Errno::NOKEY, Final, "the running kernel does not have the key of this kernel's signature"),
    row(Some(FileLoad), Errno::NODATA, Final, "the running kernel demands a signature, and this kernel has none"),
    row(Some(FileLoad), Errno::NOPKG, Final, "the running kernel cannot compute this kernel's signature"),
    row(Some(FileLoad), Errno::BADMSG, Final, "this kernel's signature is broken"),
    row(Some(FileLoad), Errno::LIBBAD, Final, "this kernel's signature is broken"),
    row(Some(FileLoad), Errno::KEYEXPIRED, Final, "the key of this kernel's signature has expired"),
    row(Some(FileLoad), Errno::KEYREVOKED, Final, "the key of this kernel's signature was revoked"),
];

/// Explains an error of a call, if there is something to say about it.
pub fn explain(call: KexecCall, error: &std::io::Error) -> Option<&'static Explained> {
    let errno = error.raw_os_error()?;
    TABLE.iter().find(|row| {
        row.errno.raw_os_error() == errno && row.call.is_none_or(|wanted| wanted == call)
    })
}

/// Whether the other call is worth a try after this error.
pub fn other_may_do(call: KexecCall, error: &std::io::Error) -> bool {
    explain(call, error).is_some_and(|row| row.then == Other)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn then(call: KexecCall, errno: Errno) -> Option<Then> {
        explain(call, &io::Error::from(errno)).map(|row| row.then)
    }

    #[test]
    fn the_other_call_is_tried_after_these_errors_and_no_others() {
        let other = [
            Errno::NOSYS,
            Errno::INVAL,
            Errno::NOEXEC,
            Errno::OPNOTSUPP,
            Errno::ADDRNOTAVAIL,
        ];
        // A kernel that is locked down may not say so beforehand, and take what is signed.
        let locked = |row: &Explained| (row.call, row.errno) == (Some(Load), Errno::PERM);
        for row in TABLE {
            let expected = other.contains(&row.errno) || locked(row);
            assert_eq!(row.then == Other, expected, "{row:?}");
        }
        assert!(other_may_do(Load, &io::Error::from(Errno::NOSYS)));
        assert!(!other_may_do(Load, &io::Error::from(Errno::IO)));
    }

    #[test]
    fn signature_errors_are_final() {
        for errno in [
            Errno::KEYREJECTED,
            Errno::NOKEY,
            Errno::BADMSG,
            Errno::NODATA,
            Errno::NOPKG,
            Errno::KEYEXPIRED,
            Errno::KEYREVOKED,
            Errno::PERM,
        ] {
            assert_eq!(then(FileLoad, errno), Some(Final), "{errno}");
        }
        // kexec_load looks at no signature.
        assert_eq!(then(Load, Errno::KEYREJECTED), None);
    }

    #[test]
    fn no_row_hides_another() {
        for (i, row) in TABLE.iter().enumerate() {
            let hides = |earlier: &Explained| {
                earlier.errno == row.errno && (earlier.call.is_none() || earlier.call == row.call)
            };
            assert!(!TABLE[..i].iter().any(hides), "{row:?}");
        }
    }
}
