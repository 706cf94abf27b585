"""A generation on disk: written into a temporary folder, renamed when whole, never changed.

snapshots/<digest of the roots>/<generation>/
    manifest.json         what it was built from, counts, and where the sections lie
    files.msgpack         the report of every markdown file, and the findings
    agent.segment …       one file of sections per kind: vocabulary, postings, entries, texts
    agent.cards …         for the next build alone: the cached result of parsing each file
    agent.shared …        where the roots have a part that other projects share: a link to the
                          segment of that part's own generation, which has the texts of its entries
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import zlib
from pathlib import Path

import msgspec
from msgspec import Struct

from ..errors import SnapshotUnreadable
from ..opening import open_plain, read_within
from ..private import make_folder
from ..records import KINDS, FileReport, Finding, Kind, Poison, ResolvedRole
from ..validate import UNDECODABLE
from .sections import Table

FORMAT = 9
KEPT_GENERATIONS = 2
LEFTOVER_AGE = 3600.0
_PART = 1 << 18
_MANIFEST, _FILES = "manifest.json", "files.msgpack"


class SegmentInfo(Struct, frozen=True):
    """`lengths` are the mean numbers of terms in each field; `tokens` (estimated) those of all
    names and descriptions; `cards` is for the next build; `lent` is the section of texts in the
    segment that the shared roots' generation lends."""

    entries: int
    wide: bool
    sections: Table
    lengths: tuple[float, ...]
    tokens: int = 0
    cards: Table = {}
    lent: Table = {}


class Manifest(Struct, frozen=True):
    """`digest` is that of the inputs, `words` that of the word vectors, `recipe` says what else
    decided; times are seconds since 1970, durations milliseconds; `sums` are sizes and CRC-32 of
    the other files."""

    format: int
    version: str
    roots: tuple[str, ...]
    digest: str
    built_at: float
    build_ms: int
    files: dict[str, int]
    segments: dict[Kind, SegmentInfo]
    words: str
    roles: tuple[ResolvedRole, ...] = ()
    poison: tuple[Poison, ...] = ()
    generation: int = 0
    recipe: str = ""
    sums: dict[str, tuple[int, int]] = {}

    @property
    def counts(self) -> dict[Kind, int]:
        return {kind: self.segments[kind].entries for kind in KINDS}


class Files(Struct, frozen=True):
    """The report of each file, and the findings."""

    files: tuple[FileReport, ...]
    findings: tuple[Finding, ...]


def lent_file(folder: Path, kind: Kind) -> Path:
    """The link to the segment that the shared roots' generation lends to this one."""
    return folder / f"{kind}.shared"


# --- the folder of generations -----------------------------------------------------------------


def read_files(folder: Path) -> Files:
    """The reports and findings of the generation in that folder. Raises SnapshotUnreadable."""
    try:
        return msgspec.msgpack.decode(read_within((), str(folder), _FILES, 1 << 30), type=Files)
    except (OSError, *UNDECODABLE) as error:
        raise SnapshotUnreadable(f"The snapshot cannot be read: {_reason(error)}.") from None


class Generations:
    """All generations of one set of roots, oldest first. Several processes may share it."""

    def __init__(self, data_dir: Path, roots_digest: str) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / "snapshots" / roots_digest

    def prepare(self) -> Path:
        """A new temporary folder for a build."""
        make_folder(self.data_dir, "snapshots", self.folder.name)
        return Path(tempfile.mkdtemp(prefix=f"build-{os.getpid()}-", dir=self.folder))

    def publish(self, made: Path, manifest: Manifest, files: Files) -> Manifest:
        """Finish `made` and rename it to the next generation; atomic among processes."""
        _write(made / _FILES, msgspec.msgpack.encode(files))
        sums = {path.name: _checksum(path) for path in made.iterdir() if path.name != _MANIFEST}
        manifest = msgspec.structs.replace(manifest, sums=sums)
        while True:
            manifest = msgspec.structs.replace(manifest, generation=self.newest() + 1)
            _write(made / _MANIFEST, msgspec.json.encode(manifest))
            try:
                os.rename(made, self.folder / _name(manifest.generation))
            except OSError:
                if not (self.folder / _name(manifest.generation)).exists():
                    raise
                continue
            return manifest

    def numbers(self) -> list[int]:
        if self._is_linked():
            return []
        try:
            names = [path.name for path in self.folder.iterdir()]
        except OSError:
            return []
        return sorted(int(name) for name in names if name.isdecimal())

    def _is_linked(self) -> bool:
        """Whether it lies behind a link, where nothing may be removed."""
        return self.folder.is_symlink() or self.folder.parent.is_symlink()

    def newest(self) -> int:
        return max(self.numbers(), default=0)

    def manifest(self, generation: int) -> Manifest:
        """Raises SnapshotUnreadable if the manifest is gone, damaged or of another format."""
        folder = str(self.folder / _name(generation))
        try:
            read = read_within((), folder, _MANIFEST, 1 << 30)
            manifest = msgspec.json.decode(read, type=Manifest)
        except (OSError, *UNDECODABLE) as error:
            raise SnapshotUnreadable(f"The snapshot cannot be read: {_reason(error)}.") from None
        if manifest.format != FORMAT:
            raise SnapshotUnreadable("The snapshot is of another version.")
        return manifest

    def files(self, generation: int) -> Files:
        """Raises SnapshotUnreadable."""
        return read_files(self.path(generation))

    def damage(self, generation: int) -> str:
        """The first file that differs from its sum, or "". Raises SnapshotUnreadable.

        A missing file is no damage: another process may have pruned the generation.
        """
        for name, wanted in self.manifest(generation).sums.items():
            try:
                if _checksum(self.path(generation) / name) != wanted:
                    return name
            except FileNotFoundError:
                continue
            except OSError as error:
                return f"{name} ({error.strerror})"
        return ""

    def path(self, generation: int) -> Path:
        return self.folder / _name(generation)

    def prune(self) -> None:
        """Remove all but the newest generations; a reader that has one open keeps it."""
        for number in self.numbers()[:-KEPT_GENERATIONS]:
            shutil.rmtree(self.path(number), ignore_errors=True)

    def remove_leftovers(self, older_than: float = LEFTOVER_AGE) -> None:
        """Remove temporary folders of builds that ended early, once no build can be using them."""
        for path in () if self._is_linked() else self.folder.glob("build-*"):
            try:
                old = time.time() - path.stat().st_mtime > older_than
            except OSError:
                continue
            if old or not _is_running(path.name.split("-")[1]):
                shutil.rmtree(path, ignore_errors=True)


def _is_running(process: str) -> bool:
    """Whether a process of that id runs, though it may be another one by now."""
    if sys.platform == "win32":  # where os.kill would end it
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except OSError:
        pass
    return True


def _name(generation: int) -> str:
    return f"{generation:06d}"


def _reason(error: Exception) -> str:
    """The error without the path, as it goes over the wire, too."""
    return (error.strerror or "") if isinstance(error, OSError) else str(error)


def _checksum(path: Path) -> tuple[int, int]:
    size = found = 0
    with open(path, "rb", opener=open_plain) as file:
        while part := file.read(_PART):
            size, found = size + len(part), zlib.crc32(part, found)
    return size, found


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        os.chmod(path, 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
