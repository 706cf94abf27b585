"""The build of a snapshot, in a short-lived child process: scan, parse, count, write.

It reads one JSON request from standard input and writes JSON lines: progress, then one result.
A note beside the build names the file being read, so that the parent can tell which file killed or
blocked it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .. import __version__
from ..config import digest_of_roots
from ..errors import SnapshotUnreadable
from ..records import KINDS
from ..text import as_utf8
from .build_lines import AHEAD, GONE, BuildLine, BuildRequest, Note
from .scan import Scan, Source, scan
from .snapshot import FORMAT, Files, Generations, Manifest
from .word_vectors import Words

if TYPE_CHECKING:
    from .collect import Catalogue
    from .reuse import Previous

NOTE = "reading"
PROGRESS_EVERY = 0.1
KIND = 5  # niceness: questions go first where cores are scarce, and a build still ends


def build(request: BuildRequest, say: Callable[[BuildLine], None]) -> BuildLine:
    started = time.monotonic()
    if gone := [root for root in request.roots if not os.path.isdir(root)]:
        raise FileNotFoundError(errno.ENOENT, f"the root {os.path.basename(gone[0])} {GONE}")
    found = scan(request.roots, request.poison, request.limits, request.switches, request.moved)
    same = found.digest == request.unless
    if same and not _named(found, request):
        return BuildLine(fresh=True)
    place = request.place or digest_of_roots(request.roots)
    generations = Generations(Path(request.data_dir), place)
    words = Words()
    lent = _lent(generations, words, request, say)
    made = generations.prepare()
    try:
        catalogue = _read(made, found, generations, words, request, say, lent)
        if same and not catalogue.parsed:
            shutil.rmtree(made, ignore_errors=True)
            return BuildLine(fresh=True)
        manifest = _write(made, found, catalogue, words, request, started)
    except OSError:  # after anything else the note must stay, for the parent
        shutil.rmtree(made, ignore_errors=True)
        raise
    return BuildLine(generation=generations.publish(made, *manifest).generation)


def _lent(
    generations: Generations, words: Words, request: BuildRequest, say: Callable[[BuildLine], None]
) -> Previous | None:
    """Build the roots that projects share; what their generation lends, None without such roots."""
    if not request.shared:
        return None
    from .reuse import read_previous
    from .spill import LENT

    shared = Generations(Path(request.data_dir), digest_of_roots(request.shared))
    unless = ""
    if request.unless or not generations.newest():  # else read everything again
        with contextlib.suppress(SnapshotUnreadable):
            unless = shared.manifest(shared.newest()).digest
    part = {"roots": request.shared, "unless": unless, "place": "", "shared": ()}
    switches = request.switches.shared
    build(msgspec.structs.replace(request, **part, switches=switches), say)
    shared.prune()
    return read_previous(shared, shared.newest(), words, request.limits, LENT)


def _named(found: Scan, request: BuildRequest) -> bool:
    if not request.named:
        return False
    named = set(request.named)
    return any(f"{found.roots[s.root]}/{s.path}" in named for s in found.sources)


def _read(
    made: Path,
    found: Scan,
    generations: Generations,
    words: Words,
    request: BuildRequest,
    say: Callable[[BuildLine], None],
    lent: Previous | None,
) -> Catalogue:
    from .collect import read_catalogue  # with numpy: not needed where nothing changed
    from .reuse import Previous, read_previous

    previous = Previous()
    if request.unless:
        previous = read_previous(generations, generations.newest(), words, request.limits)
    if lent:
        previous.lent, previous.lendable = lent.lent, lent.lendable
    with BuildProgress(made / NOTE, found, say) as reading:
        catalogue = read_catalogue(found, reading, words, previous, set(request.named), made)
    (made / NOTE).unlink()
    return catalogue


def _write(
    made: Path,
    found: Scan,
    catalogue: Catalogue,
    words: Words,
    request: BuildRequest,
    started: float,
) -> tuple[Manifest, Files]:
    from .map import write_map
    from .reuse import REFUSED, recipe
    from .segment import write_segment

    segments = {kind: write_segment(made, kind, catalogue.kinds[kind]) for kind in KINDS}
    write_map(made, segments, words.dimensions)
    (made / f"{REFUSED}.cards").write_bytes(msgspec.msgpack.encode(catalogue.refused))
    manifest = Manifest(
        format=FORMAT,
        version=__version__,
        roots=request.roots,
        digest=found.digest,
        built_at=time.time(),
        build_ms=round((time.monotonic() - started) * 1000),
        files=catalogue.counts,
        segments=segments,
        words=words.digest,
        roles=catalogue.roles,
        poison=request.poison,
        recipe=recipe(request.limits),
    )
    return manifest, Files(tuple(catalogue.reports), tuple(catalogue.findings))


class BuildProgress:
    """Notes each file before it is opened or counted, and reports progress now and then."""

    def __init__(self, note: Path, found: Scan, say: Callable[[BuildLine], None]) -> None:
        self._file = open(note, "wb", buffering=0)
        self._found, self._say, self._said, self._done = found, say, 0.0, -1
        say(BuildLine(note=str(note), total=len(found.sources)))

    def __call__(self, number: int, source: Source) -> None:
        root = self._found.roots[source.root]
        note = msgspec.msgpack.encode(
            Note(as_utf8(root), as_utf8(source.path), source.size, source.mtime_ns)
        )
        os.lseek(self._file.fileno(), 0, os.SEEK_SET)
        self._file.write(len(note).to_bytes(4, "big") + note)
        now = time.monotonic()
        if number > self._done and now - self._said > PROGRESS_EVERY:
            self._said, self._done = now, number
            self._say(BuildLine(done=number, total=len(self._found.sources)))

    def __enter__(self) -> BuildProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _say(line: BuildLine) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _lower_priority() -> None:
    if hasattr(os, "nice"):
        os.nice(KIND)


def main() -> int:
    """Exit status 0 with a result line, 1 with an error line. With AHEAD it imports what a build
    needs before the request comes; without a request it ends."""
    gc.disable()
    os.umask(0o077)
    if ahead := AHEAD in sys.argv:
        _lower_priority()
        from . import collect as catalogue  # noqa: F401
    data = sys.stdin.buffer.read()
    if not data:
        return 0
    request = msgspec.json.decode(data, type=BuildRequest)
    if request.unless and not ahead:  # else a caller waits for it
        _lower_priority()
    try:
        _say(build(request, _say))
    except OSError as error:
        print(error, file=sys.stderr)  # with the path, for the log; the line goes to callers
        _say(BuildLine(error=error.strerror or type(error).__name__))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
