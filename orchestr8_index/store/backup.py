"""Backups while the server runs; the repair of a damaged database by the newest of them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import OperationError
from ..private import make_folder, open_private
from .database import NAME, connect, full_check, quick_check
from .ledger import count_decisions, decisions
from .salvage import bring_back, read_damaged
from .schema import MIGRATIONS, Steps, is_ours, migrate, strangers
from .schema import mend as mend_tables

KEPT = 7
FOLDER = "backups"
LEFTOVER_AGE = 3600.0
_MOMENT = "%Y-%m-%dT%H%M%S.%f"
_DATED = "[0-9]???-??-??T??????.???"
_PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
)


@dataclass(frozen=True, slots=True)
class Repair:
    """The repair of a damaged database. `lost` counts lost rows; None if their number is unknown.

    `saved` counts the `rows` that only the damaged file had, and that were read back.
    """

    damage: str
    aside: str
    restored: str
    lost: int | None
    saved: int = 0
    rows: str = "decisions"

    def sentence(self) -> str:
        lost = "how many are lost is unknown" if self.lost is None else f"{self.lost:,} are lost"
        came = f"the backup {self.restored} took its place" if self.restored else "a new one began"
        return (
            f"The database was damaged ({self.damage}); {came}; {self.saved:,} {self.rows} were "
            f"read back from the damaged file, which is kept as {self.aside}; {lost}."
        )


def backup(data_dir: Path, source: sqlite3.Connection | None = None, name: str = NAME) -> Path:
    """A consistent copy under a dated name, made while others write. Raises sqlite3.Error."""
    folder = make_folder(data_dir, FOLDER)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%f")[:-3]
    newest = backups(data_dir, name)[-1:]
    moment = max(moment, _just_after(newest))  # still the newest where the clock was set back
    stem = Path(name).stem
    target, partial = folder / f"{stem}-{moment}.db", folder / f".{stem}-{moment}.part"
    reading = source or connect(data_dir / name, read_only=True)
    try:
        os.close(open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        with contextlib.closing(sqlite3.connect(partial)) as copy:
            reading.backup(copy, pages=1024)
            copy.execute("PRAGMA journal_mode = DELETE")
        os.rename(partial, target)
    finally:
        partial.unlink(missing_ok=True)
        if source is None:
            reading.close()
    remove_leftovers(data_dir)
    for old in backups(data_dir, name)[:-KEPT]:
        old.unlink(missing_ok=True)
    return target


def backups(data_dir: Path, name: str = NAME) -> list[Path]:
    """The backups of a database, oldest first; a file that has another name is not ours."""
    return sorted((data_dir / FOLDER).glob(f"{Path(name).stem}-{_DATED}.db"))


def _just_after(newest: list[Path]) -> str:
    """The moment right after the newest backup's, in the form of names; "" without one."""
    with contextlib.suppress(IndexError, ValueError):
        known = datetime.strptime(newest[0].stem.partition("-")[2], _MOMENT)
        return (known + timedelta(milliseconds=1)).strftime(_MOMENT)[:-3]
    return ""


def age_seconds(data_dir: Path, name: str = NAME) -> float:
    """The age of the newest backup; infinite without one. The absolute value, as a backup from the
    future was made before the clock was set back."""
    found = backups(data_dir, name)
    return abs(time.time() - found[-1].stat().st_mtime) if found else float("inf")


def remove_leftovers(data_dir: Path, older_than: float = LEFTOVER_AGE) -> None:
    """Remove partial files of backups that were killed, once too old to be in writing."""
    for partial in (data_dir / FOLDER).glob(".*.part*"):
        with contextlib.suppress(OSError):
            if abs(time.time() - partial.stat().st_mtime) > older_than:
                partial.unlink()


def is_good(path: Path, steps: Steps = MIGRATIONS) -> bool:
    """Whether a backup has the tables that `steps` make and passes the full check. Nothing foreign
    in it is run: the tables are compared first, on a read-only connection of its own."""
    try:
        with contextlib.closing(_open_backup(path)) as copy:
            return is_ours(copy, steps) and not full_check(copy)
    except sqlite3.Error:
        return False


