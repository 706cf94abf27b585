"""logs: show the server's log in the data directory, for a person or a script."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from ..config import LOG_LEVELS, Settings
from ..errors import OperationError
from ..fit import for_terminal
from ..private import open_private
from .options import common
from .paint import echo, echo_json, style

PAUSE = 0.2
COLOURS = {"debug": "blue", "info": "green", "warning": "yellow", "error": "red"}
HEAD = ("time", "level", "logger", "message", "exception", "said")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("-n", "--lines", type=click.IntRange(0), default=50, show_default=True)
@click.option("--level", type=click.Choice(LOG_LEVELS), default="debug", help="At least this.")
@click.option("--questions", is_flag=True, help="The last questions and what was found instead.")
@click.option("--json", "as_json", is_flag=True, help="The lines as they are, one object each.")
@common
def logs(
    settings: Settings, follow: bool, lines: int, level: str, questions: bool, as_json: bool
) -> None:
    """Show the server's log, whether it runs or not. Ctrl-C ends --follow.

    Questions come from the data directory, which only its owner can read; the server tells them to
    nobody.

    \b
    orchestr8-index logs --level warning
    orchestr8-index logs -f
    orchestr8-index logs --questions -n 20
    orchestr8-index logs --json -n 1000 | jq 'select(.rpc == "queryAgents") | .ms'
    """
    if questions:
        for asked in reversed(last_questions(settings, lines)):
            if as_json:
                echo_json(msgspec.json.encode(asked).decode())
            else:
                echo(format_question(asked))
        return
    path = settings.data_dir / "logs" / "mcp.log"
    if not path.exists() and not follow:
        cure = "Start the server with `orchestr8-index up`, or name its --data-dir."
        raise OperationError("There is no log yet.", cure)
    tail = Tail(path)
    shown = (line for line in tail.whole() if _wanted(line, level))
    for line in deque(shown, lines):
        echo_json(line) if as_json else echo(format_line(line))
    if follow:
        _follow(tail, level, as_json)


def _follow(tail: Tail, level: str, as_json: bool) -> None:
    try:
        while True:
            for line in tail.new():
                if _wanted(line, level):
                    echo_json(line) if as_json else echo(format_line(line))
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        echo("", err=True)


def last_questions(settings: Settings, most: int) -> list[dict[str, Any]]:
    """The last questions of the query log, newest first; [] if it cannot be read."""
    from ..store.database import NAME, connect_to_read
    from ..store.notes import last_queries

    path = settings.data_dir / NAME
    if not path.exists():
        return []
    try:
        with contextlib.closing(connect_to_read(path)) as reading:
            return last_queries(reading, most)
    except sqlite3.Error:
        return []


def format_question(asked: Mapping[str, Any]) -> str:
    """A question on one line, without unprintable characters."""
    kind = asked["method"].removeprefix("query").lower()
    first = asked["found"][0] if asked["found"] else "nothing"
    cached = "*" if asked["cached"] else " "
    head = f"{asked['at'][:19].replace('T', ' ')}  {asked['ms']:7.2f} ms {cached}"
    line = f"{head} {kind:9} {asked['text']} → {first}"
    return "".join(letter if letter.isprintable() else " " for letter in line)


class Tail:
    """Follows a log file across its rotation at midnight."""

    def __init__(self, path: Path) -> None:
        self._path, self._place, self._half = path, (0, 0), b""

    def whole(self) -> Iterator[str]:
        """The lines of the rotated files, then those of the current one up to its end."""
        for packed in sorted(self._path.parent.glob(f"{self._path.name}.*.gz")):
            try:
                with gzip.open(packed, "rt", encoding="utf-8", errors="replace") as lines:
                    yield from _stripped(lines)
            except (OSError, EOFError):
                continue  # just being pruned, or cut off
        yield from self.new()

    def new(self) -> Iterator[str]:
        """The complete lines since the last call."""
        try:
            with open(self._path, "rb", opener=open_private) as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._place[0] or status.st_size < self._place[1]:
                    self._place, self._half = (status.st_ino, 0), b""
                file.seek(self._place[1])
                data = self._half + file.read()
                self._place = (status.st_ino, file.tell())
        except OSError:
            return
        *lines, self._half = data.split(b"\n")
        yield from _stripped(line.decode("utf-8", "replace") for line in lines)


def _stripped(lines: Iterable[str]) -> Iterator[str]:
    return (line for each in lines if (line := each.strip()))


def _read(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    return fields if isinstance(fields, dict) else {"message": line}


def _wanted(line: str, level: str) -> bool:
    if level == LOG_LEVELS[0]:
        return True
    said = _read(line).get("level", "error")
    return LOG_LEVELS.index(said if said in LOG_LEVELS else "error") >= LOG_LEVELS.index(level)


def format_line(line: str) -> str:
    """A log line for a person, with an exception below it."""
    fields = _read(line)
    level = str(fields.get("level", ""))
    name = str(fields.get("logger", "")).removeprefix("orchestr8.")
    more = " ".join(f"{key}={_short(value)}" for key, value in fields.items() if key not in HEAD)
    head = style(str(fields.get("time", ""))[:23].replace("T", " "), dim=True)
    shown = f"{head} {style(f'{level:7}', fg=COLOURS.get(level))} {name:6} "
    shown += for_terminal(str(fields.get("message", ""))) + (
        style(f" {more}", dim=True) if more else ""
    )
    under = [str(fields[name]) for name in ("exception", "said") if fields.get(name)]
    return "\n".join([shown, *("    " + part.replace("\n", "\n    ") for part in under)])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = for_terminal(text)
    return text if len(text) <= 200 else text[:199] + "…"
