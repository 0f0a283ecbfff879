"""Where the parts of a fleet are: one TOML file, `fleet.toml`, and what it may say.

Secrets are not in it but in files that it names. What it does not say has a default that works on
one machine, for a first try.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from reroot_fleet.values.problem import Place, Problem


@dataclass(frozen=True, slots=True)
class PageSettings:
    """The night's page."""

    listen: str = "127.0.0.1:8420"
    link: str = "http://127.0.0.1:8420"
    """How people reach it; alerts link to it."""
    token_file: str = ""
    """Who knows the token in it may log in."""
    user_header: str = ""
    """Set by a reverse proxy that has logged the person in, for example `X-Remote-User`."""
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses that the header is believed from."""
    public_metrics: bool = False
    """Give `/metrics` to anybody; else it wants the token as a bearer."""


@dataclass(frozen=True, slots=True)
class PagerDutySettings:
    """PagerDuty, Events API version 2."""

    routing_key_file: str = ""
    """Empty: it is not used."""
    address: str = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Any program that takes JSON."""

    address: str = ""
    """Empty: it is not used."""
    secret_file: str = ""
    """Signs the body: `X-Reroot-Signature: sha256=…`."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Mail, through a server that takes it."""

    to: tuple[str, ...] = ()
    """Empty: it is not used."""
    sender: str = "reroot-fleet@localhost"
    server: str = "localhost:25"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `fleet.toml` says."""

    database: str = "sqlite:///fleet.sqlite"
    """`postgresql://user@host/name`, or for a first try `sqlite:///file`."""
    board: str = "redis://127.0.0.1:6379/0"
    """`redis://`, `rediss://`, or `zookeeper://host:port,host:port/path`."""
    images: str = "images"
    """A directory of `.reroot` files."""
    slots: int = 200
    """How many machines one conductor holds at once."""
    page: PageSettings = field(default_factory=PageSettings)
    pagerduty: PagerDutySettings = field(default_factory=PagerDutySettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    mail: MailSettings = field(default_factory=MailSettings)


_PARTS = {
    "page": PageSettings,
    "pagerduty": PagerDutySettings,
    "webhook": WebhookSettings,
    "mail": MailSettings,
}


def parse_settings(text: str, file: str, environment: Mapping[str, str]) -> Settings:
    """Read the file; `REROOT_FLEET_DATABASE`, `…_BOARD` and `…_IMAGES` win over it."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Problem("read the fleet's settings", str(error), at=Place(file)) from error
    values = _read(Settings, found, "", file)
    for name in ("database", "board", "images"):
        if value := environment.get(f"REROOT_FLEET_{name.upper()}"):
            values[name] = value
    return Settings(**values)


def _read(kind: type[Any], found: Mapping[str, Any], where: str, file: str) -> dict[str, Any]:
    defaults = {f.name: _default(kind, f.name) for f in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in found.items():
        path = f"{where}{name}"
        if name not in defaults:
            raise _wrong(file, f"it says `{path}`, which is no setting", sorted(defaults))
        if name in _PARTS and not where:
            if not isinstance(value, dict):
                raise _wrong(file, f"`{path}` should be a table")
            part = _PARTS[name]
            values[name] = part(**_read(part, value, f"{name}.", file))
            continue
        values[name] = _value(file, path, value, defaults[name])
    return values


def _value(file: str, path: str, value: object, default: object) -> object:
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(value)
        raise _wrong(file, f"`{path}` should be a list of strings")
    if type(value) is not type(default):
        raise _wrong(file, f"`{path}` should be a {type(default).__name__}")
    return value


def _default(kind: type[Any], name: str) -> object:
    return getattr(kind(), name)


def _wrong(file: str, why: str, known: list[str] | None = None) -> Problem:
    then = f"there are {', '.join(known)}" if known else ""
    return Problem("read the fleet's settings", why, at=Place(file), then=then)
