"""Arrows go downwards only, and no two files import each other in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src"
# Each may import what stands behind it, itself, and nothing else of the fleet.
BELOW: dict[str, tuple[str, ...]] = {
    "values": (),
    "policy": ("values",),
    "memory": ("policy", "values"),
    "machine": ("values",),
    "board": ("memory", "values"),
    "flow": ("board", "machine", "memory", "policy", "values"),
    "conductor": ("flow", "board", "machine", "memory", "policy", "values"),
    "simulation": ("conductor", "flow", "board", "machine", "memory", "policy", "values"),
    "alerts": ("memory", "policy", "values"),
    "page": ("alerts", "memory", "policy", "values"),
    "talk": (
        "page",
        "alerts",
        "conductor",
        "flow",
        "board",
        "machine",
        "memory",
        "policy",
        "values",
    ),
}
FILES = sorted(ROOT.glob("reroot_fleet/*/**/*.py"))


def imports(file: Path) -> set[str]:
    """The fleet's modules that a file imports while it runs, not only for types."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reroot_fleet."):
            found |= {f"{node.module}.{name.name}" for name in node.names} | {str(node.module)}
    return {name for name in found if _path(name) is not None}


def _path(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.exists()), None)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT / "reroot_fleet")))
def test_a_file_imports_only_what_is_below_it(file: Path) -> None:
    room = file.relative_to(ROOT / "reroot_fleet").parts[0]
    allowed = {room, *BELOW[room]}
    used = {name.split(".")[1] for name in imports(file)}
    assert used <= allowed


def test_no_two_files_import_each_other_in_a_circle() -> None:
    graph: dict[Path, set[Path]] = {}
    for file in FILES:
        needs = {_path(name) for name in imports(file) if not _only_for_types(file, name)}
        graph[file] = {n for n in needs if n is not None and n.name != "__init__.py"} - {file}
    done: set[Path] = set()

    def visit(file: Path, above: tuple[Path, ...]) -> None:
        assert file not in above, " → ".join(f.name for f in (*above, file))
        if file not in done:
            for other in graph.get(file, ()):
                visit(other, (*above, file))
            done.add(file)

    for file in FILES:
        visit(file, ())


def _only_for_types(file: Path, name: str) -> bool:
    """Whether it is imported under `if TYPE_CHECKING`."""
    for node in ast.parse(file.read_text()).body:
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node) if not guarded else ():
            if isinstance(inner, ast.ImportFrom) and name.startswith(str(inner.module)):
                return False
    return True
