# Makes a bare Debian tree into the old server of the tests. Runs in the tree, by chroot.
set -eu

echo shop1 >/etc/hostname
cat >/etc/hosts <<HOSTS
127.0.0.1 localhost
127.0.1.1 shop1.example.net shop1
::1 localhost ip6-localhost ip6-loopback
HOSTS
echo 6f1d2b4c8e9a4d0fb7c35a1e90d28f64 >/etc/machine-id
echo "UUID=$ROOT_UUID / ext4 errors=remount-ro 0 1" >/etc/fstab
cat >/etc/network/interfaces <<INTERFACES
auto lo
iface lo inet loopback

allow-hotplug ens3
iface ens3 inet dhcp
INTERFACES

# The DHCP client of this release now and then misses that its socket has something to read: two of its
# threads race, and it takes none of the offers that reach its card. It is asked anew.
install -d /usr/lib/dhclient
mv /sbin/dhclient /usr/lib/dhclient/dhclient
cat >/sbin/dhclient <<'DHCLIENT'
#!/bin/sh
# It goes to the background, and this ends, once it has an address.
for try in 1 2 3 4; do
    timeout -s KILL 30 /usr/lib/dhclient/dhclient "$@" && exit 0
done
exec /usr/lib/dhclient/dhclient "$@"
DHCLIENT
chmod 755 /sbin/dhclient

# The database's package is not installed: it is its files that matter, and who owns them.
useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin --comment "MySQL Server" mysql
useradd --create-home --shell /bin/bash --comment "Alice" alice
useradd --system --home-dir /srv/shop --shell /usr/sbin/nologin shop
echo 'alice:wonderland' | chpasswd

install -d -m 700 /root/.ssh
echo "$ROOT_KEY" >/root/.ssh/authorized_keys
chmod 600 /root/.ssh/authorized_keys
# A name server that does not answer must not delay a login.
echo 'UseDNS no' >/etc/ssh/sshd_config.d/tests.conf

cat >/etc/nginx/sites-available/default <<NGINX
server {
    listen 80 default_server;
    root /srv/shop/www;
}
NGINX

# Nothing may start by the clock while a test runs.
for timer in apt-daily.timer apt-daily-upgrade.timer man-db.timer e2scrub_all.timer fstrim.timer \
    logrotate.timer; do
    ln -sf /dev/null "/etc/systemd/system/$timer"
done

# What grub-install and update-grub leave, made by hand: they want a disk to probe.
mkdir -p /boot/grub
cp -r /usr/lib/grub/i386-pc /boot/grub/i386-pc
kernel=$(basename "$(ls /boot/vmlinuz-* | tail -n 1)")
cat >/boot/grub/grub.cfg <<GRUB
set timeout=0
insmod part_msdos
insmod ext2
search --no-floppy --fs-uuid --set=root $ROOT_UUID
menuentry 'Debian GNU/Linux' {
    linux /boot/$kernel root=UUID=$ROOT_UUID ro console=tty0 console=ttyS0,115200n8 no_timer_check
    initrd /boot/initrd.img-${kernel#vmlinuz-}
}
GRUB
grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -p '(hd0,msdos1)/boot/grub' \
    biosdisk part_msdos ext2
cp /usr/lib/grub/i386-pc/boot.img /boot/grub/i386-pc/boot.img
