# Brings a written network up in a tree, with its own daemon, and prints what the kernel has then.
#
# Runs in mount, network and PID namespaces of its own (unshare). Arguments: the tree, a directory
# with the files that were written, the dialect, and links as NAME=MAC. WAIT_FOR has one text a
# line that ip shows once all is up; DHCP_LINK is a link with a DHCP server at its other end, which has
# places for clients by their names in DHCP_HOSTS, a line each (dnsmasq's --dhcp-host). With ROUTER it
# advertises a prefix. UNPLUGGED is a link without a cable. With UDEV udev runs. ASK has commands whose answers are the last line, with tabs between their
# lines. WATCH is for how many seconds all that is awaited has to be there. CLIENT is the one client of DHCP that
# ifupdown finds. OUT is a directory that gets what is left of it all: the state of the clients below `root`, and the
# server's leases.
# Standard output: one line each of JSON; standard error: whatever the programs say.
set -eu
tree=$1 files=$2 dialect=$3
shift 3

mount --make-rprivate /
mount -t tmpfs none /run
mkdir /run/upper /run/work /run/root
mount -t overlay overlay -o "lowerdir=$tree,upperdir=/run/upper,workdir=/run/work" /run/root
root=/run/root
rm -f "$root/etc/network/interfaces" "$root/etc/resolv.conf"
cp -a "$files"/* "$root/"
mount -t proc proc "$root/proc"
# Where /sys cannot be written, networkd and NetworkManager do not wait for udev.
sys=ro
case $dialect$UDEV in ifupdown* | *yes) sys=rw ;; esac
mount -t sysfs -o "$sys" sysfs "$root/sys"
if [ -z "$UDEV" ]; then
    mount --rbind /dev "$root/dev"
else
    # It hears of every device of this machine, and has none to do something about.
    mount -t tmpfs none "$root/dev"
    for node in null zero random urandom; do
        : >"$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    for rules in "$root"/usr/lib/udev/rules.d/*; do
        case ${rules##*/} in
        75-net-description.rules | 80-net-setup-link.rules | 99-systemd.rules) ;;
        *) rm "$rules" ;;
        esac
    done
fi
mount -t tmpfs none "$root/run"
mkdir -p "$root/run/network" "$root/run/dbus" "$root/run/NetworkManager" "$root/run/dhcpcd" \
    "$root/run/systemd/netif/links" "$root/run/systemd/netif/leases"
chroot "$root" chown -R systemd-network: /run/systemd/netif

for client in dhclient dhcpcd udhcpc; do
    [ "$client" = "${CLIENT:-dhcpcd}" ] || rm -f "$root/usr/sbin/$client" "$root/usr/bin/$client"
done

ip link set lo up
number=0
for link in "$@"; do
    number=$((number + 1))
    name=${link%%=*}
    ip link add name "$name" address "${link#*=}" type veth peer name "peer$number"
    if [ "$name" = "${DHCP_LINK:-}" ]; then
        # The server that knows a client by its identifier, 01 and the MAC address.
        ip netns add server
        ip link set "peer$number" netns server
        ip -n server address add 192.0.2.1/24 dev "peer$number"
        ip -n server address add 2001:db8::1/64 dev "peer$number" nodad
        ip -n server link set "peer$number" up
        hosts=$(printf '%s\n' "${DHCP_HOSTS:-id:01:${link#*=},192.0.2.77}" | sed s/^/--dhcp-host=/)
        six=
        [ -z "${DHCP_HOSTS:-}" ] || six="--dhcp-range=2001:db8::100,2001:db8::1ff,64,2m --enable-ra"
        [ -z "${ROUTER:-}" ] || six="--dhcp-range=2001:db8::,ra-only,64,2m --enable-ra"
        # Neither names nor what they are bound to have blanks.
        # shellcheck disable=SC2086
        ip netns exec server chroot "$root" dnsmasq --keep-in-foreground --port=0 --conf-file=/dev/null \
            --dhcp-leasefile=/run/leases --dhcp-range=192.0.2.100,192.0.2.110,2m $six $hosts \
            --log-facility=- --user=root --interface="peer$number" --bind-dynamic >&2 &
    elif [ "$name" != "$UNPLUGGED" ]; then
        ip link set "peer$number" up
    fi
