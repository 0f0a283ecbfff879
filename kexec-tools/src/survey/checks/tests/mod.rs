//! Every check passes on a plain machine, and each fires on the machine that it is for.

mod cases;
mod entries;
mod ordinary;
mod ram_ssh;
mod root_filesystem;
mod systems;
mod volumes;

use formats::facts::{Facts, Firmware, Memory, UnkeptWay};
use formats::keep::KeepPath;
use formats::manifest::Manifest;
use formats::measure::{Measure, Occupied};
use formats::plan::PayloadAt;
use formats::Digest;
use plan::checks_in_ram;
use plan::choices::Choices;
use plan::needs;

use self::cases::{bind, device, mounted, unkept, Change};
use crate::survey::plain_machine::{image, machine, measure, MIB, SIZES};

use super::check::{Context, Force, Moment};
use super::{all, ask_all, may_be_forced};
use crate::survey::finding::{Finding, Verdict};

/// For every check a machine or an image that it is there to refuse.
fn cases() -> impl Iterator<Item = &'static (&'static str, Change)> {
    let of_roots = root_filesystem::CASES.iter().chain(volumes::CASES);
    cases::CASES.iter().chain(of_roots)
}

fn findings(
    facts: &Facts,
    image: &Manifest,
    payload_at: Option<PayloadAt>,
    forced: &[&str],
) -> Vec<Finding> {
    let forced: Vec<String> = forced.iter().map(ToString::to_string).collect();
    let choices = Choices {
        payload_at,
        ..Choices::default()
    };
    ask_all(&Context {
        facts,
        manifest: image,
        sizes: SIZES,
        choices: &choices,
        forced: &forced,
    })
}

fn codes(findings: &[Finding], verdicts: &[Verdict]) -> Vec<String> {
    findings
        .iter()
        .filter(|f| verdicts.contains(&f.verdict))
        .map(|f| f.code.to_string())
        .collect()
}

fn refused(
    facts: &Facts,
    image: &Manifest,
    payload_at: Option<PayloadAt>,
    forced: &[&str],
) -> Vec<String> {
    codes(
        &findings(facts, image, payload_at, forced),
        &[Verdict::Refuse],
    )
}

/// Codes of the checks that do not just pass.
fn fired(facts: &Facts, image: &Manifest) -> Vec<String> {
    let findings = findings(facts, image, None, &[]);
    codes(&findings, &[Verdict::Refuse, Verdict::Note])
}

#[test]
fn nothing_speaks_against_a_plain_machine() {
    assert_eq!(fired(&machine(), &image()), [""; 0]);
}

#[test]
fn each_check_refuses_what_it_is_for_and_nothing_else_does() {
    for (code, change) in cases() {
        let (mut facts, mut image) = (machine(), image());
        change(&mut facts, &mut image);
        assert_eq!(fired(&facts, &image), [*code]);
    }
}

#[test]
fn every_check_has_a_case() {
    for check in all() {
        assert!(
            cases().any(|(code, _)| *code == check.code)
                || entries::WISHED.iter().any(|(code, ..)| *code == check.code),
            "{} never fires in a test: give it a case",
            check.code
        );
    }
}

#[test]
fn every_code_is_there_once_and_every_cell_is_filled() {
    let mut codes: Vec<_> = all().map(|c| c.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), all().count());
    for check in all() {
        assert!(check.question.ends_with('?'), "{}", check.code);
        for cell in [check.reads, check.remedy] {
            assert!(!cell.is_empty() && !cell.ends_with('.'), "{}", check.code);
        }
    }
}

#[test]
fn what_is_asked_again_in_the_ram_environment_is_what_the_init_asks() {
    let ram: Vec<_> = all()
        .filter(|c| c.again.contains(&Moment::Ram))
        .map(|c| c.code)
        .collect();
    assert_eq!(ram, checks_in_ram::CODES);
}

/// What refuses right before services are stopped.
fn refused_again(facts: &Facts, forced: &[String]) -> Vec<String> {
    let (image, choices) = (image(), Choices::default());
    let context = Context {
        facts,
        manifest: &image,
        sizes: SIZES,
        choices: &choices,
        forced,
    };
    codes(
        &super::ask_again(&context, Moment::Stop),
        &[Verdict::Refuse],
    )
}

#[test]
fn only_what_was_forced_is_asked_again_without_refusing() {
    let mut facts = machine();
    facts.condition.packages = vec!["dpkg (9) runs".into()];
    facts.architecture = "i686".into();
    let again = |forced: &[String]| refused_again(&facts, forced);
    assert_eq!(again(&[]), ["packages"], "the processor does not change");
    assert_eq!(again(&["packages".into()]), [""; 0]);
}