def restore(data_dir: Path, backup_file: Path, name: str = NAME, steps: Steps = MIGRATIONS) -> str:
    """Put a backup in the database's place; the present file is kept under a dated name.

    Call it only while no server runs. Returns the name of the file that was set aside, or "".
    Raises OperationError for a file that a server could not start with.
    """
    if not is_good(backup_file, steps):
        raise OperationError(f"{backup_file.name} is not a good backup.", "Choose another.")
    try:
        with replacement(data_dir, name) as fresh:
            copy_backup(backup_file, fresh)
            migrate(fresh, steps)
            mend_tables(fresh, steps)
            if strange := strangers(fresh, steps):
                raise sqlite3.DatabaseError("; ".join(strange[:3]))
    except sqlite3.Error as error:
        why = f"{backup_file.name} is not a good backup: {error}."
        raise OperationError(why, "Choose another; nothing was changed.") from None
    return put_in_place(data_dir, "replaced", name)


@contextlib.contextmanager
def replacement(data_dir: Path, name: str = NAME) -> Iterator[sqlite3.Connection]:
    """A new database beside the present one; renamed to `….ready` when it is complete."""
    partial = data_dir / f"{name}.ready.part"
    partial.unlink(missing_ok=True)
    try:
        os.close(open_private(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as fresh:
            yield fresh
        os.rename(partial, data_dir / f"{name}.ready")
    finally:
        partial.unlink(missing_ok=True)


def put_in_place(data_dir: Path, why: str, name: str = NAME) -> str:
    aside = set_aside(data_dir, why, name)
    os.rename(data_dir / f"{name}.ready", data_dir / name)
    return aside


def finish_replacing(data_dir: Path, name: str = NAME) -> None:
    """Finish a replacement that was killed between its two renames; remove what others left."""
    ready = data_dir / f"{name}.ready"
    if ready.exists() and not (data_dir / name).exists():
        os.rename(ready, data_dir / name)
    for left in (ready, data_dir / f"{name}.ready.part"):
        left.unlink(missing_ok=True)


def copy_backup(backup_file: Path, into: sqlite3.Connection) -> None:
    with contextlib.closing(_open_backup(backup_file)) as good:
        good.backup(into)


def _open_backup(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def set_aside(data_dir: Path, why: str, file: str = NAME) -> str:
    """Rename the database and its WAL; returns the new name, or "" if there is no database."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%f")[:-3]
    name = f"{file}.{why}-{moment}"
    moved = ""
    for suffix in ("-shm", "-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            os.rename(data_dir / f"{file}{suffix}", data_dir / f"{name}{suffix}")
            moved = name
    return moved


def mend(data_dir: Path, damage: str) -> Repair:
    """Set the damaged database aside; put the newest good backup in its place, with all that can
    still be read of the damaged file."""
    damaged = data_dir / NAME
    before = _decisions(damaged)
    good = next((path for path in reversed(backups(data_dir)) if is_good(path)), None)
    with replacement(data_dir) as sound:
        if good is not None:
            copy_backup(good, sound)
        migrate(sound)
        known = max((decision.id for decision in decisions(sound)), default=0)
        found = read_damaged(damaged, known)
        saved = bring_back(sound, found)
        after = count_decisions(sound)
    aside = put_in_place(data_dir, "damaged")
    lost = 0 if found.whole else None if before is None else max(0, before - after)
    return Repair(damage, aside, good.name if good else "", lost, saved)


def damage_of(path: Path) -> str:
    """What is wrong with the file; "" when it is sound, or is not there yet."""
    if not path.exists():
        return ""
    try:
        with contextlib.closing(connect(path)) as connection:
            return quick_check(connection)
    except sqlite3.DatabaseError as error:
        return "" if is_passing(error) else str(error)


def full_damage_of(path: Path) -> str:
    """What the check of every page and index finds wrong; "" when the file is sound."""
    with contextlib.closing(connect(path, read_only=True)) as connection:
        return full_check(connection)


def is_passing(error: sqlite3.Error) -> bool:
    """Whether the error is about the disk or a lock, and not about the file's content."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _PASSING


def _decisions(path: Path) -> int | None:
    try:
        with contextlib.closing(connect(path)) as connection:
            return int(connection.execute("SELECT count(*) FROM decision_history").fetchone()[0])
    except sqlite3.Error:
        return None
