"""Edits a host's configuration file: shows a diff, keeps a backup, and replaces it atomically."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import OperationError
from ..opening import open_regular
from ..records import JsonObject
from . import jsonc, toml
from .hooks import GROUP as HOOK_GROUP
from .hooks import HookFile
from .known import NAME, Host, is_ours

SUFFIX = ".orchestr8-backup"


class FileChange(NamedTuple):
    """`before` is None if there is no file; `after` is None if it is to be deleted."""

    path: Path
    before: str | None
    after: str | None
    what: str
    is_own: bool = False  # an entry of the user's own is replaced: it is backed up in any case

    def diff(self) -> list[str]:
        old, new = ((text or "").splitlines() for text in (self.before, self.after))
        named = str(self.path)
        return list(difflib.unified_diff(old, new, named, named, "before", "after", 1, ""))


def check_within(path: Path, project: Path) -> None:
    """Raises OperationError for a project's file that leads out of it, maybe a stranger's link."""
    real, folder = path.resolve(), project.resolve()
    if path.is_relative_to(project) and not real.is_relative_to(folder):
        raise _unreadable(path, f"it leads out of this folder, to {real}")


def connected(host: Host, path: Path, entry: JsonObject) -> FileChange:
    """The change that puts our entry into the host's file; nothing is written yet."""
    before = _read(path)
    with _blaming(path):
        after = _format(path).put(before or "", host.group, NAME, entry)
        held = _held(host, path, before)
    if held == entry:
        return FileChange(path, before, before, "unchanged")
    is_own = held is not None and not is_ours(held)
    return FileChange(path, before, after, "added" if held is None else "updated", is_own)


def disconnected(host: Host, path: Path, backups: Path | None = None, port: int = 0) -> FileChange:
    """The change that removes our entry, or restores the user's own: the backup, if nothing else
    was changed since. `backups`: where `carry_out` kept it, None: beside; `port`: the server's."""
    before = _read(path)
    with _blaming(path):
        held = _held(host, path, before)
        if before is None or held is None:
            return FileChange(path, before, before, "absent")
        form, backup = _format(path), _read(_kept(path, backups))
        own = _held(host, path, backup)
        if backup is None and not is_ours(held):
            return FileChange(path, before, before, "own")
        if is_ours(own, (held, port)):
            backup = own = None  # it has an entry of ours already
        what = "removed" if own is None else "restored"
        if backup is not None and form.put(backup, host.group, NAME, held) == before:
            return FileChange(path, before, backup, what)
        if own is not None:
            return FileChange(path, before, form.put(before, host.group, NAME, own), what)
        groups = {} if backup is None else form.read(backup)
        after = form.take(before, host.group, NAME, keep_group=host.group in groups)
    empty = backup is None and "".join(after.split()) in ("", "{}")
    return FileChange(path, before, None if empty else after, what)


def hooked(
    hooks: HookFile,
    path: Path,
    program: list[str],
    backups: Path | None = None,
    options: list[str] | None = None,
) -> FileChange:
    """The change that puts our rows into the file of a host's hooks; nothing is written yet."""
    before = _read(path)
    with _blaming(path):
        after = hooks.put(before, program, options or [])
        is_kept = _read(_kept(path, backups)) is not None  # it was backed up for the server's entry
        is_new = not is_kept and hooks.take(before or "") == (before or "")
    if after == before:
        return FileChange(path, before, before, "unchanged")
    return FileChange(path, before, after, "added" if is_new else "updated")


def unhooked(
    hooks: HookFile, path: Path, program: list[str], backups: Path | None = None
) -> FileChange:
    """The change that removes our rows: the backup, if nothing else was changed since."""
    before = _read(path)
    kept = _read(_kept(path, backups))
    with _blaming(path):
        if before is None or hooks.take(before) == before:
            return FileChange(path, before, before, "absent")
        if kept is not None and hooks.take(hooks.put(kept, program, [])) == hooks.take(before):
            return FileChange(path, before, kept, "removed")
        keep_group = kept is not None and HOOK_GROUP in _format(path).read(kept)
        after = hooks.take(before, keep_group=keep_group)
        gone = kept is None and hooks.is_empty(after)
    return FileChange(path, before, None if gone else after, "removed")


def carry_out(change: FileChange, *, private: bool, backups: Path | None = None) -> None:
    """Write the change through links, with the mode that was, after a backup of the user's own."""
    real = change.path.resolve()
    try:
        if change.after is None:
            real.unlink()
            _kept(real, backups).unlink(missing_ok=True)  # it has only an older entry of ours
            _remove_made(real, backups)
            return
        kept = _kept(real, backups)
        if change.what == "restored" or change.before and _read(kept) == change.after:
            replace_file(real, change.after.encode(), real.stat().st_mode & 0o7777)
            kept.unlink()
            return
        _make_folder(real, private, backups)
        mode = 0o600 if private else 0o644
        if change.before is not None:
            mode = real.stat().st_mode & 0o7777
            _keep(change, real, mode, backups)
        replace_file(real, change.after.encode(), mode)
    except OSError as error:
        sentence = f"{change.path} cannot be written: {error.strerror}."
        raise OperationError(sentence, "Nothing was changed; see who may write there.") from None


