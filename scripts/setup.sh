#!/bin/bash
# Installs the packages of scripts/packages.txt that are missing, and nothing else. Where all are
# there it asks nothing of the network and needs no privilege.
set -euo pipefail
list="$(dirname "$0")/packages.txt"

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "setup: this script installs through apt, which is not here; needed are:" >&2
    grep -v '^#' "$list" >&2
    exit 1
fi
if [ "$(uname -m)" != x86_64 ]; then
    echo "setup: reroot builds and runs its virtual machines on x86-64; this is $(uname -m)" >&2
    exit 1
fi
if ! command -v cargo >/dev/null; then
    echo "setup: no cargo in PATH; install a Rust toolchain of 1.91 or later first" >&2
    exit 1
fi

look_for_missing() {
    missing=()
    while read -r package _; do
        case "$package" in '' | '#'*) continue ;; esac
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing+=("$package")
    done <"$list"
}

look_for_missing
if [ ${#missing[@]} -eq 0 ]; then
    echo "setup: all packages are installed"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: not root and no sudo; install these as root: ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
# An ssh server that is installed for the tests serves nobody: its package starts it at once and at each boot,
# unless this file forbids the one and the service is disabled for the other.
policy=/usr/sbin/policy-rc.d
new_server() { [[ " ${missing[*]} " == *" openssh-server "* ]]; }
forbid_starts() {
    [ -e "$policy" ] && return 1
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
}
disable_server() {
    if command -v systemctl >/dev/null; then
        "${as_root[@]}" systemctl --quiet disable ssh.service ssh.socket || true
    elif command -v update-rc.d >/dev/null; then
        "${as_root[@]}" update-rc.d ssh disable || true
    fi
}
install() {
    local forbidden='' status=0
    if new_server && forbid_starts; then forbidden=yes; fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}" || status=$?
    if [ -n "$forbidden" ]; then "${as_root[@]}" rm -f "$policy"; fi
    if [ "$status" -eq 0 ] && new_server; then disable_server; fi
    return "$status"
}

# Twice, because apt may remove one package of the list to install another: a machine can have one
# program of a family from a newer archive than the one that it asks now.
for _ in 1 2; do
    echo "setup: installing ${missing[*]}"
    # The lists may be absent or name versions that the mirror no longer has: fetch them only then.
    if ! install; then
        echo "setup: that did not work with the package lists as they are; fetching them anew"
        "${as_root[@]}" apt-get update
        install
    fi
    look_for_missing
    [ ${#missing[@]} -gt 0 ] || exit 0
done
echo "setup: apt says that it has done it, but these are not installed: ${missing[*]}" >&2
exit 1