/// Somebody may have set `BootNext` since.
#[test]
fn what_the_firmware_starts_next_is_asked_again() {
    let mut facts = machine();
    facts.firmware = Firmware::Uefi;
    facts.efi.unknown = Some("BootNext is set".into());
    assert_eq!(refused_again(&facts, &[]), ["firmware"]);
}

#[test]
fn a_bind_that_fstab_has_comes_back() {
    let mut facts = machine();
    bind(&mut facts, "/srv/shop", "/mnt/shop");
    facts.identity.fstab = "/srv/shop /mnt/shop none bind 0 0\n".into();
    facts.identity.kept = vec!["/srv".into()];
    assert_eq!(fired(&facts, &image()), [""; 0]);
    bind(&mut facts, "/opt", "/mnt/opt");
    assert_eq!(fired(&facts, &image()), [""; 0], "nothing of it is kept");
}

#[test]
fn only_forcible_checks_can_be_forced() {
    for (code, change) in cases() {
        let (mut facts, mut image) = (machine(), image());
        change(&mut facts, &mut image);
        let refuses = !refused(&facts, &image, None, &[code]).is_empty();
        let never = all().any(|c| c.code == *code && c.force == Force::Never);
        assert_eq!(refuses, never, "{code}");
        assert!(!(never && may_be_forced(code)), "{code}");
    }
    assert!(!may_be_forced("no-such-check"));
}

#[test]
fn a_payload_that_must_be_in_memory_needs_more_of_it() {
    let mut facts = machine();
    facts.memory = Memory {
        total: 460 * MIB,
        available: 400 * MIB,
    };
    assert_eq!(
        refused(&facts, &image(), None, &[]),
        [""; 0],
        "it waits on disk"
    );
    assert_eq!(
        refused(&facts, &image(), Some(PayloadAt::Ram), &[]),
        ["memory"]
    );
}

/// The sectors before a partition that begins at sector 63 hold the new OS's loader, which takes 60 of them.
#[test]
fn room_for_one_loader_is_enough() {
    let mut facts = machine();
    let root = facts.root.as_mut().unwrap();
    (root.has_room, root.room_sectors, root.room_alone) = (false, 62, 62);
    assert_eq!(refused(&facts, &image(), None, &[]), [""; 0]);
}

#[test]
fn a_machine_that_uefi_starts_needs_nothing_of_a_bios() {
    let mut facts = machine();
    cases::by_uefi(&mut facts);
    assert_eq!(refused(&facts, &image(), None, &[]), [""; 0]);
    // A variable that names a file on this disk says which disk it is.
    let root = facts.root.as_mut().unwrap();
    root.loaders_elsewhere = vec!["GRUB 2 on /dev/vdb".into()];
    facts.efi.files[0].variable = Some("Boot0003 (debian)".into());
    assert_eq!(refused(&facts, &image(), None, &[]), [""; 0]);
}

#[test]
fn a_refusal_says_what_was_found_and_what_to_do() {
    let mut facts = machine();
    facts.firmware = Firmware::Uefi;
    facts.efi.unknown = Some("BootCurrent cannot be read".into());
    let (image, choices) = (image(), Choices::default());
    let context = Context {
        facts: &facts,
        manifest: &image,
        sizes: SIZES,
        choices: &choices,
        forced: &[],
    };
    let findings = ask_all(&context);
    let finding = findings
        .iter()
        .find(|f| f.verdict == Verdict::Refuse)
        .unwrap();
    assert!(finding.found.is_some() && finding.remedy.is_some());
    assert!(findings
        .iter()
        .filter(|f| f.verdict == Verdict::Pass)
        .all(|f| f.remedy.is_none()));
}

#[test]
fn a_mount_without_a_device_below_a_kept_path_is_refused_unless_its_layers_are_kept() {
    let below = |upper: Option<&str>| {
        let mut facts = machine();
        let mut mount = mounted("/srv/shop", "overlay", None);
        mount.upper = upper.map(str::to_owned);
        facts.mounts.push(mount);
        refused(&facts, &image(), None, &[])
    };
    assert_eq!(below(Some("/srv/layers/7/diff")), [""; 0]);
    assert_eq!(below(Some("/opt/layers/7/diff")), ["keep-mounts"]);
    assert_eq!(below(None), ["keep-mounts"], "nothing says where it writes");
    let mut facts = machine();
    facts.mounts.push(mounted("/srv/pool", "zfs", None));
    assert_eq!(refused(&facts, &image(), None, &[]), ["keep-mounts"]);
}

