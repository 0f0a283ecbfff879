#!/usr/bin/env python3
"""Stands for a `.reroot` file: keeps a machine's runs beside itself, and does as the machine's fate says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(os.environ["MACHINE"])
STATE = HERE / "state.json"


def load() -> dict[str, object]:
    return json.loads(STATE.read_text()) if STATE.exists() else {"runs": [], "asked": 0, "said": []}


def main() -> int:
    state, (command, *options) = load(), sys.argv[1:]
    fate = (HERE / "fate").read_text().strip()
    runs: list[dict[str, object]] = state["runs"]  # type: ignore[assignment]
    if command == "plan":
        if fate == "refused":
            print("refused: swap", file=sys.stderr)
            return 1
        sums = {"serving_s": 1, "silent_s": 6, "confirm_s": 1, "all_s": 8}
        print(json.dumps({"manifest_digest": "m1", "consent": "1.a.b", "deadlines": sums}))
    elif command in {"go", "rehearse"}:
        wish = dict(zip(options[1::2], options[2::2], strict=False))
        state["said"].append([command, wish["--after"]])  # type: ignore[attr-defined]
        newest = runs[-1]["run"] if runs else "none"
        if fate == "fenced" or wish["--after"] != newest:
            STATE.write_text(json.dumps(state))
            return 5
        ends = "rehearsed" if command == "rehearse" else fate
        runs.append(
            {"run": wish["--run"], "state": "in-progress", "ends": ends, "manifest_digest": "m1"}
        )
        runs[-1] |= {"confirmation": "none", "next": "look", "fell_short": []}
        state["asked"] = 0
    else:
        state["asked"] = int(str(state["asked"])) + 1
        if runs and state["asked"] >= 2:  # type: ignore[operator]
            runs[-1]["state"] = runs[-1].get("ends", runs[-1]["state"])
            runs[-1]["confirmation"] = "passed" if runs[-1]["state"] == "done" else "none"
        print(json.dumps({"newest": runs[-1]["run"] if runs else None, "runs": runs}))
    STATE.write_text(json.dumps(state))
    return 0


if __name__ == "__main__":
    sys.exit(main())
