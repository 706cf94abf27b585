"""API keys and their scopes: a file of hashes in the data directory, reloaded when it changes.

A key is 256 random bits, shown once; the file has its SHA-256. A slow password hash would protect
words that people choose, not random bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import msgspec
from msgspec import Struct

from ..config import Settings
from ..daemon.pidfile import changing
from ..errors import NotSafe, OperationError
from ..private import read_private, write_private
from ..validate import UNDECODABLE
from .callers import Principal, Right
from .events import Event, KeyChanged

NAME, PREFIX = "keys.json", "o8_"
UNREADABLE = (
    f"The keys cannot be read, so every key is refused: repair or remove {NAME} in the data "
    "directory, and make new ones with `orchestr8-index key add`."
)
RELOAD_SECONDS = 0.5
MOST_KEYS = 1000
_WRITE = re.compile(r"[A-Za-z0-9:_./-]{0,254}\*|[A-Za-z0-9:_./-]{1,255}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Key(Struct, frozen=True, omit_defaults=True):
    """A key. `write` are the shared keys that it may write (`PREFIX*` for all that begin so), `()`
    for all; `projects` maps the names of its projects to their keys in the store."""

    name: str
    scope: Right
    hash: str
    created_at: str
    write: tuple[str, ...] = ()
    projects: dict[str, str] = {}

    @property
    def ident(self) -> str:
        """An id that differs from that of an earlier key of the same name."""
        return f"{self.name}#{self.hash[:8]}"


class KeyFile:
    """The file of keys, which the command line changes atomically."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / NAME

    def read(self) -> list[Key]:
        """All keys; [] without a file. Raises OperationError when it cannot be read."""
        try:
            return msgspec.json.decode(read_private(self.path), type=list[Key])
        except FileNotFoundError:
            return []
        except (OSError, *UNDECODABLE) as error:
            cure = f"Repair or remove {self.path}; without it there are no keys."
            raise OperationError(f"The keys cannot be read: {error}.", cure) from None

    def add(
        self,
        name: str,
        scope: Right,
        write: tuple[str, ...] = (),
        projects: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Add a key and give its token, which is stored nowhere. Raises OperationError."""
        if wrong := [each for each in write if not _WRITE.fullmatch(each)]:
            cure = "Name a key, or what keys begin with and a * after it: task/*"
            raise OperationError(f"{wrong[0]!a} is no prefix of shared keys.", cure)
        if not _NAME.fullmatch(name):
            cure = "Use up to 64 letters, digits and . _ @ -."
            raise OperationError(f"{name!a} is no name for a key.", cure)
        token = new_token()
        with self._changing() as keys:
            if any(key.name == name for key in keys):
                cure = f"Choose another, or `orchestr8-index key revoke {name}` first."
                raise OperationError(f"There is a key named {name}.", cure)
            if len(keys) >= MOST_KEYS:
                raise OperationError(f"There are {MOST_KEYS:,} keys.", "Revoke some.")
            made = datetime.now(UTC).isoformat(timespec="seconds")
            keys.append(Key(name, scope, hash_of(token), made, write, dict(projects)))
        return token

    def revoke(self, name: str) -> None:
        """Remove a key. Raises OperationError when none has that name."""
        with self._changing() as keys:
            others = [key for key in keys if key.name != name]
            if len(others) == len(keys):
                cure = "`orchestr8-index key list` names them."
                raise OperationError(f"There is no key named {name}.", cure)
            keys[:] = others

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Key]]:
        """The keys, to be changed in place and written at the end; one process at a time."""
        with changing(self.path, "The keys"):
            keys = self.read()
            yield keys
            self._write(keys)

    def _write(self, keys: list[Key]) -> None:
        data = msgspec.json.format(msgspec.json.encode(keys)) + b"\n"
        write_private(self.path, data, synced=True)


class LoadedKeys:
    """The keys of a running server, at most RELOAD_SECONDS behind the file.

    With an unreadable file no key is valid. Each change is published as KeyChanged.
    """

    def __init__(
        self,
        data_dir: Path,
        publish: Callable[[Event], None] = lambda event: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._publish, self._clock = KeyFile(data_dir), publish, clock
        self._keys: list[Key] = []
        self._stamp: tuple[int, int, int] | None = None
        self._reload_after = 0.0
        self.revision, self.trouble = 0, ""  # the revision counts reloads of a changed file

    def caller_of(self, token: bytes) -> Principal | None:
        """The caller of a token, None for a wrong one. A key just added is known at once."""
        self.reload()
        digest = hash_of_bytes(token)
        holder = self._holder(digest)
        if holder is None and self.reload_if_changed():
            holder = self._holder(digest)
        if holder is None:
            return None
        return Principal(
            holder.name,
            holder.scope,
            ident=holder.ident,
            writes=holder.write,
            projects=tuple(holder.projects.values()),
        )

    def _holder(self, digest: str) -> Key | None:
        """The key with this hash; compares all keys, in constant time."""
        holder = None
        for key in self._keys:
            if hmac.compare_digest(key.hash, digest):
                holder = key
        return holder

    @property
    def any(self) -> bool:
        self.reload()
        return bool(self._keys)

    def reload(self) -> None:
        """Reload a changed file, if the last check is RELOAD_SECONDS ago."""
        if self._clock() < self._reload_after:
            return
        self._reload_after = self._clock() + RELOAD_SECONDS
        self.reload_if_changed()

    def reload_if_changed(self) -> bool:
        stamp = _stamp(self._file.path)
        if stamp == self._stamp:
            return False
        first, self._stamp = self._stamp is None, stamp
        self._replace(first)
        return True

    def _replace(self, first: bool) -> None:
        before = {(key.name, key.hash) for key in self._keys}
        self.revision += 1
        try:
            self._keys, self.trouble = self._file.read(), ""
        except OperationError:
            self._keys, self.trouble = [], UNREADABLE
        after = {(key.name, key.hash) for key in self._keys}
        for name, _ in () if first else sorted(before - after):
            self._publish(KeyChanged(name, "key revoked"))
        for name, _ in () if first else sorted(after - before):
            self._publish(KeyChanged(name, "key added"))


def new_token() -> str:
    """A new API key: a prefix and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def check_keys(settings: Settings) -> None:
    """Raises NotSafe when the settings require keys and there is none."""
    if settings.door.needs_keys and not KeyFile(settings.data_dir).read():
        make = f"`orchestr8-index key add NAME --scope admin --data-dir {settings.data_dir}`"
        if settings.door.is_loopback:
            cure = f"Make one with {make}, or leave out --require-keys (MCP_REQUIRE_KEYS)."
            raise NotSafe("Keys are required, and there is none yet.", cure)
        cure = f"Make one with {make}, or leave out --host (MCP_HOST)."
        raise NotSafe(f"Without a key the server does not listen on {settings.door.host}.", cure)


def hash_of(token: str) -> str:
    """SHA-256 of a key in hex, as the file of keys has it."""
    return hash_of_bytes(token.encode())


def hash_of_bytes(token: bytes) -> str:
    """SHA-256 of a key's bytes in hex."""
    return hashlib.sha256(token).hexdigest()


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_mtime_ns, status.st_size
