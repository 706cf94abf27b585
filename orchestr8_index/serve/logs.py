"""The log: JSON lines, rotated at midnight, compressed and kept for seven days.

Set up by the command line, never by a constructor. API keys, tokens and home folders are redacted;
query texts are logged at DEBUG only.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import Any

import msgspec

from ..memo import keep
from ..private import make_folder, open_private
from ..redact import redacted_field
from .callers import correlation_id

KEPT_DAYS, MOST_BYTES = 7, 20_000_000
LOOKS_EVERY = 16  # lines between two checks of the file's size
LINE_SECONDS, MOST_KINDS = 1.0, 500
_MORE = {"message", "asctime", "taskName", "color_message"}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | _MORE


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        line |= self._fields(record)
        try:
            return msgspec.json.encode(line).decode()
        except UnicodeEncodeError:  # a lone surrogate, from a file's name
            return json.dumps(line)

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        """The record's message, extra fields and exception, redacted."""
        line: dict[str, object] = {"message": record.getMessage()}
        if ident := correlation_id.get():
            line["correlation_id"] = ident
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return {name: redacted_field(name, value) for name, value in line.items()}


class Repeats(logging.Filter):
    """Lets one line a second through for each kind of error; the next has `repeated`, the number of
    those suppressed. Lines of successful requests all pass."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        fields = vars(record)
        status = fields.get("status", 0)
        if record.levelno <= logging.INFO and not (isinstance(status, int) and status >= 400):
            return True
        failed = record.exc_info[0] if record.exc_info else None
        rest = (fields.get("reason", ""), fields.get("rpc", ""), failed)
        kind = (record.name, record.msg, status, *rest)
        now, (since, more) = self._clock(), self._last.get(kind, (-LINE_SECONDS, 0))
        if now - since < LINE_SECONDS:
            self._last[kind] = (since, more + 1)
            return False
        keep(self._last, MOST_KINDS, kind, (now, 0))
        if more:
            record.repeated = more
        return True


class LogFile(TimedRotatingFileHandler):
    """The log file; `trouble` says why the last line could not be written, "" when it could.

    It also rolls over at MOST_BYTES, replacing the earlier file of that day.
    """

    trouble = ""
    _lines = 0

    def shouldRollover(self, record: logging.LogRecord) -> int:
        """Checks the size at every 16th line only, as that is a system call."""
        self._lines += 1
        looks = self._lines % LOOKS_EVERY == 1
        is_full = looks and self.stream and self.stream.tell() > MOST_BYTES
        return int(is_full or super().shouldRollover(record))

    def _open(self) -> Any:
        text = {"encoding": self.encoding, "errors": self.errors}
        return open(self.baseFilename, "a", opener=open_private, **text)  # type: ignore[call-overload]

    def emit(self, record: logging.LogRecord) -> None:
        self.trouble = ""
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        self.trouble = unwritable(sys.exc_info()[1])

    def reopen_if_gone(self) -> None:
        """Open the file again if it was removed or replaced."""
        if self._is_in_place():
            return
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self.baseFilename), mode=0o700, exist_ok=True)
        with contextlib.suppress(OSError):
            self.close()  # emit opens it again

    def _is_in_place(self) -> bool:
        with contextlib.suppress(OSError):
            status = os.stat(self.baseFilename, follow_symlinks=False)
            return self.stream is None or os.path.samestat(status, os.fstat(self.stream.fileno()))
        return False


class LogNowhere(logging.StreamHandler):  # type: ignore[type-arg]
    """Logs to standard error when the log file cannot be opened; `trouble` says why."""

    def __init__(self, trouble: str) -> None:
        super().__init__()
        self.trouble = trouble

    def reopen_if_gone(self) -> None:
        """Does nothing."""


def unwritable(error: BaseException | None) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    cure = "Free space, or fix the permissions of the folder logs in the data directory."
    return f"The log cannot be written: {why}. {cure}"


def set_up_logs(data_dir: Path, level: str) -> LogFile | LogNowhere:
    """Log to <data_dir>/logs/mcp.log; where that cannot be written, to standard error."""
    handler: LogFile | LogNowhere
    try:
        handler = _file_handler(make_folder(data_dir, "logs") / "mcp.log")
    except OSError as error:
        handler = LogNowhere(f"{unwritable(error)} It goes to standard error.")
    handler.setFormatter(JsonLines())
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("mcp").setLevel(max(root.level, logging.WARNING))  # it logs session ids
    logging.raiseExceptions = False  # a full disk must not end a request
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # no line says where in the code it was written
    return handler


def _file_handler(path: Path) -> LogFile:
    handler = LogFile(path, when="midnight", backupCount=KEPT_DAYS, encoding="utf-8", utc=True)
    handler.namer = _compressed_name
    handler.rotator = _compress
    return handler


def _compressed_name(name: str) -> str:
    return f"{name}.gz"


def _compress(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    with open(source, "rb") as plain, open(target, "xb", opener=open_private) as file:
        with gzip.open(file, "wb") as packed:
            shutil.copyfileobj(plain, packed)
    os.remove(source)
