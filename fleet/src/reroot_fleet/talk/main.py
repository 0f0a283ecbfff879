"""`reroot-fleet`: all its commands, and how an error is told."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from reroot_fleet.talk import (
    abort,
    accept,
    alert,
    conductor,
    doctor,
    graph,
    halt,
    import_,
    inventory,
    migrate,
    page,
    pause,
    queue,
    report,
    requeue,
    restore,
    resume,
    settle,
    start,
    status,
    survey,
    watch,
    why,
)
from reroot_fleet.values.problem import Problem, Problems

app = typer.Typer(
    name="reroot-fleet",
    help="Reinstall a fleet of running servers, night by night. See docs/fleet.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: dict[str, Callable[..., None]] = {
    "import": import_.import_,
    "survey": survey.survey,
    "accept": accept.accept,
    "queue": queue.queue,
    "start": start.start,
    "pause": pause.pause,
    "resume": resume.resume,
    "halt": halt.halt,
    "abort": abort.abort,
    "requeue": requeue.requeue,
    "settle": settle.settle,
    "restore": restore.restore,
    "status": status.status,
    "watch": watch.watch,
    "why": why.why,
    "graph": graph.graph,
    "report": report.report,
    "alert": alert.alert,
    "conductor": conductor.conductor,
    "inventory": inventory.inventory,
    "page": page.page,
    "doctor": doctor.doctor,
    "migrate": migrate.migrate,
}
for name, command in COMMANDS.items():
    app.command(name)(command)

REFUSED = 1


def run() -> None:
    """Run a command; an error is told once, for the person who has to act."""
    try:
        app()
    except (Problem, Problems) as problem:
        typer.echo(f"reroot-fleet: {problem}", err=True)
        sys.exit(REFUSED)


if __name__ == "__main__":
    run()
