//! What an operator brings for one machine: paths to be carried, an overlay, programs that the run calls. On
//! a tiny machine, each is refused where it must be, and is in the new OS in the end.

use anyhow::{ensure, Context, Result};
use reroot_tests::confirmed;
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::reinstall::{reinstall, start, wait, Outcome, KEEP, LIMIT};
use reroot_tests::tiny;

use crate::layouts::row;

/// What is brought: two paths by name, one of them by a list; an archive with a person's file; a program for each
/// moment, and a check of the new OS that only holds if all of them were called, in their order.
const BRING: &str = r#"set -e
program() { mkdir -p "${1%/*}"; { echo '#!/bin/sh'; cat; } >"$1"; chmod 755 "$1"; }
mkdir -p /etc/shop.d/deep /root/over/etc/shop-over
echo carried >/etc/shop.d/deep/conf
echo listed >/etc/shop-listed
printf '# a comment\n\n/etc/shop-listed\t# 1 KiB\n/etc/shop-is-not-there\n' >/root/list
cd /root/over
echo machine 7 >etc/shop-over/conf
chown alice:alice etc/shop-over/conf
chmod 640 etc/shop-over/conf
program etc/reroot/after-unpack.d/10-mark <<'END'
set -e
grep -q carried /etc/shop.d/deep/conf
test "$REROOT_MOMENT" = after-unpack
if echo x 2>/dev/null >/srv/shop/written; then echo kept trees can be written >/etc/after-unpack; exit 1; fi
echo called >>/etc/after-unpack
sleep 100000 &
END
program etc/reroot/confirm.d/order <<'END'
grep -q first /etc/first-boot || { echo no program was called at the first boot; exit 1; }
END
tar -cf /root/over.tar .
program /etc/reroot/first-boot.d/10-mark <<'END'
set -e
grep -q called /etc/after-unpack
test ! -e /etc/first-boot
echo first >/etc/first-boot
END
program /etc/reroot/before-stop.d/10-mark <<'END'
pidof sshd >/dev/null || exit 1
echo "$REROOT_MOMENT $REROOT_MODE" >/srv/shop/before-stop
END
"#;

const BROUGHT: &str =
    "--carry /etc/shop.d --carry /etc/reroot/first-boot.d --carry-from /root/list \
     --overlay /root/over.tar --entry kexec --payload disk";

#[test]
fn what_an_operator_brings_is_in_the_new_os_and_their_programs_were_called() -> Result<()> {
    let image = tiny_image()?;
    let mut machine = tiny::boot(row("mbr-primary")?, "brought")?;
    machine.script(BRING).context("make what is brought")?;

    // One that refuses: the old OS goes on in the same boot, and nothing was stopped.
    machine.expect(
        "printf '#!/bin/sh\\necho the balancer does not answer\\nexit 1\\n' >/etc/reroot/before-stop.d/05-drain; \
         chmod 755 /etc/reroot/before-stop.d/05-drain",
    )?;
    let started = start(&machine, &image, BROUGHT)?;
    let limit = machine.patience(LIMIT);
    let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;
    ensure!(outcome == Outcome::CameBack(3), "{outcome:?}");
    machine.expect("grep -h 'the balancer does not answer' /.reroot/*-*/launch.log")?;
    machine.expect("test ! -e /srv/shop/before-stop && rm /etc/reroot/before-stop.d/05-drain")?;

    // What the run writes itself is not to be had for either, nor what is kept.
    for (arguments, told) in [
        (
            "--carry /etc/fstab",
            "/etc/fstab is written by the run itself",
        ),
        ("--carry /etc", "/etc has /etc/"),
        (
            "--overlay /root/bad",
            "/srv/shop/index.html is kept as it is",
        ),
    ] {
        machine.expect("mkdir -p /root/bad/srv/shop && echo x >/root/bad/srv/shop/index.html")?;
        let said = machine.ssh(&format!("/root/new.reroot check {KEEP} {arguments}"))?;
        let text = format!("{}{}", said.stdout, said.stderr);
        ensure!(
            said.status == 1 && text.contains(told),
            "{arguments}: {text}"
        );
    }
    let plan = machine.expect(&format!("/root/new.reroot plan {KEEP} {BROUGHT}"))?;
    println!("{plan}");
    for told in [
        "/etc/shop-is-not-there of the carry list is not there",
        "Overlay /root/over.tar: 3 files and links",
        "before-stop ",
        "after-unpack ",
        "first-boot ",
    ] {
        ensure!(plan.contains(told), "{told:?} is missing in\n{plan}");
    }

    reinstall(&mut machine, &image, BROUGHT)?;
    confirmed::assert_passed(&machine)?;
    machine.expect(
        "set -e
         test \"$(cat /srv/shop/before-stop)\" = 'before-stop go'
         test \"$(cat /etc/shop.d/deep/conf)\" = carried
         test \"$(cat /etc/shop-listed)\" = listed
         test \"$(cat /etc/shop-over/conf)\" = 'machine 7'
         test \"$(stat -c '%U %G %a' /etc/shop-over/conf)\" = 'alice alice 640'
         test \"$(cat /etc/after-unpack)\" = called
         test \"$(cat /etc/first-boot)\" = first
         test ! -e /srv/shop/written",
    )?;
    let record = machine.expect("cat /var/log/reroot/*/report.json")?;
    ensure!(
        record.contains("/etc/reroot/first-boot.d/10-mark was called"),
        "{record}"
    );
    let steps = machine
        .expect("cat /var/log/reroot/*/steps-old-os.json /var/log/reroot/*/steps-ram.json")?;
    for step in ["\"before-stop\"", "\"after-unpack\""] {
        ensure!(steps.contains(step), "{step} is missing in {steps}");
    }
    Ok(())
}
