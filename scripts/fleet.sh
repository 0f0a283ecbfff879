#!/bin/bash
# The fleet's Python: an environment of its own from the lock file, and what is run in it.
#
#   scripts/fleet.sh test            format, lints, types, tests in their short form
#   scripts/fleet.sh prove           what is tried on a ZooKeeper, and what takes long; installs Java and
#                                    ZooKeeper's library
#   scripts/fleet.sh demo ...        a night of virtual machines; as root, who alone can make their disks
#   scripts/fleet.sh python ...      any program in that environment, from the folder fleet/
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
environment="${CARGO_TARGET_DIR:-$root/target}/fleet-venv"
lock=fleet/requirements.lock

find_python() {
    local python
    for python in python3.13 python3.12 python3.11 python3; do
        if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    echo "fleet: no Python of 3.11 or later with its venv module; install python3-venv" >&2
    exit 1
}

# Made again only when the lock file or the interpreter is another.
prepare() {
    local python stamp pth
    python=$(find_python)
    # Its programs name where it lies: one that was copied or moved would run another tree's code.
    stamp="$("$python" --version) $(sha256sum <"$lock") $environment"
    if [ "$(cat "$environment/stamp" 2>/dev/null)" != "$stamp" ]; then
        echo "fleet: installing from $lock into $environment"
        rm -rf "$environment"
        "$python" -m venv "$environment"
        "$environment/bin/pip" install --quiet --no-compile --disable-pip-version-check --require-hashes -r "$lock"
        printf '%s\n' "$stamp" >"$environment/stamp"
    fi
    # The package itself changes with every commit: take it from where it lies. Another run may be reading it.
    pth="$(echo "$environment"/lib/python3*/site-packages)/reroot_fleet.pth"
    [ "$(cat "$pth" 2>/dev/null)" = "$root/fleet/src" ] || echo "$root/fleet/src" >"$pth"
    printf '#!/bin/sh\nexec "%s" -m reroot_fleet.talk.main "$@"\n' "$environment/bin/python" \
        >"$environment/bin/reroot-fleet"
    chmod +x "$environment/bin/reroot-fleet"
}

prepare
export PATH="$environment/bin:$PATH"
# Compiled once, and not beside the sources; some machines forbid it, and then every process compiles
# all of its libraries anew.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="$environment/pycache"
case "${1:-}" in
test)
    cd fleet
    ruff format --check .
    ruff check .
    mypy
    which='not long and not zookeeper'
    # scripts/setup.sh installs one without starting the system's; who calls this without it may have none.
    if ! [ -x /usr/sbin/sshd ]; then
        echo "fleet: no /usr/sbin/sshd here (package openssh-server): what is tried on an ssh server is left out"
        which+=' and not sshd'
    fi
    # Two at a time: they wait for processes and disks more than they compute.
    pytest -q -n 2 --dist loadfile -m "$which"
    ;;
prove)
    # Not among scripts/packages.txt: nothing else wants Java. The library opens no port of this machine.
    if ! command -v java >/dev/null || ! [ -e /usr/share/java/zookeeper.jar ]; then
        echo "fleet: installing a Java and ZooKeeper's library"
        as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo)
        packages=(default-jre-headless libzookeeper-java)
        install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends)
        # The lists may be absent or old: fetch them only then.
        "${install[@]}" "${packages[@]}" || {
            "${as_root[@]}" apt-get update
            "${install[@]}" "${packages[@]}"
        }
    fi
    cd fleet
    pytest -q -n 2 --dist loadfile -m 'zookeeper or long'
    ;;
demo)
    shift
    cd fleet
    as_root=()
    # What root compiles would be in the way of whoever cleans up.
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -E env PYTHONDONTWRITEBYTECODE=1)
    exec "${as_root[@]}" "$environment/bin/python" -m tests.demo "$@"
    ;;
python)
    shift
    cd fleet
    exec "$environment/bin/python" "$@"
    ;;
*)
    sed -n '2,9p' "$root/scripts/fleet.sh" | sed 's/^# *//' >&2
    exit 2
    ;;
esac
