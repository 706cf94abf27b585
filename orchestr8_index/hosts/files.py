"""A host's file is edited, shown as a diff, backed up, and replaced whole."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import OperationError
from . import jsonc, toml
from .known import NAME, Entry, Host

SUFFIX = ".orchestr8-backup"


class Change(NamedTuple):
    """`before` is None where there is no file, `after` where none shall be left."""

    path: Path
    before: str | None
    after: str | None
    what: str

    def diff(self) -> list[str]:
        old, new = ((text or "").splitlines() for text in (self.before, self.after))
        named = str(self.path)
        return list(difflib.unified_diff(old, new, named, named, "before", "after", 1, ""))


def connected(host: Host, path: Path, entry: Entry) -> Change:
    """The host's file with our entry in it; nothing is written."""
    before = _read(path)
    with _blaming(path):
        after = _format(path).put(before or "", host.group, NAME, entry)
        held = _held(host, path, before)
    if held == entry:
        return Change(path, before, before, "unchanged")
    return Change(path, before, after, "added" if held is None else "updated")


def disconnected(host: Host, path: Path) -> Change:
    """Takes out what `connected` put in: exactly, where nothing else was changed since."""
    before = _read(path)
    with _blaming(path):
        held = _held(host, path, before)
        if before is None or held is None:
            return Change(path, before, before, "absent")
        kept = _original(host, path, before, held)
        if kept is not None:
            return Change(path, before, kept, "removed")
        backup = _read(_backup_of(path))
        groups = _format(path).read(backup) if backup is not None else {}
        after = _format(path).take(before, host.group, NAME, keep_group=host.group in groups)
    empty = backup is None and "".join(after.split()) in ("", "{}")
    return Change(path, before, None if empty else after, "removed")


def carry_out(change: Change, *, private: bool) -> None:
    """Follows a link to the real file, and keeps that file's mode."""
    real = change.path.resolve()
    backup = _backup_of(real)
    try:
        if change.after is None:
            real.unlink()
            return
        if change.before is not None and _read(backup) == change.after:
            _replace(real, change.after, real.stat().st_mode & 0o7777)
            backup.unlink()
            return
        real.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
        mode = 0o600 if private else 0o644
        if change.before is not None:
            mode = real.stat().st_mode & 0o7777
            _replace(backup, change.before, mode)
        _replace(real, change.after, mode)
    except OSError as error:
        sentence = f"{change.path} cannot be written: {error.strerror}."
        raise OperationError(sentence, "Nothing was changed; see who may write there.") from None


def _replace(path: Path, text: str, mode: int) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _original(host: Host, path: Path, now: str, entry: Entry) -> str | None:
    """The backup, if putting the entry into it gives what is there now."""
    backup = _read(_backup_of(path))
    if backup is None or _held(host, path, backup) is not None:
        return None
    return backup if _format(path).put(backup, host.group, NAME, entry) == now else None


def _held(host: Host, path: Path, text: str | None) -> Any:
    return _format(path).held(text, host.group, NAME) if text is not None else None


def _format(path: Path) -> Any:
    return toml if path.suffix == ".toml" else jsonc


def _backup_of(path: Path) -> Path:
    real = path.resolve()
    return real.with_name(real.name + SUFFIX)


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _unreadable(path, f"line {line} is not UTF-8") from None
    except OSError as error:
        raise _unreadable(path, (error.strerror or "unknown").lower()) from None


@contextlib.contextmanager
def _blaming(path: Path) -> Any:
    """An error inside is about that file."""
    try:
        yield
    except OperationError as error:
        if error.cure:
            raise
        raise _unreadable(path, error.sentence) from None


def _unreadable(path: Path, why: str) -> OperationError:
    sentence = f"{path} was left as it is: {why.rstrip('.')}."
    return OperationError(sentence, "Mend that, then run this again.")
