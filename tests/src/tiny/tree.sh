# Picks a tiny OS out of a Debian tree, into /tiny. Runs in that tree, by chroot, and leaves the rest of
# it as it is. What is in it: Debian's kernel for clouds with the modules of a virtual machine, dash, sshd,
# e2fsck, GRUB's tools, what the tests measure kept data with, and busybox as init and for everything else.
set -eu

out=/tiny
kernel=$(basename /boot/vmlinuz-*)
release=${kernel#vmlinuz-}

# What is run, each with the libraries that it is linked with.
programs='dash sshd ssh-keygen e2fsck xfs_repair btrfs lvm mdadm find xargs sort sha256sum b2sum getfattr losetup mount
    umount swapon swapoff
    grub-mkimage grub-editenv grub-mkconfig grub-probe grub-script-check grub-mkrelpath
    grub-install grub-bios-setup update-grub'
helpers='/usr/lib/openssh/sshd-session /usr/lib/openssh/sshd-auth'
# glibc before 2.34 has these apart, and loads them by name.
named='/lib/x86_64-linux-gnu/libnss_files.so.2 /lib/x86_64-linux-gnu/libgcc_s.so.1'
# As they are.
plain='/etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/login.defs /etc/os-release /usr/lib/os-release
    /etc/debian_version /etc/ssh/sshd_config /etc/nsswitch.conf /etc/shells /etc/protocols /etc/services
    /etc/grub.d/00_header /etc/grub.d/10_linux /usr/share/grub/grub-mkconfig_lib /usr/lib/grub/grub-sort-version
    /usr/lib/grub/i386-pc /usr/lib/grub/x86_64-efi /var/lib/dpkg/status'
# The drivers of the virtual machines' disk, network card, random numbers and watchdog, of logical volumes and mirrors,
# and filesystems.
drivers='raid1 dm-mod virtio_pci virtio_blk virtio_net virtio_rng crc32c-intel crc32c_generic ext4 vfat nls_cp437 nls_ascii
    nls_iso8859-1 loop i6300esb efivarfs'
# Loaded where something is on XFS alone: an emulated processor takes two seconds for it. What it does not start
# without is the checksum above.
drivers_of_xfs=xfs
# Loaded where the root is a subvolume alone: what it needs tries out for a second how fast the processor is.
drivers_of_subvolumes=btrfs

mkdir -p $out
cd $out
mkdir -p boot dev etc/network/if-pre-up.d etc/network/if-up.d etc/default/grub.d etc/ssh/sshd_config.d \
    etc/udhcpc etc/motd.d home mnt opt proc root run srv sys tmp usr/bin usr/lib/x86_64-linux-gnu usr/lib64 usr/sbin \
    usr/share var/lib var/log var/cache var/empty
for folder in bin lib lib64 sbin; do
    ln -s usr/$folder $folder
done
ln -s ../run var/run
chmod 700 root
chmod 1777 tmp
# For what runs in the tree before it is booted.
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/urandom c 1 9

for program in $programs; do
    path=$(command -v "$program" || true)
    case $path in
    /*) put "$path" && helpers="$helpers $path" ;;
    esac
done
put_linked $helpers
put $named $plain
rm -f usr/lib/grub/i386-pc/grub-bios-setup
cp -a /bin/busybox usr/bin/busybox
# busybox's own shell would start its own programs before those that are there.
ln -s dash usr/bin/sh
# What is there is Debian's own.
for applet in $(busybox --list); do
    for folder in usr/bin usr/sbin; do
        [ -e $folder/$applet ] && continue 2
    done
    ln -s busybox usr/bin/$applet
done
# Where the firmware of the kernel, the installer and the tests look for these.
ln -s ../bin/busybox usr/sbin/init
for applet in reboot ifup ifdown modprobe; do
    ln -s ../bin/busybox usr/sbin/$applet
done
# GRUB's programs and people call it by these.
for name in pvs vgs lvs; do
    ln -s lvm usr/sbin/$name
done

put /boot/$kernel
modules=usr/lib/modules/$release
mkdir -p $modules
cp /lib/modules/$release/modules.builtin* /lib/modules/$release/modules.order $modules/
# In the order in which they are loaded; one that is built in has no file.
in_order() {
    for driver; do
        modprobe -q --set-version $release --show-depends "$driver" || true
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}
in_order $drivers >order
in_order $drivers_of_xfs >order-of-xfs
in_order $drivers_of_subvolumes >order-of-subvolumes
for module in $(sort -u order order-of-*); do
    # Packed they would have to be unpacked, by a program that is there for nothing else.
    to=$out/$modules/kernel/${module#*/kernel/}
    mkdir -p "${to%/*}"
    case $module in
    *.xz) busybox xzcat "$module" >"${to%.xz}" ;;
    *) cp "$module" "$to" ;;
    esac
done
depmod -b $out/usr $release 2>/dev/null || depmod -b $out $release