@contextlib.contextmanager
def keeping(host: Host, change: FileChange, backups: Path) -> Iterator[None]:
    """Within, the host's own program changes its file: the user's entry is kept till given back."""
    if change.what == "updated":
        own = json.dumps({host.group: {NAME: _held(host, change.path, change.before)}})
        _keep(change._replace(before=own), change.path.resolve(), 0o600, backups)
    with contextlib.ExitStack() as undo:
        undo.callback(_put_back, host, change, backups)
        yield
        undo.pop_all()
    if change.what != "updated":
        _kept(change.path, backups).unlink(missing_ok=True)


def _put_back(host: Host, change: FileChange, backups: Path) -> None:
    """Undo a change that failed halfway: the entry of before was taken out, and none put in."""
    own, now = _held(host, change.path, change.before), _read(change.path)
    held = _held(host, change.path, now)
    if own is not None and held is None:
        held, text = own, _format(change.path).put(now or "", host.group, NAME, own)
        replace_file(change.path.resolve(), text.encode(), 0o600)
    if change.is_own and held == own:
        _backup_of(change.path, backups).unlink(missing_ok=True)


def _keep(change: FileChange, real: Path, mode: int, backups: Path | None) -> None:
    """Back up the file before our first entry; an older backup is renamed with a number."""
    place = _backup_of(real, backups)
    if change.what != "added" and not change.is_own and _read(_kept(real, backups)) is not None:
        return
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _read(place) not in (None, change.before):
        aside = (place.with_name(f"{place.name}-{number}") for number in count(1))
        place.rename(next(each for each in aside if not each.exists()))
    replace_file(place, (change.before or "").encode(), mode)


def _make_folder(real: Path, private: bool, backups: Path | None) -> None:
    """Make the folder, and note which folders were made, so that they can be removed."""
    missing = [str(folder) for folder in real.parents if not folder.exists()]
    real.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o755)
    if missing and backups is not None:
        backups.mkdir(parents=True, exist_ok=True, mode=0o700)
        _made_of(real, backups).write_text(json.dumps(missing), "utf-8")


def _remove_made(real: Path, backups: Path | None) -> None:
    """Remove the folders that were made for the file, if they are empty."""
    note = _made_of(real, backups) if backups is not None else None
    if note is None or (text := _read(note)) is None:
        return
    with contextlib.suppress(OSError, ValueError, RecursionError, TypeError):
        for folder in [each for each in json.loads(text) if each in map(str, real.parents)]:
            os.rmdir(folder)
    note.unlink()


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Put a file in place whole or not at all, with this mode. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with contextlib.ExitStack() as undo:
        undo.callback(Path(name).unlink, missing_ok=True)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
        undo.pop_all()


def _held(host: Host, path: Path, text: str | None) -> Any:
    return _format(path).held(text, host.group, NAME) if text is not None else None


def _format(path: Path) -> Any:
    return toml if path.suffix == ".toml" else jsonc


def _backup_of(path: Path, backups: Path | None) -> Path:
    real = path.resolve()
    if backups is None:
        return real.with_name(real.name + SUFFIX)
    return backups / f"{_digest(real)}-{real.name}"


def _kept(path: Path, backups: Path | None) -> Path:
    """The backup of a file; older versions of this program kept it beside the file."""
    own = _backup_of(path, backups)
    return own if own.exists() else _backup_of(path, None)


def _made_of(real: Path, backups: Path) -> Path:
    return backups / f"{_digest(real)}.made"


def _digest(real: Path) -> str:
    return hashlib.sha256(os.fsencode(real)).hexdigest()[:16]


def _read(path: Path) -> str | None:
    try:
        with open(path, "rb", opener=open_regular) as file:
            return file.read().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _unreadable(path, f"line {line} is not UTF-8") from None
    except OSError as error:
        raise _unreadable(path, (error.strerror or "unknown").lower()) from None


@contextlib.contextmanager
def _blaming(path: Path) -> Any:
    """Within: an error without a cure is about that file."""
    try:
        yield
    except OperationError as error:
        if error.cure:
            raise
        raise _unreadable(path, error.sentence) from None


def _unreadable(path: Path, why: str) -> OperationError:
    sentence = f"{path} was left as it is: {why.rstrip('.')}."
    return OperationError(sentence, "Mend that, then run this again.")
