"""Whether an ssh server answers: its first line, and no session.

A machine that boots is asked many times. Each session would count against `MaxStartups`, and each
failure with fail2ban; a connection that is closed after the banner counts least.
"""

from __future__ import annotations

import socket

from reroot_fleet.machine.faults import Fault, MachineFault

LIMIT_S = 5.0


def greet(address: str, port: int, limit_s: float = LIMIT_S) -> str:
    """The banner. A connection that is half open, or that is accepted and says nothing, is silent."""
    attempted = f"read the banner of {address} port {port}"
    try:
        with socket.create_connection((address, port), timeout=limit_s) as stream:
            stream.settimeout(limit_s)
            banner = stream.recv(255)
    except ConnectionRefusedError as error:
        raise MachineFault(Fault.REFUSED, attempted, "nothing listens there") from error
    except TimeoutError as error:
        raise MachineFault(Fault.SILENT, attempted, f"no answer in {limit_s:.0f} s") from error
    except OSError as error:
        raise MachineFault(Fault.SILENT, attempted, str(error)) from error
    if not banner.startswith(b"SSH-"):
        why = "it was closed at once" if not banner else f"it says {banner[:40]!r}"
        raise MachineFault(Fault.SILENT, attempted, why)
    return banner.decode("ascii", "replace").strip()