done

udev() {
    chroot "$root" /usr/lib/systemd/systemd-udevd >&2 &
    # It is asked about what is there already once it listens.
    until [ -e "$root/run/udev/control" ]; do sleep 0.1; done
    for link in "$@"; do
        SYSTEMD_IGNORE_CHROOT=1 chroot "$root" udevadm trigger --action=add --settle "/sys/class/net/${link%%=*}" >&2
    done
    # At boot these are the kernel's own, for whatever is there by then.
    chroot "$root" /usr/lib/systemd/systemd-sysctl >&2
}

netplan() {
    chroot "$root" netplan generate >&2
    # A veth has no permanent address.
    sed -i s/^PermanentMACAddress=/MACAddress=/ "$root"/run/systemd/network/*.network
}

# netplan has files for udev as well.
[ "$dialect" != netplan ] || netplan
[ -z "$UDEV" ] || udev "$@"
case $dialect in
ifupdown) chroot "$root" ifup -a >&2 || echo "ifup: exit status $?" >&2 ;;
networkd | netplan)
    chroot "$root" /usr/lib/systemd/systemd-networkd >&2 &
    ;;
network-manager)
    chroot "$root" dbus-daemon --system --fork >&2
    chroot "$root" NetworkManager --no-daemon --log-level=WARN >&2 &
    ;;
esac

shown() {
    ip address
    ip -4 route show table all
    ip -6 route show table all
    ip -4 rule
    ip -6 rule
    ip neigh show nud permanent
}
is_up() {
    text=$(shown)
    case $text in *tentative*) return 1 ;; esac
    printf '%s\n' "$WAIT_FOR" | while IFS= read -r line; do
        [ -z "$line" ] || case $text in *"$line"*) ;; *) exit 1 ;; esac
    done
}
tries=0
until is_up || [ $tries -ge 100 ]; do
    tries=$((tries + 1))
    sleep 0.2
done

WATCHED=0 MISSED=0
end=$(($(date +%s) + WATCH))
while [ "$(date +%s)" -lt "$end" ]; do
    WATCHED=$((WATCHED + 1))
    is_up || {
        MISSED=$((MISSED + 1))
        shown >&2
    }
    sleep 1
done
export WATCHED MISSED

ip -j -d address
ip -j -4 route show table all
ip -j -6 route show table all
ip -j -4 rule
ip -j -6 rule
if [ "$dialect" = network-manager ]; then
    # Without a daemon's answer there are no connections, and the test says so.
    chroot "$root" nmcli -t -f NAME connection show | sort | tr '\n' ' '
    ! grep -q '^type=bond' "$files"/etc/NetworkManager/system-connections/* ||
        chroot "$root" nmcli -g bond.options connection show bond0 | tr '\n' ' '
fi
echo
[ -z "$UDEV" ] || SYSTEMD_IGNORE_CHROOT=1 chroot "$root" udevadm settle --timeout=20 >&2
chroot "$root" sh -c "$ASK" | tr '\n' '\t'
echo
if [ -n "${OUT:-}" ]; then
    cp "$root/run/leases" "$OUT/leases"
    mkdir -p "$OUT/root"
    (
        cd "$root"
        for path in run/systemd/netif run/dhclient* var/lib/dhcp var/lib/dhcpcd var/lib/NetworkManager \
            etc/dhcp etc/dhcpcd.conf etc/machine-id etc/systemd etc/network etc/NetworkManager \
            sys/class/net/*/ifindex; do
            [ ! -e "$path" ] || cp -r --parents "$path" "$OUT/root/"
        done
    )
fi
