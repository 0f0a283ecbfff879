# Makes the initramfs of the guest that makes disks, /maker.cpio, from the Debian tree that it runs in, by
# chroot: what mounts the guest's own disk, and then goes into it for the script that it was given.
set -eu

kernel=$(basename /boot/vmlinuz-*)
release=${kernel#vmlinuz-}
out=$(mktemp -d)
mkdir -p $out/bin $out/dev $out/proc $out/sys $out/root $out/modules
cp /bin/busybox $out/bin/busybox
ln -s busybox $out/bin/sh
for driver in virtio_pci virtio_blk crc32c-intel crc32c_generic ext4; do
    # In the order in which they are loaded; one that is built in has no file.
    modprobe -q --set-version "$release" --show-depends "$driver" || true
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >/tmp/order
: >$out/order
for module in $(cat /tmp/order); do
    cp "$module" $out/modules/
    echo "/modules/${module##*/}" >>$out/order
done
cat >$out/init <<'INIT'
#!/bin/sh
# Runs /script in Debian's tree, which is on the first disk, and says how that ended.
PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
while read -r module; do
    busybox insmod "$module" 2>/dev/null
done </order
for try in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vda ] && break
    busybox sleep 1
done
busybox mount -t ext4 /dev/vda /root || exec busybox poweroff -f
for folder in dev proc sys; do
    busybox mount -o move /$folder /root/$folder
done
busybox mount -t tmpfs run /root/run
busybox cp /script /root/run/script
# Nobody is there who would tell device nodes' names to programs of LVM and md: they make them themselves.
DM_DISABLE_UDEV=1 LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /bin/busybox chroot /root /bin/sh -eu /run/script </root/dev/null 2>&1
echo "maker: ended with $?"
busybox sync
exec busybox poweroff -f
INIT
chmod 755 $out/init
(cd $out && find . | LC_ALL=C sort | busybox cpio -o -H newc 2>/dev/null) >/maker.cpio
rm -rf $out /tmp/order