#[test]
fn a_loop_mount_in_a_kept_file_and_a_snap_are_fine() {
    let mut facts = machine();
    facts
        .mounts
        .push(mounted("/data", "ext4", Some("/srv/vol.img")));
    facts.mounts.push(mounted(
        "/snap/core",
        "squashfs",
        Some("/var/lib/snapd/core.snap"),
    ));
    facts.mounts.push(mounted("/srvother", "ext4", None));
    assert_eq!(refused(&facts, &image(), None, &[]), [""; 0]);
}

#[test]
fn names_of_one_file_take_its_inode_once_and_what_the_wipe_spares_takes_room() {
    let mut facts = machine();
    facts.kept[0].found = Ok(Measure {
        inodes: 1000,
        ..measure(100 * MIB, 2_000_000)
    });
    assert_eq!(fired(&facts, &image()), [""; 0]);
    let plan = needs::stays_on_root(&facts, SIZES, &[]);
    assert!(plan.inodes < 2000, "{plan:?}");
    for spared in [(3900 * MIB, 0), (0, 249_000)] {
        facts.condition.spared = Occupied {
            bytes: spared.0,
            inodes: spared.1,
        };
        assert_eq!(fired(&facts, &image()), ["space"]);
    }
}

/// What is left out is wiped. Only a path that is not there may be, or a name of what is kept under
/// another.
#[test]
fn no_remedy_leaves_out_what_may_hold_data() {
    let may = ["keep", "keep-place"];
    for check in all().filter(|check| !may.contains(&check.code)) {
        for word in ["--no-keep", "leave it out", "keep less", "-l PATH"] {
            assert!(!check.remedy.contains(word), "{}: {word}", check.code);
        }
    }
}

#[test]
fn what_fstab_mounts_below_a_kept_path_is_a_note_and_what_it_does_not_is_a_refusal() {
    let mut facts = machine();
    facts.mounts.push(mounted("/srv/archive", "ext4", None));
    assert_eq!(refused(&facts, &image(), None, &[]), ["keep-mounts"]);
    facts.identity.devices = vec![device("/dev/vdc1", "0a")];
    facts.identity.fstab = "/dev/vdc1 /srv/archive ext4 defaults 0 2\n".into();
    assert_eq!(refused(&facts, &image(), None, &[]), [""; 0]);
    bind(&mut facts, "/srv/shop", "/srv/ftp/shop");
    let shown = facts.mounts.len();
    facts.mounts.push(mounted("/srv/ftp/shop", "ext4", None));
    facts.mounts[shown].bind_of_root = true;
    facts.identity.kept = vec!["/srv".into()];
    assert_eq!(
        refused(&facts, &image(), None, &[]),
        ["keep-mounts", "keep-binds"]
    );
    facts.identity.fstab += "/srv/shop /srv/ftp/shop none bind 0 0\n";
    assert_eq!(fired(&facts, &image()), ["keep-mounted"]);
}

/// The most ordinary layout there is: `/srv` or `/home` on a partition of its own.
#[test]
fn a_kept_path_that_is_a_partition_of_its_own_is_left_alone_where_fstab_mounts_it() {
    for kept in ["/srv", "/srv/shop/orders"] {
        let mut facts = machine();
        facts.kept[0].path = KeepPath::parse(kept).unwrap();
        unkept(&mut facts, UnkeptWay::Mounted);
        facts.mounts.push(mounted("/srv", "ext4", None));
        facts.mounts.push(mounted("/srv/shop", "ext4", None));
        facts.mounts[1].source = "/dev/vdd1".into();
        assert_eq!(refused(&facts, &image(), None, &[]), ["keep-mounts"]);
        facts.identity.devices = vec![device("/dev/vdc1", "0a"), device("/dev/vdd1", "0b")];
        facts.identity.fstab =
            "/dev/vdc1 /srv ext4 defaults 0 2\n/dev/vdd1 /srv/shop ext4 defaults 0 2\n".into();
        assert_eq!(fired(&facts, &image()), ["keep-mounted"], "{kept}");
        let image = image();
        let plan = plan::resolve::resolve(
            &facts,
            &plan::resolve::Inputs {
                manifest: &image,
                manifest_digest: Digest::of(b""),
                sizes: SIZES,
                choices: &Choices::default(),
                run: "20260101T000000Z-0000".into(),
            },
        );
        let plan = plan.unwrap_or_else(|e| panic!("{kept}: {e}"));
        let stays: Vec<_> = plan.keep.iter().map(|k| k.path.as_str()).collect();
        // What the mount point hides is on the root, and stays.
        assert_eq!(stays, ["/srv"]);
        assert_eq!(plan.about_kept.len(), 2, "{:?}", plan.about_kept);
        assert!(plan.about_kept[0].contains("mounted again: /srv (ext4 on /dev/vdc1)"));
    }
}
