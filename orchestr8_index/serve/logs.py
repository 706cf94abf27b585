"""What is written down? JSON lines, rotated at midnight, seven days kept and compressed.

Set up by the command line, never by a constructor. Query texts are not logged.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import shutil
from datetime import UTC, datetime
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path

import msgspec

from .gate.caller import correlation_id

KEPT_DAYS = 7
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if ident := correlation_id.get():
            line["correlation_id"] = ident
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode("utf-8", "replace")


def set_up_logs(data_dir: Path, level: str) -> None:
    """Log to <data_dir>/logs/mcp.log; where that cannot be written, to standard error."""
    folder = data_dir / "logs"
    handler: logging.Handler
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _file_handler(folder / "mcp.log")
    except OSError:
        handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.raiseExceptions = False  # a full disk must not end a request


def _file_handler(path: Path) -> logging.Handler:
    handler = TimedRotatingFileHandler(
        path, when="midnight", backupCount=KEPT_DAYS, encoding="utf-8", utc=True
    )
    handler.namer = _compressed_name
    handler.rotator = _compress
    with contextlib.suppress(OSError):
        os.chmod(path, 0o600)
    return handler


def _compressed_name(name: str) -> str:
    return f"{name}.gz"


def _compress(source: str, target: str) -> None:
    with open(source, "rb") as plain, gzip.open(target, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    os.remove(source)
