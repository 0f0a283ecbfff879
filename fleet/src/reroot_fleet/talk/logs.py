"""Structured logs: one JSON object a line, for a conductor or a page that nobody looks at."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One JSON object a record: when, how loud, from where, what."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": record.getMessage(),
        }
        for name in ("night", "host", "job", "step", "conductor"):
            if (value := getattr(record, name, None)) is not None:
                line[name] = value
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up(*, plain: bool) -> None:
    """Log to stderr: JSON lines, or plain ones for a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(message)s") if plain else JsonLines()
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Each request and each statement of others is not news.
    for chatty in ("httpx", "alembic", "taskflow", "kazoo", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
