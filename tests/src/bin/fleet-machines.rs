//! The machines of `make demo-fleet`: boots them, says as JSON how each is reached, and ends them when its
//! input does.
//!
//! `fleet-machines NAME:VERSION[:clings|:torn]...`: their names, what version their old OS says it has, and what
//! is wrong with them: one cannot let go of it, one's run holds in the wipe.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use reroot_tests::images::small_trixie;
use reroot_tests::old_server::ssh_key;
use reroot_tests::several::{running_old_servers, Member, Trouble};
use reroot_tests::vm::USUAL_MEMORY_MIB;
use serde::Serialize;

#[derive(Serialize)]
struct Fleet {
    image: PathBuf,
    key: PathBuf,
    machines: Vec<Reached>,
}

#[derive(Serialize)]
struct Reached {
    name: String,
    port: u16,
    console: PathBuf,
}

fn main() -> Result<()> {
    let members = std::env::args()
        .skip(1)
        .map(|word| member(&word))
        .collect::<Result<Vec<_>>>()?;
    let image = small_trixie()?;
    let machines = running_old_servers(&members, USUAL_MEMORY_MIB)?;
    let reached = members
        .iter()
        .zip(&machines)
        .map(|(member, machine)| Reached {
            name: member.name.clone(),
            port: machine.ssh_port(),
            console: machine.console_log(),
        });
    let fleet = Fleet {
        image,
        key: ssh_key()?,
        machines: reached.collect(),
    };
    println!("{}", serde_json::to_string(&fleet)?);
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .context("wait for the end of the input")?;
    Ok(())
}

fn member(word: &str) -> Result<Member> {
    let mut parts = word.split(':');
    let mut part = || parts.next().filter(|part| !part.is_empty());
    Ok(Member {
        name: part().context("a machine without a name")?.to_owned(),
        version: part()
            .with_context(|| format!("{word}: no version"))?
            .to_owned(),
        trouble: match part() {
            None => None,
            Some("clings") => Some(Trouble::Clings),
            Some("torn") => Some(Trouble::Torn),
            Some(other) => bail!("{word}: {other} is no trouble"),
        },
    })
}
