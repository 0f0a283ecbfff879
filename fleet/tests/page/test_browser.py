"""The page in a real browser: by script and without one, on a wall and on a phone, dark and light."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import uvicorn

from reroot_fleet.alerts.metrics import registry
from reroot_fleet.memory import events
from reroot_fleet.memory.database import Memory, open_memory
from reroot_fleet.page.app import app
from reroot_fleet.page.guard import Guard
from reroot_fleet.values.event import Event, What
from tests.page.browser import Browser
from tests.page.scene import NIGHT, paint
from tests.services.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class Served:
    """A page on a port of loopback."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        guard = Guard("s3cret", "", (), public_metrics=False)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        config = uvicorn.Config(
            app(memory, guard, now, registry(memory, now)),
            host="127.0.0.1",
            port=port,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.05)

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    memory = open_memory(f"sqlite:///{tmp_path_factory.mktemp('page')}/fleet.sqlite")
    paint(memory, now())
    page = Served(memory)
    yield page
    page.end()
    memory.close()


@pytest.fixture(scope="module")
def browser(served: Served) -> Iterator[Browser]:
    with Browser() as opened:
        _log_in(opened, served)
        yield opened


def _log_in(browser: Browser, served: Served) -> None:
    browser.open(f"{served.address}/nights/{NIGHT}")
    for name, value in (("name", "alice"), ("token", "s3cret")):
        browser.value(f"document.querySelector('[name={name}]').value = '{value}'")
    browser.value("document.querySelector('button').click()")
    browser.until("location.pathname.startsWith('/nights/')")
    browser.until("document.readyState === 'complete'")


@pytest.mark.parametrize("path", [f"/nights/{NIGHT}", "/machines/web005", "/nights"])
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (390, "light"), (1920, "dark")])
def test_nothing_sticks_out_and_everything_can_be_read(
    browser: Browser, served: Served, path: str, width: int, scheme: str
) -> None:
    browser.size(width, 900, scheme=scheme)
    browser.open(served.address + path)
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(_POOR_CONTRAST) == []


def test_the_page_tells_of_what_happens_by_itself(browser: Browser, served: Served) -> None:
    browser.size(1400, 900)
    browser.open(f"{served.address}/nights/{NIGHT}")
    browser.until("document.querySelector('#live').textContent === 'live'")
    with served.memory.begin() as c:
        note = Event(now(), "alice", What.NOTE, NIGHT, detail={"text": "the lights went out"})
        events.append(c, note)
    browser.until("document.body?.textContent.includes('the lights went out')")


def test_a_pause_is_given_with_a_reason(browser: Browser, served: Served, tmp_path: Path) -> None:
    browser.size(1400, 900)
    browser.open(f"{served.address}/nights/{NIGHT}")
    browser.value("document.querySelector('form[action$=pause] [name=why]').value = 'a look'")
    browser.value("document.querySelector('form[action$=pause] button').click()")
    browser.until("document.body?.textContent.includes('operator alice: a look')")
    browser.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_without_scripts_it_can_be_read_and_comes_again_by_itself(served: Served) -> None:
    with Browser(scripts=False) as browser:
        # Forms work without scripts too; here the test itself fills it in, from outside the page.
        browser.ask("Network.enable")
        cookie = Guard("s3cret", "", (), public_metrics=False).cookie("alice")
        browser.ask("Network.setCookie", name="reroot_fleet", value=cookie, url=served.address)
        browser.open(f"{served.address}/nights/{NIGHT}")
        assert browser.value("document.body.innerText.includes('1 of 2 held')")
        assert browser.value("document.querySelector('meta[http-equiv=refresh]') !== null")


# Text whose contrast with its ground is below 4.5 (3 where it is large), by the formula of WCAG.
_POOR_CONTRAST = """
(() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const light = ([r, g, b]) => {
    const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c[3] > 0.99) return c;
    }
    return [255, 255, 255, 1];
  };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(parse(style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 ||
      (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const told = `${e.className} ${e.textContent.slice(0, 30)} ${ratio.toFixed(2)}`;
    if (ratio < (large ? 3 : 4.5)) poor.push(told);
  }
  return [...new Set(poor)].slice(0, 8);
})()
"""
