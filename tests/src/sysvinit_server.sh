# Makes the old server one with sysvinit. Runs on the server by ssh.
set -eu
cd /root/packages

# Unpacked, not installed: their packages would take systemd away, and take minutes for it.
dpkg-deb --fsys-tarfile sysvinit-core_*.deb | tar -xO ./sbin/init >/sbin/sysvinit
chmod 755 /sbin/sysvinit
rm sysvinit-core_*.deb
for package in *.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --exclude './usr/share/*' -C /
done
cd /
rm -r /root/packages

cat >/etc/inittab <<'END'
id:2:initdefault:
si::sysinit:/etc/init.d/rcS
l0:0:wait:/etc/init.d/rc 0
l1:1:wait:/etc/init.d/rc 1
l2:2:wait:/etc/init.d/rc 2
l6:6:wait:/etc/init.d/rc 6
1:2345:respawn:/sbin/getty 38400 tty1
2:23:respawn:/sbin/getty 38400 tty2
T0:23:respawn:/sbin/getty -L ttyS0 115200 vt100
END

# The links of every run level, from what the scripts say of themselves.
cd /etc/init.d
# shellcheck disable=SC2046
insserv -f $(grep -l 'BEGIN INIT INFO' *) >/dev/null 2>&1
ls /etc/rcS.d/S*mountkernfs.sh /etc/rc2.d/S*ssh /etc/rc2.d/S*nginx /etc/rc1.d/K*nginx >/dev/null
# Without the service manager nothing waits for the card's event.
sed -i 's/^allow-hotplug ens3/auto ens3/' /etc/network/interfaces

# Its OpenSSL wants getrandom(2), which is younger than Linux 3.2.
echo /lib/entropy.so >/etc/ld.so.preload

cat >/sbin/floor-init <<'END'
#!/bin/sh
exec /sbin/floor /sbin/sysvinit "$@"
END
chmod 755 /sbin/floor-init
sed -i 's, ro console=, ro init=/sbin/floor-init console=,' /boot/grub/grub.cfg
grep -q init=/sbin/floor-init /boot/grub/grub.cfg
# GRUB replays no journal: the power is cut next, and the files have to be in their places.
sync
fsfreeze --freeze /
fsfreeze --unfreeze /
