"""Runs builds in a child process: starts it, reads its lines, and copes with its death.

A file that the child was reading when it died is suspected; if it dies a second time on the same
file, or hangs on it, the file is skipped with that reason and the build runs again.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from ..config import REPOSITORY, Settings, inherited_environment
from ..errors import BuildFailed
from ..records import Poison
from .build_lines import AHEAD, GONE, BuildLine, BuildRequest, Note, read_note

HANG_SECONDS = 10.0
MAX_ATTEMPTS = 20
_START = (
    "import sys; sys.path.append(sys.argv[1]);"
    "from orchestr8_index.catalog.build import main; sys.exit(main())"
)
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}  # the matrices are too small for more
COMMAND = (sys.executable, "-P", "-c", _START, str(REPOSITORY))


@dataclass(slots=True)
class BuildChild:
    """One child process. `load` starts it; `wait` blocks its thread until the child ends."""

    command: Sequence[str] = COMMAND
    hang_seconds: float = HANG_SECONDS
    on_line: Callable[[BuildLine], None] = lambda line: None
    _process: subprocess.Popen[bytes] | None = None
    _note: str = ""
    _stderr: IO[bytes] | None = None
    _hung: Note | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def load(self, ahead: bool = False) -> BuildChild:
        """Start the process without a request; `ahead`: meanwhile it imports what it may need."""
        try:
            self._stderr = tempfile.TemporaryFile()
            self._process = subprocess.Popen(
                (*self.command, AHEAD) if ahead else self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=_ONE_THREAD | inherited_environment(),
            )
        except OSError as error:
            self._close()
            raise BuildFailed(f"The build cannot be started: {error.strerror}.") from None
        return self

    def send(self, request: BuildRequest) -> None:
        assert self._process and self._process.stdin
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(msgspec.json.encode(request))

    def wait(self) -> BuildLine:
        """The child's result. Raises BuildFailed, whose `reading` names a file to blame, if any."""
        process = self._process
        assert process and process.stdout
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        last = self._listen(process.stdout)
        status = process.wait()
        self._ended.set()
        watch.join()
        try:
            if status == 0:
                return last
            raise self._failure(status, last)
        finally:
            self._close()

    def _listen(self, lines: IO[bytes]) -> BuildLine:
        """The last valid line; other output (of imports, or cut by a signal) is ignored."""
        last = BuildLine()
        for raw in lines:
            with contextlib.suppress(msgspec.DecodeError):
                last = msgspec.json.decode(raw, type=BuildLine)
                self._note = last.note or self._note
                self.on_line(last)
        return last

    def _close(self) -> None:
        for pipe in (self._process and self._process.stdout, self._stderr):
            if pipe:
                pipe.close()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def dismiss(self) -> None:
        """End a child that got no request."""
        self.stop()
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait()
        self._close()

    def _watch(self) -> None:
        """Kill the child when it has been reading one file for too long."""
        before: Note | None = None
        while not self._ended.wait(self.hang_seconds):
            note = read_note(self._note) if self._note else None
            if note is not None and note == before:
                self._hung = note
                self.stop()
                return
            before = note

    def _failure(self, status: int, last: BuildLine) -> BuildFailed:
        if last.error:
            refused = BuildFailed(f"The index could not be built: {last.error}.", _cure(last.error))
            refused.told = True
            return refused
        note = self._hung or (read_note(self._note) if self._note else None)
        if self._note:
            shutil.rmtree(Path(self._note).parent, ignore_errors=True)
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        failure = BuildFailed(f"The build {how}.", "The log has its last output.")
        failure.add_note(self._last_words())
        if note is not None:
            failure.reading = (note.root, note.path)
            failure.poison = Poison(
                note.root, note.path, note.size, note.mtime_ns, self._reason(how)
            )
            failure.certain = self._hung is not None
        return failure

    def _reason(self, how: str) -> str:
        if self._hung:
            return f"hostile: the build hung on it for {self.hang_seconds:g} s"
        return f"hostile: the build {how} while reading it, twice"

    def _last_words(self) -> str:
        assert self._stderr
        self._stderr.seek(0)
        return self._stderr.read()[-2000:].decode("utf-8", "replace").strip()


@dataclass(slots=True)
class Builder:
    """Repeats a build, without the files that ended it, until it succeeds.

    `named` are paths that the next build must read, whatever their times are.
    """

    settings: Settings
    command: Sequence[str] = COMMAND
    hang_seconds: float = HANG_SECONDS
    poison: tuple[Poison, ...] = ()
    named: tuple[str, ...] = ()
    on_line: Callable[[BuildLine], None] = lambda line: None
    on_failure: Callable[[BuildFailed], None] = lambda failure: None
    _current: BuildChild | None = None
    _spare: BuildChild | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """More for /health: whose index it is, for a builder that fetches another server's."""
        return {}

    def beside(self, settings: Settings) -> Builder:
        """A builder for another project of the same server."""
        return type(self)(settings, self.command, self.hang_seconds, on_failure=self.on_failure)

    def start(self, unless: str = "") -> BuildChild:
        settings = self.settings
        facts = settings.roots_now, str(settings.data_dir), self.poison, unless, self.named
        whose = settings.roots_digest, settings.shared_roots, settings.switches, settings.moved
        request = BuildRequest(*facts, settings.reading, *whose)
        child = self._take_spare() if unless else None
        if child is None:
            child = BuildChild(self.command, self.hang_seconds, self.on_line).load()
        self._current = child
        child.send(request)
        return child

    def prepare(self) -> None:
        """Start the next child, which imports what it needs before there is a request."""
        with self._lock:
            if self._spare is None and not self._stopped:
                child = BuildChild(self.command, self.hang_seconds, self.on_line)
                with contextlib.suppress(BuildFailed):  # `start` will raise it
                    self._spare = child.load(ahead=True)

    def dismiss(self) -> None:
        """End the spare child, if any, which is not needed."""
        spare = self._take_spare()
        if spare is not None:
            spare.dismiss()

    def _take_spare(self) -> BuildChild | None:
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is None or spare.lives:
            return spare
        spare.dismiss()
        return None

    def run(self, unless: str = "", started: BuildChild | None = None) -> BuildLine:
        """Run builds until one succeeds. Blocks. Raises BuildFailed unless one file is to blame."""
        suspected: set[tuple[str, str]] = set()
        child = started
        for _ in range(MAX_ATTEMPTS):
            child = child or self.start(unless)
            try:
                return child.wait()
            except BuildFailed as failure:
                self.on_failure(failure)
                if self._stopped or failure.told or not (failure.reading or unless):
                    raise
                if failure.reading is None:
                    unless = ""  # the last generation's cards may be at fault: read all files
                self._suspect(failure, suspected)
            child = None
        raise BuildFailed("The build was given up: too many files ended it.", "See the log.")

    def _suspect(self, failure: BuildFailed, suspected: set[tuple[str, str]]) -> None:
        if failure.reading is None or failure.poison is None:
            return
        if failure.certain or failure.reading in suspected:
            self.poison = (*self.poison, failure.poison)
        suspected.add(failure.reading)

    def stop(self) -> None:
        self._stopped = True
        self.dismiss()
        if self._current:
            self._current.stop()


def _cure(error: str) -> str:
    if "space" in error:
        return "Free space on the disk of the data directory."
    if error.endswith(GONE):
        return "Put that folder back, or start again with other roots (--root, MCP_ROOTS)."
    return "Check that the data directory can be written to (--data-dir, MCP_DATA_DIR)."
