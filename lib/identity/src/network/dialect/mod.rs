//! Writing a network in the new OS's dialect. Pure: values in, files out.
//!
//! Links are bound by MAC address, because names differ between kernels. What is static is
//! written; what a server gave is asked for again. Whatever a dialect cannot say is refused, and
//! never left out in silence.
//!
//! The payload's own files ([`Written::removed`]) are to be removed before the new ones are
//! written: their patterns would match those too.

mod card;
mod checks;
mod client;
mod draft;
mod ifupdown;
mod names;
mod netplan;
mod network_manager;
mod networkd;
mod resolver;
mod tuning;
mod view;

#[cfg(test)]
mod tests;

use draft::Draft;
use formats::network::{Dialect, Network, Stack, Written};
use view::View;

/// Files that configure links, in whatever dialect: of a payload, cloud-init's and the installer's
/// are among them.
pub const REMOVED: [&str; 6] = [
    "/etc/systemd/network/*.network",
    "/etc/systemd/network/*.netdev",
    "/etc/netplan/*.yaml",
    "/etc/NetworkManager/system-connections/*",
    "/etc/network/interfaces.d/*",
    names::RULES,
];

/// Writes the files for a network, or says everything that the dialect cannot express, one line
/// each.
pub fn write(network: &Network, stack: &Stack) -> Result<Written, Vec<String>> {
    let mut draft = Draft::default();
    let names = names::plan(network, stack, &mut draft);
    let mut view = View::new(network, stack, &names, &mut draft);
    let anchor = view.anchor();
    resolver::place(&mut view.links, network, anchor, stack, &mut draft);
    for link in &view.links {
        checks::check(link, network, &mut draft);
        client::note(link.link, &mut draft);
    }
    if !draft.refusals.is_empty() {
        return Err(draft.refusals);
    }
    match stack.dialect {
        Dialect::Ifupdown => ifupdown::write(&view, &mut draft),
        Dialect::Netplan => netplan::write(&view, &mut draft),
        Dialect::Networkd => networkd::write(&view, &mut draft),
        Dialect::NetworkManager => network_manager::write(&view, &mut draft),
    }
    resolver::write(&view, &mut draft);
    tuning::write(&view, &names, &mut draft);
    if !draft.refusals.is_empty() {
        return Err(draft.refusals);
    }
    let mut written = draft.written;
    let ours = |path: &str| written.files.iter().any(|f| f.path == path);
    let removed: Vec<_> = REMOVED.into_iter().filter(|path| !ours(path)).collect();
    written
        .removed
        .extend(removed.into_iter().map(str::to_owned));
    Ok(written)
}
