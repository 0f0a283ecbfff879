# Makes the tree of a tiny OS into a tiny old server. Runs in the tree, by chroot.
set -eu

echo shop1 >/etc/hostname
cat >/etc/hosts <<HOSTS
127.0.0.1 localhost
127.0.1.1 shop1.example.net shop1
HOSTS
echo 6f1d2b4c8e9a4d0fb7c35a1e90d28f64 >/etc/machine-id
case $ROOT_TYPE in
xfs) echo "UUID=$ROOT_UUID / xfs defaults 0 0" >/etc/fstab ;;
btrfs) echo "UUID=$ROOT_UUID / btrfs noatime${NAMED_SUBVOLUME:+,subvol=${NAMED_SUBVOLUME#/}} 0 0" >/etc/fstab ;;
*) echo "UUID=$ROOT_UUID / $ROOT_TYPE errors=remount-ro 0 1" >/etc/fstab ;;
esac
[ -z "$SWAP_UUID" ] || echo "UUID=$SWAP_UUID none swap sw 0 0" >>/etc/fstab
[ -z "$BOOT_UUID" ] || echo "UUID=$BOOT_UUID /boot $ROOT_TYPE defaults 0 2" >>/etc/fstab
[ -z "$HOME_UUID" ] || echo "UUID=$HOME_UUID /home $ROOT_TYPE defaults 0 2" >>/etc/fstab
if [ -n "$ESP_UUID" ]; then
    mkdir -p /boot/efi
    echo "UUID=$ESP_UUID /boot/efi vfat umask=0077 0 1" >>/etc/fstab
fi
[ -z "$MOUNTED" ] || echo "$MOUNTED" >>/etc/fstab
# What goes with the old OS wherever it is, and what stays where /home is not the root's.
touch /opt/of-the-old-os /var/log/of-the-old-os /var/of-the-old-os
mkdir -p /home
echo data >/home/left-alone
cat >/etc/network/interfaces <<INTERFACES
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
INTERFACES

# There is no program for it here; alice's password is `wonderland`.
cat >>/etc/passwd <<PASSWD
mysql:x:111:111:MySQL Server:/nonexistent:/usr/sbin/nologin
shop:x:112:112::/srv/shop:/usr/sbin/nologin
alice:x:1000:1000:Alice:/home/alice:/bin/sh
PASSWD
printf 'mysql:x:111:\nshop:x:112:\nalice:x:1000:\n' >>/etc/group
printf 'mysql:!::\nshop:!::\nalice:!::\n' >>/etc/gshadow
hash='$6$reroottests$WSXSWBFbwoTzrDfWx7hoCBO2uQel7tYxSNJJ/8FWTF0oUVZPoKUt97wvXW3Lpn6P9siEZLNRYnu6DKkRQIOTD.'
for line in 'mysql:!' 'shop:!' "alice:$hash"; do
    echo "$line:19000:0:99999:7:::"
done >>/etc/shadow

mkdir -p /root/.ssh
chmod 700 /root/.ssh
echo "$ROOT_KEY" >/root/.ssh/authorized_keys
chmod 600 /root/.ssh/authorized_keys
# Of every type, here where it costs nothing: an emulated processor makes one of RSA in ten seconds.
ssh-keygen -A >/dev/null

# What grub-install and update-grub leave, made by hand: they want a disk to probe. On a filesystem of its
# own /boot is the top for GRUB.
boot_uuid=$ROOT_UUID boot=$SUBVOLUME/boot flags=
# The initrd loads what Btrfs takes where there are such flags.
[ -z "$SUBVOLUME" ] || flags="rootflags=noatime${NAMED_SUBVOLUME:+,subvol=${NAMED_SUBVOLUME#/}} "
[ -z "$BOOT_UUID" ] || boot_uuid=$BOOT_UUID boot=
mkdir -p /boot/grub
cp -r /usr/lib/grub/i386-pc /boot/grub/i386-pc
kernel=$(basename /boot/vmlinuz-*)
cat >/boot/grub/grub.cfg <<GRUB
set timeout=0
insmod part_msdos
insmod part_gpt
insmod $GRUB_MODULE
search --no-floppy --fs-uuid --set=root $boot_uuid
menuentry 'Debian GNU/Linux' {
    linux $boot/$kernel root=UUID=$ROOT_UUID ro ${flags}net.ifnames=0 console=ttyS0,115200n8 no_timer_check
    initrd $boot/initrd.img-${kernel#vmlinuz-}
}
GRUB
printf 'search.fs_uuid %s root\nset prefix=($root)%s/grub\n' "$boot_uuid" "$boot" >/boot/grub/i386-pc/load.cfg
grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -p /boot/grub -c /boot/grub/i386-pc/load.cfg \
    biosdisk part_msdos part_gpt $GRUB_MODULE search_fs_uuid
