"""What is said to a machine through ssh, as text: pure, so that a test can read it.

Every word that comes from outside is quoted. The remote side is any `sh`; nothing is installed there
but the `.reroot` file itself, under a name that says its digest.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from reroot_fleet.machine.seam import STALE_TICKET, Order, Wishes

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = "/var/tmp/reroot-fleet"  # noqa: S108 - the machine's, made with mode 700
"""On the old OS's root, so that it is wiped with it; not on a tmpfs, which may be noexec and small."""

LOOKED = "reroot-fleet-look"
"""The first word of what `look` prints, whatever a login's greeting has printed before."""


def image_path(digest: str) -> str:
    """Where the image of a digest is."""
    return f"{HOME}/{digest[:32]}.reroot"


def partial_path(digest: str) -> str:
    """Where it is while it is copied."""
    return f"{HOME}/{digest[:32]}.partial"


def look(digest: str, run: str | None = None) -> str:
    """Boot, uptime, whether the image is there, and the status, in one session.

    In the old OS the image tells the status, in the new one what it left among the run's records. The
    RAM environment runs no shell: it answers the last words, whatever comes before them.
    """
    image = shlex.quote(image_path(digest))
    places = [image]
    if run is not None:
        places += [shlex.quote(f"{at}/{run}/reroot") for at in ("/var/log/reroot", "/.reroot")]
    tries = " ".join(places)
    return (
        f"echo {LOOKED} $(cat /proc/sys/kernel/random/boot_id) $(cut -d' ' -f1 /proc/uptime)"
        f" $(test -x {image} && echo there || echo absent)"
        f" $(ls -l /proc/[0-9]*/exe 2>/dev/null | grep -qF {image} && echo busy || echo idle);"
        f" for teller in {tries} /var/log/reroot/*/reroot /.reroot/*/reroot"
        f" {shlex.quote(HOME)}/*.reroot;"
        ' do test -x "$teller" && break; teller=; done;'
        ' test -n "$teller" || { echo none; exit 0; }; exec "$teller" status --json'
    )


def ask(word: str, wishes: Wishes) -> str:
    """`check --json` or `plan --json`."""
    return f"{shlex.quote(image_path(wishes.image))} {word} --json{_options(wishes)}"


def begin(word: str, order: Order) -> str:
    """`go` or `rehearse`, behind the ticket: it is good in one boot, and for a short time of it."""
    ticket = order.ticket
    fence = f" --after {shlex.quote(order.after or 'none')} --run {shlex.quote(order.run)}"
    if order.consent is not None:
        fence += f" --consent {shlex.quote(order.consent)}"
    return (
        f"test $(cat /proc/sys/kernel/random/boot_id) = {shlex.quote(ticket.boot)}"
        f" && test $(cut -d. -f1 /proc/uptime) -le {int(ticket.best_before_s)}"
        f" || {{ echo 'the order is past its best; nothing was done' >&2; exit {STALE_TICKET}; }};"
        f" exec {shlex.quote(image_path(order.wishes.image))} {word} --yes{fence}"
        f"{_options(order.wishes)}"
    )


def make_home() -> str:
    """The directory of the fleet's own."""
    return f"umask 077 && mkdir -p {HOME}"


def put_in_place(digest: str) -> str:
    """Compares what was copied with its digest, and gives it its name: whole or not at all."""
    partial, image = shlex.quote(partial_path(digest)), shlex.quote(image_path(digest))
    return (
        f'test "$(sha256sum < {partial} | cut -d" " -f1)" = {shlex.quote(digest)}'
        f" && chmod 700 {partial} && sync && mv -f {partial} {image}"
        f" || {{ echo 'what was copied has another digest' >&2; exit 1; }}"
    )


def clear(digest: str) -> str:
    """Removes the fleet's own files."""
    return f"rm -f {shlex.quote(image_path(digest))} {shlex.quote(partial_path(digest))}"


def _options(wishes: Wishes) -> str:
    words: list[str] = []
    if wishes.entry:
        words += ["--entry", wishes.entry]
    words += _each("--keep", wishes.keep) + _each("--force", wishes.force)
    return "".join(f" {shlex.quote(w)}" for w in words)


def _each(option: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
