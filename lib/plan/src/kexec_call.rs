//! Which system call loads the RAM environment's kernel, and why: decided from what the running
//! kernel has and allows.

use formats::entry::{CallPlan, KexecCall};
use formats::facts::Kexec;

/// What speaks against loading a kernel at all; nothing where one of the calls may do.
pub fn against(kexec: &Kexec) -> Option<String> {
    if kexec.disabled {
        return Some("kernel.kexec_load_disabled is set".to_owned());
    }
    match (&kexec.lockdown, kexec.load, kexec.file_load) {
        (_, false, false) => {
            Some("the kernel has neither kexec_load nor kexec_file_load".to_owned())
        }
        (Some(mode), _, false) => Some(format!(
            "lockdown mode is {mode}, and the kernel has no kexec_file_load"
        )),
        _ => None,
    }
}

/// Chooses the call. Where [`against`] speaks against both it is `kexec_load`, and fails.
pub fn call(kexec: &Kexec) -> CallPlan {
    use KexecCall::{KexecFileLoad, KexecLoad};
    let (call, fallback, reason) = match (&kexec.lockdown, kexec.load, kexec.file_load) {
        (Some(mode), _, true) => (
            KexecFileLoad,
            None,
            format!("lockdown mode is {mode}: only a kernel with a signature that the running one knows is loaded"),
        ),
        (None, false, true) => (
            KexecFileLoad,
            None,
            "the running kernel has no kexec_load".to_owned(),
        ),
        (None, true, true) => (
            KexecLoad,
            Some(KexecFileLoad),
            "it needs about half the memory, since nothing is copied twice".to_owned(),
        ),
        (_, _, false) => (
            KexecLoad,
            None,
            "the running kernel has no kexec_file_load".to_owned(),
        ),
    };
    CallPlan {
        call,
        fallback,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kexec(load: bool, file_load: bool, lockdown: bool) -> Kexec {
        Kexec {
            load,
            file_load,
            disabled: false,
            lockdown: lockdown.then(|| "integrity".to_owned()),
            unstoppable: vec![],
        }
    }

    #[test]
    fn the_call_follows_the_evidence() {
        use KexecCall::{KexecFileLoad, KexecLoad};
        for (load, file_load, lockdown, expected) in [
            (true, true, false, Some((KexecLoad, Some(KexecFileLoad)))),
            (true, false, false, Some((KexecLoad, None))),
            (false, true, false, Some((KexecFileLoad, None))),
            (true, true, true, Some((KexecFileLoad, None))),
            (false, true, true, Some((KexecFileLoad, None))),
            (true, false, true, None),
            (false, false, false, None),
        ] {
            let facts = kexec(load, file_load, lockdown);
            let plan = call(&facts);
            let chosen = against(&facts)
                .is_none()
                .then_some((plan.call, plan.fallback));
            assert_eq!(chosen, expected, "{facts:?}");
        }
    }

    #[test]
    fn a_kernel_that_lets_nobody_load_is_not_asked() {
        let disabled = Kexec {
            disabled: true,
            ..kexec(true, true, false)
        };
        assert!(against(&disabled).is_some());
    }
}
