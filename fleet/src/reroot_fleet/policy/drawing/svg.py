"""A little SVG: boxes, lines and words, with one style for light and dark."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

STYLE = """
svg { --ground: #fff; --card: #f3f5f8; --ink: #1a1e24; --soft: #5b6572; --line: #c3cad3;
  --idle: #7a8593; --busy: #1763b8; --good: #1a7438; --warn: #8a5a00; --bad: #b3202a;
  --idle-ground: #eceff2; --busy-ground: #e3eefb; --good-ground: #e0f3e5; --warn-ground: #fdf0d2;
  --bad-ground: #fde4e4; font-family: system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ground: #12161b; --card: #1b2027; --ink: #e7ebf0;
  --soft: #9aa5b3; --line: #46505d; --idle: #95a1b0; --busy: #7cb8ff; --good: #74d493;
  --warn: #f2c265; --bad: #ff8f8f; --idle-ground: #262d36; --busy-ground: #16304d;
  --good-ground: #143322; --warn-ground: #3b2d0d; --bad-ground: #4a171b; } }
.ground { fill: var(--ground); } .card { fill: var(--card); } text { fill: var(--ink); }
text.soft { fill: var(--soft); } .line { stroke: var(--line); fill: none; }
.edge { stroke: var(--soft); fill: none; stroke-width: 1.4; } .dash { stroke-dasharray: 5 4; }
.tip { fill: var(--soft); }
rect.idle { fill: var(--idle-ground); stroke: var(--idle); }
rect.busy { fill: var(--busy-ground); stroke: var(--busy); }
rect.good { fill: var(--good-ground); stroke: var(--good); }
rect.warn { fill: var(--warn-ground); stroke: var(--warn); }
rect.bad { fill: var(--bad-ground); stroke: var(--bad); }
path.bad, line.bad { stroke: var(--bad); fill: none; } path.warn { stroke: var(--warn); fill: none; }
text.idle { fill: var(--idle); } text.busy { fill: var(--busy); } text.good { fill: var(--good); }
text.warn { fill: var(--warn); } text.bad { fill: var(--bad); }
"""
TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
)
WIDE = 0.56
"""Of a letter, in its size; system fonts differ, and this one is on the wide side."""


@dataclass(slots=True)
class Picture:
    """What is drawn, in its order."""

    width: float
    height: float
    title: str
    says: str
    """The picture in words, for who does not see it."""
    parts: list[str] = field(default_factory=list)

    def box(
        self, x: float, y: float, width: float, height: float, kind: str, *, round_: float = 4
    ) -> None:
        """A box of a kind: `card`, or a tone."""
        self.parts.append(
            f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" '
            f'height="{_n(height)}" rx="{_n(round_)}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        kind: str = "",
        *,
        size: float = 12,
        bold: bool = False,
        anchor: str = "start",
        room: float | None = None,
    ) -> None:
        """Words, cut to their room."""
        shown = words if room is None else cut(words, room, size)
        more = f"<title>{escape(words)}</title>" if shown != words else ""
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"{weight} '
            f'text-anchor="{anchor}">{escape(shown)}{more}</text>'
        )

    def path(self, d: str, kind: str = "edge", *, tip: bool = False) -> None:
        """A line."""
        end = ' marker-end="url(#tip)"' if tip else ""
        self.parts.append(f'<path class="{kind}" d="{d}"{end}/>')

    def svg(self) -> str:
        """The file."""
        size = f'width="{_n(self.width)}" height="{_n(self.height)}"'
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(self.width)} '
            f'{_n(self.height)}" {size} role="img" aria-labelledby="title desc">\n'
            f'<title id="title">{escape(self.title)}</title>\n'
            f'<desc id="desc">{escape(self.says)}</desc>\n'
            f'<style>{STYLE}</style>{TIP}\n<rect class="ground" {size}/>\n{body}\n</svg>\n'
        )


def cut(words: str, room: float, size: float) -> str:
    """Words that fit into a room."""
    letters = max(1, int(room / (size * WIDE)))
    return words if len(words) <= letters else f"{words[: letters - 1].rstrip()}…"


def wrap(words: str, room: float, size: float, most: int = 3) -> list[str]:
    """Words in lines that fit; the last of `most` lines is cut."""
    letters, lines = max(8, int(room / (size * WIDE))), [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > letters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    if len(lines) > most:
        lines[most - 1 :] = [" ".join(lines[most - 1 :])]
    return [cut(line, room, size) for line in lines]


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
