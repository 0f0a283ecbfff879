"""The night's page as a person sees it, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.browser import Browser

if TYPE_CHECKING:
    from pathlib import Path


def take(address: str, token: str, to: Path, *, machine: str | None = None) -> None:
    """A picture of the night, or of one machine."""
    with Browser() as browser:
        browser.size(1280, 900)
        browser.open(f"{address}/login")
        for name, value in (("name", "ann"), ("token", token)):
            browser.value(f"document.querySelector('[name={name}]').value = '{value}'")
        browser.value("document.querySelector('form').submit()")
        browser.until("location.pathname !== '/login' && document.readyState === 'complete'")
        if machine is not None:
            browser.open(f"{address}/machines/{machine}")
        browser.picture(to, whole=True)