# The initrd: not packed, for an emulated processor unpacks slower than it reads.
initrd=$(mktemp -d)
mkdir -p $initrd/bin $initrd/dev $initrd/proc $initrd/sys $initrd/root $initrd/lib/modules/$release
cp usr/bin/busybox $initrd/bin/busybox
ln -s busybox $initrd/bin/sh
cp -a $modules/kernel $initrd/lib/modules/$release/
for program in lvm mdadm; do
    for path in $(ldd $out/usr/sbin/$program | grep -o '/[^ )]*'); do
        mkdir -p $initrd${path%/*}
        cp -L $path $initrd$path
    done
    cp usr/sbin/$program $initrd/bin/$program
done
for list in order order-of-*; do
    sed "s,.*/kernel/,/lib/modules/$release/kernel/,; s,\.xz$,," $list >$initrd/$list
done
cat >$initrd/init <<'INIT'
#!/bin/sh
# Loads every driver, waits for the root that GRUB names, and goes there.
PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
load() {
    while read -r module; do
        busybox insmod "$module" 2>/dev/null
    done <"$1"
}
load /order
for word in $(busybox cat /proc/cmdline); do
    case $word in
    root=UUID=*) wanted=$(echo "${word#root=UUID=}" | busybox tr -d -) ;;
    root=/dev/mapper/*)
        volume=${word#root=/dev/mapper/}
        load /order-of-xfs
        ;;
    rootflags=*) flags=,${word#rootflags=} ;;
    esac
done
[ -z "$flags" ] || load /order-of-subvolumes
# Arrays are put together when there is a second disk, or what there is of them after some seconds. Without a
# superblock the program is not started: of version 1.2 it begins at 4096, of 1.0 some KiB before the end, of 0.90
# in the last 64 KiB that begin at a multiple of as much.
put_arrays_together() {
    for device in $(cd /sys/class/block && echo *[0-9]); do
        [ -e /sys/class/block/$device/partition ] || continue
        size=$(busybox cat /sys/class/block/$device/size)
        for sector in 8 $(((size - 16) / 8 * 8)) $((size / 128 * 128 - 128)); do
            magic=$(busybox hexdump -s $((sector * 512)) -n 4 -e '4/1 "%02x"' "/dev/$device" 2>/dev/null)
            [ "$magic" = fc4e2ba9 ] || continue
            # Meanwhile what is on the one that is there is not taken for a root of its own.
            [ -e /sys/class/block/vdb ] || [ $try -gt 3 ] || return 1
            # By a list of them: without one an older half would become an array of its own beside the newer one.
            mdadm --examine --scan >/arrays
            MDADM_NO_UDEV=1 mdadm --assemble --scan --run --config=/arrays >/dev/console 2>&1
            return 0
        done
    done
}
# A physical volume of LVM has its label in the second sector; without one the program is not started.
put_volumes_together() {
    for device in $(cd /sys/class/block && echo *); do
        label=$(busybox dd if=/dev/$device bs=512 skip=1 count=1 2>/dev/null | busybox head -c 8)
        [ "$label" = LABELONE ] || continue
        DM_DISABLE_UDEV=1 lvm vgchange -q -ay --sysinit
        break
    done
}
# The superblock of ext4 begins at 1024 and has the UUID at 0x68, that of XFS at the start and at 32, that of Btrfs
# at 65536 and 32.
for try in 1 2 3 4 5 6 7 8 9 10; do
    put_arrays_together || { busybox sleep 1; continue; }
    put_volumes_together
    for device in $(cd /sys/class/block && echo *); do
        # GRUB's programs name a volume by group and volume.
        if [ -n "$volume" ]; then
            kind=auto
            [ "$(busybox cat /sys/class/block/$device/dm/name 2>/dev/null)" = "$volume" ] && break 2
            continue
        fi
        for kind in ext4:1128 xfs:32 btrfs:65568; do
            found=$(busybox hexdump -s ${kind#*:} -n 16 -e '16/1 "%02x"' "/dev/$device" 2>/dev/null)
            [ "$found" = "$wanted" ] && break 3
        done
    done
    busybox sleep 1
done
[ "$kind" != xfs:32 ] || load /order-of-xfs
busybox mount -t ${kind%:*} -o "ro$flags" "/dev/$device" /root || exec busybox sh
busybox umount /proc /sys
busybox mount -o move /dev /root/dev
exec busybox switch_root /root /sbin/init
INIT
chmod 755 $initrd/init
(cd $initrd && find . | LC_ALL=C sort | busybox cpio -o -H newc 2>/dev/null) >boot/initrd.img-$release
rm -rf $initrd order order-of-*

# busybox's init does what is here, in this order. Nothing is respawned: what is ended stays ended.
cat >etc/inittab <<'INITTAB'
::sysinit:/usr/sbin/tiny-start
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/sync
::shutdown:/bin/mount -o remount,ro /
INITTAB
# Who asks whether there is something that starts units finds it.
mkdir -p usr/lib/systemd etc/systemd/system
ln -s ../../sbin/units usr/lib/systemd/systemd
ln -s units usr/sbin/systemctl

: >etc/machine-id
cat >etc/default/grub <<'GRUB'
GRUB_DEFAULT=0
GRUB_DISTRIBUTOR=Debian
GRUB
# Behind what the builder writes: nobody is there to choose.
echo GRUB_TIMEOUT=0 >etc/default/grub.d/zz-tiny.cfg
# A name server that does not answer must not delay a login.
echo 'UseDNS no' >etc/ssh/sshd_config.d/tests.conf
# Accounts go by busybox, which knows no PAM.
sed -i 's/^UsePAM yes/UsePAM no/; /^Subsystem/d' etc/ssh/sshd_config
sed -i 's,:/bin/bash$,:/bin/sh,' etc/passwd

find usr boot etc/grub.d -type f ! -name '*.sums' -print0 | LC_ALL=C sort -z |
    xargs -0 b2sum >usr/share/tiny.sums
