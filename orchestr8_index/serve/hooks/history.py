"""Reads past delegations from Claude Code's transcripts, as its hooks would have reported them.

A transcript is a file of JSON lines, `projects/*/*.jsonl` in the host's folder, with prompts, calls
of tools and their results. Only delegations are read. Task ids are those of the hooks, so that no
task is learnt twice. Nothing is written.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ...opening import open_regular
from ...reports import Report
from ...validate import UNDECODABLE
from .delegations import TOOLS, Delegations
from .payloads import ContentBlock, Input, ToolEnded, ToolFailed, ToolResponse, ToolStarting
from .suggest import NOT_A_REQUEST

MOST_FILES, MOST_BYTES, MOST_LINE = 2_000, 256 << 20, 4 << 20
MOST_REPORTS = 5_000
INTERRUPTED = "[Request interrupted"
Knows = Callable[[str], str]
"""Returns an agent's name in the index, "" if it has none."""


class Block(Struct, frozen=True):
    type: str = ""
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"{}")
    tool_use_id: str | None = None
    content: Raw = Raw(b"null")
    is_error: bool | None = None
    text: str | None = None


class TranscriptMessage(Struct, frozen=True):
    content: list[Block] | str | None = None


class TranscriptLine(Struct, rename="camel", frozen=True):
    type: str = ""
    session_id: str | None = None
    timestamp: str | None = None
    cwd: str | None = None
    is_sidechain: bool | None = None
    is_meta: bool | None = None
    message: TranscriptMessage | None = None
    tool_use_result: Raw = Raw(b"null")


_LINE = msgspec.json.Decoder(TranscriptLine)


@dataclass(slots=True)
class History:
    """`reports` in the order in which the tasks ended; `bad` counts lines by their file."""

    reports: list[Report] = field(default_factory=list)
    files: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


def read_history(host_folder: Path, knows: Knows, within: Callable[[str], bool]) -> History:
    """The newest delegations to agents of the index, in folders that are `within` the project."""
    history = History()
    for path in islice(_newest(host_folder / "projects"), MOST_FILES):
        history.files += 1
        history.reports += _Transcript(history, knows, within, path).reports()
    history.reports.sort(key=lambda report: report.occurred_at or 0.0)
    del history.reports[:-MOST_REPORTS]
    return history


def _newest(folder: Path) -> Iterable[Path]:
    found = []
    for path in folder.glob("*/*.jsonl"):
        try:
            status = os.stat(path)
        except OSError:
            continue
        if path.is_file() and status.st_size <= MOST_BYTES:
            found.append((-status.st_mtime, str(path)))
    return (Path(name) for _, name in sorted(found))


class _Transcript:
    def __init__(
        self, history: History, knows: Knows, within: Callable[[str], bool], path: Path
    ) -> None:
        self._history, self._knows, self._within, self._path = history, knows, within, path
        self._delegations = Delegations()
        self._calls: dict[str, Block] = {}

    def reports(self) -> list[Report]:
        found: list[Report] = []
        last = ""
        for line in self._lines():
            last = line.session_id or last
            found += self._of_line(line)
        return found + self._plan(last, found[-1].occurred_at if found else None)

    def _lines(self) -> Iterator[TranscriptLine]:
        try:
            with open(self._path, "rb", opener=open_regular) as file:
                while raw := file.readline(MOST_LINE):
                    if line := self._line(raw):
                        yield line
        except OSError:
            self._history.bad[self._path.name] += 1

    def _line(self, raw: bytes) -> TranscriptLine | None:
        try:
            line = _LINE.decode(raw)
        except UNDECODABLE:
            self._history.bad[self._path.name] += bool(raw.strip())
            return None
        if line.is_sidechain or line.message is None or not self._within(line.cwd or ""):
            return None
        return line

    def _of_line(self, line: TranscriptLine) -> Iterator[Report]:
        """Reports of tasks that end at this line and, at a new prompt, of the plan before it."""
        content = line.message.content if line.message else None
        parts = [Block(type="text", text=content)] if isinstance(content, str) else content or []
        at, session = _seconds(line.timestamp), line.session_id or ""
        if line.type == "user" and not line.is_meta:
            prompt = " ".join(part.text or "" for part in parts if part.type == "text")
            if prompt.strip() and not NOT_A_REQUEST.match(prompt) and INTERRUPTED not in prompt:
                yield from self._plan(session, at)
                self._delegations.turns.begin(session, prompt)
        for part in parts:
            if part.type == "tool_use" and part.name in TOOLS and part.id:
                self._start(session, part)
            elif part.type == "tool_result" and part.tool_use_id in self._calls:
                yield from self._end(session, part, line.tool_use_result, at)

    def _start(self, session: str, part: Block) -> None:
        self._calls[part.id or ""] = part
        event = ToolStarting(session_id=session, tool_name=part.name, tool_use_id=part.id)
        if started := self._delegations.started(event):
            self._delegations.turns.start(session, started.id)

    def _end(self, session: str, part: Block, given: Raw, at: float | None) -> Iterator[Report]:
        call = self._calls.pop(part.tool_use_id or "")
        try:
            report = self._report(session, call, part, given)
        except UNDECODABLE:
            self._history.bad[self._path.name] += 1
            return
        if report is None:
            return
        agent = self._knows(report.agents_used[0])
        ended = self._delegations.end_event(report)
        self._delegations.turns.end(session, ended.id, agent, report.result)
        if agent:
            yield msgspec.structs.replace(report, agents_used=[agent], occurred_at=at)
        else:
            self._history.unknown[report.agents_used[0]] += 1

    def _report(self, session: str, call: Block, part: Block, given: Raw) -> Report | None:
        asked = msgspec.json.decode(call.input, type=Input)
        use: dict[str, Any] = {
            "session_id": session,
            "tool_name": call.name,
            "tool_use_id": call.id,
        }
        content = msgspec.json.decode(part.content, type=list[ContentBlock] | str | None)
        text = ToolResponse(content=content).text
        if part.is_error:
            stopped = INTERRUPTED in text or "doesn't want to proceed" in text
            failed = ToolFailed(tool_input=asked, error=text, is_interrupt=stopped, **use)
            return self._delegations.failed(failed)
        try:
            response = msgspec.json.decode(given, type=ToolResponse)
        except UNDECODABLE:
            response = ToolResponse()
        if not response.text:
            response = msgspec.structs.replace(response, content=content)
        return self._delegations.ended(ToolEnded(tool_input=asked, tool_response=response, **use))

    def _plan(self, session: str, at: float | None) -> list[Report]:
        self._delegations.turns.over(session)
        plan = self._delegations.turns.plan(session)
        return [msgspec.structs.replace(plan, occurred_at=at)] if plan else []


def _seconds(timestamp: str | None) -> float | None:
    try:
        return max(0.0, datetime.fromisoformat(timestamp).timestamp()) if timestamp else None
    except (ValueError, OverflowError):
        return None
