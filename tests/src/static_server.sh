# Makes the old server one with static addresses, a bond, a VLAN, people and services. Runs on the
# server by ssh; the addresses are there after the next boot, with further network cards.
set -eu

# Debian before 9 and many hosters: the kernel's own names.
sed -i 's/ ro console=/ ro net.ifnames=0 console=/' /boot/grub/grub.cfg
grep -q net.ifnames=0 /boot/grub/grub.cfg

cat >/etc/network/interfaces <<'END'
auto lo
iface lo inet loopback

# management
auto eth0
iface eth0 inet dhcp
    metric 500

# the provider's address: its router is in another network
auto eth1
iface eth1 inet static
    address 192.0.2.10/32
    post-up ip route add default via 198.51.100.1 dev eth1 onlink metric 100
    dns-nameservers 198.51.100.53 2001:db8:ffff::53
    dns-search example.net

iface eth1 inet6 static
    address 2001:db8:1::10/128
    accept_ra 0
    post-up ip -6 route add default via 2001:db8:ffff::1 dev eth1 onlink metric 100

# the inside: two cards as one, a VLAN on it, and answers leave where questions came in
auto bond0
iface bond0 inet manual
    pre-up ip link add bond0 address 52:54:00:00:00:07 type bond mode active-backup miimon 100
    pre-up ip link set eth2 down
    pre-up ip link set eth3 down
    pre-up ip link set eth2 master bond0
    pre-up ip link set eth3 master bond0
    up ip link set bond0 up
    post-down ip link delete bond0

auto bond0.100
iface bond0.100 inet static
    pre-up ip link show bond0.100 >/dev/null 2>&1 || ip link add link bond0 name bond0.100 type vlan id 100
    address 203.0.113.10/24
    post-up ip route add 203.0.113.0/24 dev bond0.100 table 100
    post-up ip route add default via 203.0.113.1 dev bond0.100 table 100
    post-up ip rule add from 203.0.113.10 lookup 100 priority 1000
END

# DHCP is not to say who answers names.
cat >/etc/dhcp/dhclient-enter-hooks.d/own-dns <<'END'
make_resolv_conf() { :; }
END
cat >/etc/tmpfiles.d/resolv.conf <<'END'
d /run/resolvconf 0755 root root -
f /run/resolvconf/resolv.conf 0644 root root - search example.net\nnameserver 198.51.100.53\nnameserver 2001:db8:ffff::53\n
END
ln -sfn ../run/resolvconf/resolv.conf /etc/resolv.conf
echo '198.51.100.7 database.example.net database' >>/etc/hosts
ln -sfn /usr/share/zoneinfo/Europe/Madrid /etc/localtime
echo Europe/Madrid >/etc/timezone
echo LANG=de_DE.UTF-8 >/etc/default/locale

# A person with a number of their own, a group of the house, and a name from the old days.
groupadd --gid 2500 builders
useradd --uid 2001 --create-home --shell /bin/bash --groups builders,adm bob
echo 'bob:hammer' | chpasswd
install -d -m 700 -o bob -g bob /home/bob/.ssh
cp /root/.ssh/authorized_keys /home/bob/.ssh/authorized_keys
chown bob:bob /home/bob/.ssh/authorized_keys
echo drawings >/home/bob/drawings
chown bob:builders /home/bob/drawings
LC_ALL=C sed -i "s/^\(bob:[^:]*:[^:]*:[^:]*:\)[^:]*/\1$(printf 'B\366b')/" /etc/passwd
echo '+::::::' >>/etc/passwd
# Those in front of it let port 2222 through alone; bob forwards nothing.
cat >>/etc/ssh/sshd_config <<'END'
Port 22
Port 2222
Match User bob
    AllowTcpForwarding no
END
# From a storage box that counts high.
echo far >/srv/shop/exports/numbered-high
chown 3000000000:3000000001 /srv/shop/exports/numbered-high
# What root once tried: it changes nothing that sshd looks at.
setfacl -m u:alice:--- /etc/ssh/ssh_host_ed25519_key
mkdir -p /etc/shop
echo 'currency = EUR' >/etc/shop/shop.conf

cat >>/etc/fstab <<'END'
LABEL=data /data ext4 defaults,noatime 0 2
UUID=7d1b6cf5-5b84-4e52-9d1b-0f7a3c0c5d11 none swap sw 0 0
END
mkdir -p /data
# Its power is cut next, and GRUB replays no journal: what it reads must be in its place.
sync
fsfreeze --freeze /
fsfreeze --unfreeze /
