//! cloud-init in the new OS, and a config drive that has its own idea of the machine: at no boot does
//! it take over, whether the drive is there or not.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use reroot_tests::additions::Additions;
use reroot_tests::confirmed;
use reroot_tests::images::small_trixie_with;
use reroot_tests::old_server::old_server;
use reroot_tests::reinstall::reinstall;
use reroot_tests::snapshot::running_old_server;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

const INSTANCE: &str = "i-0123456789abcdef0";

/// The state that cloud-init leaves on a server that it has set up, once and for all.
const PLANT: &str = r"
set -eu
state=/var/lib/cloud/instances/i-0123456789abcdef0
mkdir -p $state/sem /var/lib/cloud/data /var/lib/cloud/sem /etc/cloud/cloud.cfg.d
for module in ssh set_passwords users_groups write_files runcmd; do
    echo done >$state/sem/config_$module
done
for file in instance-id previous-instance-id; do
    echo i-0123456789abcdef0 >/var/lib/cloud/data/$file
done
echo 'DataSourceConfigDrive: DataSourceConfigDrive [net,ver=2][source=/dev/vdb]' >$state/datasource
ln -sfn $state /var/lib/cloud/instance
echo 'datasource_list: [ ConfigDrive, None ]' >/etc/cloud/cloud.cfg
printf '#!/bin/sh\nexit 0\n' >/usr/bin/cloud-init
chmod 755 /usr/bin/cloud-init
sync
";

/// Another address, another name and new host keys, should anybody believe it.
const META_DATA: &str = r#"{
  "uuid": "i-0123456789abcdef0",
  "instance_id": "i-0123456789abcdef0",
  "hostname": "taken-over",
  "name": "taken-over",
  "launch_index": 0
}"#;
const NETWORK_DATA: &str = r#"{
  "links": [{"id": "l0", "type": "phy", "ethernet_mac_address": "52:54:00:12:34:56", "mtu": 1500}],
  "networks": [{"id": "n0", "type": "ipv4", "link": "l0", "ip_address": "198.51.100.66",
                "netmask": "255.255.255.0", "routes": []}],
  "services": []
}"#;
const USER_DATA: &str = "#cloud-config\n\
    ssh_deletekeys: true\n\
    hostname: taken-over\n\
    write_files:\n- path: /etc/taken-over\n  content: yes\n\
    bootcmd:\n- touch /etc/taken-over\n\
    runcmd:\n- touch /etc/taken-over\n";

/// Who the machine is.
const IDENTITY: &str = "cat /etc/hostname /etc/machine-id; hostname; \
    sha256sum /etc/ssh/ssh_host_*_key /root/.ssh/authorized_keys; \
    getent shadow root alice | cut -d: -f1,2; cat /var/lib/cloud/data/instance-id; \
    readlink -f /var/lib/cloud/instance; ip -4 -o address show scope global | tr -s ' ' | cut -d ' ' -f 2-4";

fn config_drive(directory: &Path) -> Result<()> {
    let latest = directory.join("openstack/latest");
    fs::create_dir_all(&latest)?;
    for (name, text) in [
        ("meta_data.json", META_DATA),
        ("network_data.json", NETWORK_DATA),
        ("user_data", USER_DATA),
    ] {
        fs::write(latest.join(name), text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

/// cloud-init has done all that it does at a boot, and it is nothing.
fn assert_left_alone(machine: &Machine, identity: &str) -> Result<()> {
    // 2 is "done, with complaints".
    let status = machine.ssh("cloud-init status --wait")?;
    ensure!(
        [0, 2].contains(&status.status) && status.stdout.contains("done"),
        "{status:?}"
    );
    assert_eq!(machine.expect(IDENTITY)?, identity);
    machine.expect("test ! -e /etc/taken-over")?;
    let written = machine.expect(
        "find /etc/netplan /etc/network /etc/systemd/network /run/systemd/network \
         /etc/NetworkManager -name '*cloud-init*' 2>/dev/null || true",
    )?;
    ensure!(written.trim().is_empty(), "cloud-init wrote {written}");
    let known = machine.expect("cloud-init query v1.instance_id")?;
    assert_eq!(known.trim(), INSTANCE);
    Ok(())
}

#[test]
#[ignore = "an image and a reinstallation of its own: make prove"]
fn cloud_init_takes_nothing_over_with_a_config_drive_and_without() -> Result<()> {
    let image = small_trixie_with("cloud", &["cloud-init"])?;
    let machine = running_old_server("cloud-init", USUAL_MEMORY_MIB)?;
    machine.script(PLANT)?;
    let drive = machine.file("config-drive");
    config_drive(&drive)?;
    let additions = Additions {
        config_drive: Some(drive),
        ..Additions::default()
    };
    let mut machine =
        machine
            .cut_power()?
            .boot_with(&old_server()?, USUAL_MEMORY_MIB, additions)?;
    machine.wait_for_ssh()?;
    let label = machine.expect("blkid -s LABEL -o value /dev/vdb1 /dev/vdb || true")?;
    ensure!(
        label.trim().eq_ignore_ascii_case("config-2"),
        "the config drive's label: {label:?}"
    );
    let identity = machine.expect(IDENTITY)?;
    reinstall(&mut machine, &image, "")?;
    confirmed::assert_passed(&machine)?;
    assert_left_alone(&machine, &identity)?;

    // The drive is taken away, as providers do after the first boot.
    machine.expect("sync")?;
    let mut machine = machine
        .cut_power()?
        .boot(&old_server()?, USUAL_MEMORY_MIB)?;
    machine.wait_for_ssh()?;
    assert_left_alone(&machine, &identity)?;
    Ok(())
}
