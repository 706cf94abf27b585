"""One cache of answers and one rate limit for all servers, in Redis, which need not be trusted.

An answer carries a MAC that only the servers can make, and is ignored without it. What other
servers let through is taken from a caller's rate here, but each server always grants its share.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from .circuit import OutletCircuit

SEAL = 16  # bytes of the MAC
MOST_BYTES = 1_000_000  # of an answer
_GENERATION = re.compile(rb'"generation":\d+')  # within a text its quotes would be escaped
_NONE = b'"generation":?'
_FAILS = (RedisError, OSError, TimeoutError)


class AnswersOfAll:
    """Encoded answers, by all that determines them; `secret` is the key of the MAC."""

    def __init__(self, client: Any, circuit: OutletCircuit, secret: bytes) -> None:
        self._client, self._circuit, self._secret = client, circuit, secret
        self._writing: set[asyncio.Task[None]] = set()
        self._contents: dict[Path, str] = {}
        self.hits = 0

    async def content(self, folder: Path) -> str:
        """The digest of a generation's files, equal on all servers; "" where they are gone."""
        if folder not in self._contents:
            try:
                digest = await asyncio.to_thread(_digest_of, sorted(folder.glob("*.segment")))
            except OSError:
                return ""
            self._contents = {**dict(list(self._contents.items())[-9:]), folder: digest}
        return self._contents[folder]

    async def get(self, name: Sequence[object], generation: int) -> bytes | None:
        """With this server's generation; None if there is none, or Redis does not answer."""
        key = self._key(name)
        if not self._circuit.connected:
            return None
        try:
            found = await self._client.get(key)
        except _FAILS as error:
            self._fail(error)
            return None
        if not isinstance(found, bytes) or found[:SEAL] != self._seal(key, found[SEAL:]):
            return None
        self.hits += 1
        return found[SEAL:].replace(_NONE, b'"generation":%d' % generation)

    def put(self, name: Sequence[object], answer: bytes, seconds: float) -> None:
        """Written in the background."""
        if self._circuit.connected and seconds >= 1 and len(answer) <= MOST_BYTES:
            task = asyncio.create_task(self._put(self._key(name), answer, int(seconds)))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    async def _put(self, key: str, answer: bytes, seconds: int) -> None:
        body = _GENERATION.sub(_NONE, answer)
        try:
            await self._client.set(key, self._seal(key, body) + body, ex=seconds)
        except _FAILS as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if "WRONGTYPE" not in str(error):
            self._circuit.lost("Redis does not answer: see whether it runs, and REDIS_URL.")

    def _key(self, name: Sequence[object]) -> str:
        return "o8:answer:" + hashlib.blake2b(repr(name).encode(), digest_size=16).hexdigest()

    def _seal(self, key: str, body: bytes) -> bytes:
        sealed = hashlib.blake2b(key=self._secret, digest_size=SEAL)
        sealed.update(key.encode())
        sealed.update(body)
        return sealed.digest()


def _digest_of(files: Sequence[Path]) -> str:
    """Raises OSError."""
    if not files:
        raise FileNotFoundError
    state = hashlib.blake2b(digest_size=16)
    for path in files:
        with open(path, "rb") as file:
            state.update(hashlib.file_digest(file, "blake2b").digest())
    return state.hexdigest()


class UsedByOthers:
    """Requests that other servers let through, by caller and method, charged to the limits here.

    Each server adds its requests to a common counter, and the result tells it of the others'.
    """

    def __init__(self, client: Any, charge: Callable[[str, int], None]) -> None:
        self._client, self._charge = client, charge
        self._used: dict[str, int] = {}
        self._sums: dict[str, int] = {}

    def note(self, name: str, tokens: int) -> None:
        self._used[name] = self._used.get(name, 0) + tokens

    async def sync(self) -> None:
        """Raises RedisError."""
        used, self._used = self._used, dict.fromkeys(self._used, 0)
        names = list(used)
        if not names:
            return
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.incrby(f"o8:rate:{name}", used[name])
            pipe.expire(f"o8:rate:{name}", 60)
        sums = (await pipe.execute(raise_on_error=False))[::2]
        for name, total in zip(names, sums, strict=True):
            if not isinstance(total, int):
                await self._client.delete(f"o8:rate:{name}")  # somebody made something else of it
                continue
            others = total - self._sums.get(name, total - used[name]) - used[name]
            if others > 0:
                self._charge(name, others)
            self._sums[name] = total
            if not used[name] and not others:
                del self._used[name], self._sums[name]
