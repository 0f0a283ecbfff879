//! How the RAM environment is entered, and why so: decided from facts, and from what the operator
//! asks for.

use crate::kexec_call;
use crate::kexec_call::call;
use crate::version::Version;
use formats::entry::{Entry, EntryPlan};
use formats::facts::Facts;

/// A way in, and what speaks against it: nothing where it can be taken.
struct Way(Entry, fn(&Facts) -> Option<String>);

/// Every way in; the first that nothing speaks against, and that nobody doubts, is taken.
const WAYS: [Way; 3] = [
    Way(Entry::Kexec, against_kexec),
    Way(Entry::Takeover, against_takeover),
    Way(Entry::Boot, against_boot),
];

/// What speaks against an entry, in words; nothing where it can be taken.
pub fn against(entry: Entry, facts: &Facts) -> Option<String> {
    WAYS.iter()
        .find(|Way(way, _)| *way == entry)
        .and_then(|Way(_, against)| against(facts))
}

/// What speaks against every way in; nothing where there is one.
pub fn no_way(facts: &Facts) -> Option<String> {
    let mut reasons = Vec::new();
    for Way(entry, against) in &WAYS {
        reasons.push(format!("{}: {}", entry.name(), against(facts)?));
    }
    Some(reasons.join("; "))
}

/// Chooses the entry; `wished` is what the operator named, if anything. Where no way is open the
/// choice is kexec, and the check `entry` refuses.
pub fn choose(facts: &Facts, wished: Option<Entry>) -> EntryPlan {
    let (entry, reason) = match wished {
        Some(entry) => (entry, "asked for on the command line".to_owned()),
        None => evidence(facts),
    };
    EntryPlan {
        entry,
        call: (entry == Entry::Kexec).then(|| call(&facts.kexec)),
        reason,
    }
}

/// What makes a way that is open one that others are taken before.
fn doubt(entry: Entry, facts: &Facts) -> Option<String> {
    if entry != Entry::Kexec {
        return None;
    }
    let xen = facts.condition.xen.as_deref();
    let hypervisor = match xen {
        Some("HVM" | "PVH") => Some("Xen"),
        _ => facts.condition.hypervisor.as_deref(),
    }?;
    Some(format!(
        "on {hypervisor} kernels that were started by another one are known to hang (docs/entries.md)"
    ))
}

/// The first way that is open, and why none before it was taken.
fn evidence(facts: &Facts) -> (Entry, String) {
    let mut passed_over = Vec::new();
    let undoubted = |way: &&Way| (way.1)(facts).is_none() && doubt(way.0, facts).is_none();
    let doubts = WAYS.iter().any(|way| undoubted(&way));
    for Way(entry, against) in &WAYS {
        let against = against(facts).or_else(|| doubt(*entry, facts).filter(|_| doubts));
        match against {
            None if passed_over.is_empty() => {
                return (
                    *entry,
                    "the running kernel can enter another one".to_owned(),
                );
            }
            None => return (*entry, format!("no {}", passed_over.join("; no "))),
            Some(why) => passed_over.push(format!("{}: {why}", entry.name())),
        }
    }
    (Entry::Kexec, "no way in is open".to_owned())
}

fn against_kexec(facts: &Facts) -> Option<String> {
    if facts.condition.xen.as_deref() == Some(XEN_PV) {
        // The kernel starts another one through the hypervisor, which such guests may not.
        return Some("this is a paravirtual guest of Xen".to_owned());
    }
    kexec_call::against(&facts.kexec).or_else(|| against_bus_masters(facts))
}

/// The first kernel that takes bus mastering from every device when it is replaced.
pub const CLEARS_BUS_MASTERING: Version = Version { major: 3, minor: 5 };

/// Packets that arrive would go into the next kernel's memory, and what they hit nobody can know: the
/// payload is compared with its digest, the kernel itself is not.
fn against_bus_masters(facts: &Facts) -> Option<String> {
    let version = Version::parse(&facts.kernel)?;
    let first = facts.kexec.unstoppable.first()?;
    (version < CLEARS_BUS_MASTERING).then(|| {
        format!(
            "Linux {}.{} leaves devices writing to memory when it is replaced, and the driver of \
             {first} cannot be made to let go of it",
            version.major, version.minor
        )
    })
}

/// What facts call a paravirtual guest of Xen.
const XEN_PV: &str = "PV";

fn against_takeover(facts: &Facts) -> Option<String> {
    let ptrace = &facts.ptrace;
    if ptrace.yama_scope == Some(YAMA_FORBIDDEN) {
        return Some("kernel.yama.ptrace_scope is 3: nobody may trace a process".to_owned());
    }
    if let Some(tracer) = &ptrace.tracer {
        return Some(format!("PID 1 is being traced by {tracer}"));
    }
    if let Some(why) = &ptrace.other_root {
        return Some(why.clone());
    }
    if ptrace.narrow {
        return Some("PID 1 is not a 64-bit program".to_owned());
    }
    let denied = ptrace.denied.as_ref();
    denied.map(|why| format!("PID 1 may not be traced: {why}"))
}

/// `kernel.yama.ptrace_scope` from which on even root may trace nobody, until the next boot. At 1
/// and 2 whoever has `CAP_SYS_PTRACE` may.
const YAMA_FORBIDDEN: u32 = 3;

fn against_boot(facts: &Facts) -> Option<String> {
    facts.boot_entry.clone().err()
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
