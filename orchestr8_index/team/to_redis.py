"""Writes tasks, conversations and locks to Redis, in the keys that programs which read it expect.

Keys and channels of any project but the default begin with `PROJECT:`. Nothing is read back.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from ..coordinate import statements as sql
from ..coordinate.caller import Caller
from ..coordinate.core import Coordination
from ..coordinate.holds import read_holds
from ..coordinate.journal import last_revision
from ..coordinate.log import first_at
from ..records import JsonObject
from .circuit import OutletCircuit, log
from .outlets import SECONDS, LogEvent, default_project, end_of, read_item

STATE_SECONDS, CONVERSATION_SECONDS = 3600, 86_400
STEPS = 1000
FULL = 0.8  # of its memory
_TASK = re.compile(r"tasks?/([^/]+)(?:/(.+))?|task:([^:]+)(?::(.+))?")
_IGNORED = ("WRONGTYPE", "ERR The ID specified in XADD")  # another's key, or written before


def open_redis(url: str) -> Any:
    """A client; it connects at its first command. `redis+sentinel://HOST:PORT,…/SERVICE[/DB]`."""
    how: dict[str, Any] = {
        "socket_timeout": SECONDS,
        "socket_connect_timeout": SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "orchestr8-index",
    }
    if not url.startswith("redis+sentinel:"):
        return redis.Redis.from_url(url, **how)
    parts = urlsplit(url)
    who, _, places = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    service, _, number = parts.path.strip("/").partition("/")
    hosts = [place.partition(":") for place in places.split(",")]
    pairs = [(host, int(port or 26379)) for host, _, port in hosts]
    proof = {"username": unquote(user) or None, "password": unquote(password) or None}
    make: Any = Sentinel
    return make(pairs, sentinel_kwargs=how, **how).master_for(
        service or "mymaster", db=int(number or 0), **proof
    )


class RedisOutlet:
    """`own` is the project of this server's folder, `workspace` the folder of tasks' files."""

    errors: tuple[type[Exception], ...] = (RedisError, OSError, TimeoutError)

    def __init__(
        self, client: Any, circuit: OutletCircuit, shared: Coordination, own: str, workspace: str
    ) -> None:
        self._client, self.circuit, self._shared = client, circuit, shared
        self._own, self._workspace = own, workspace and workspace.rstrip("/") + "/"
        self._run = self._default = self._policy = ""
        self._begins: dict[str, int] = {}
        self._lost_all = True
        self._held: dict[str, dict[str, int]] = {}
        self.share: float | None = None
        self.on_look: list[Callable[[], Awaitable[None]]] = []

    @property
    def reasons(self) -> list[str]:
        if self.circuit.connected and (self.share or 0) > FULL:
            return ["Redis' memory is over 80 % full: give it more, or let it evict."]
        return self.circuit.reasons

    def explain(self, error: Exception) -> str:
        if isinstance(error, AuthenticationError) or "NOAUTH" in str(error):
            return "Redis refuses the password: see REDIS_URL."
        if isinstance(error, ResponseError):
            return f"Redis refuses it: {str(error).partition(' ')[0].strip('.')}. See its log."
        if "certificate" in str(error):
            return "Redis' certificate is not trusted: add ?ssl_ca_certs=FILE to REDIS_URL."
        return "Redis does not answer: see whether it runs, and REDIS_URL."

    async def check(self) -> bool:
        server, memory = await self._client.info("server"), await self._client.info("memory")
        most = memory.get("maxmemory") or 0
        self.share = round(memory["used_memory"] / most, 4) if most else None
        if (policy := memory.get("maxmemory_policy", "")) != self._policy:
            self._policy = policy
            if policy.startswith("allkeys"):
                note = "Redis may evict any key (%s): nothing is decided there, and it costs time"
                log.info(note, policy)
        for each in self.on_look:
            await each()
        if self._run == server["run_id"]:
            return False
        self._default = await default_project(self._shared, self._own)
        self._run, self._lost_all = server["run_id"], True
        self._held.clear()
        return True

    async def position(self, reader: Caller, kept: int | None) -> int:
        """Where Redis lost its data, what lives up to a day is written anew, but not published."""
        project = reader.project
        newest = end_of(await self._shared.read(last_revision, project))
        self._begins[project] = newest if kept is None else kept
        if not self._lost_all:
            return self._begins[project]
        since = self._shared.clock.at() - CONVERSATION_SECONDS * 1000
        return min(self._begins[project], await self._shared.read(first_at, reader, since))

    async def write(self, project: str, events: Sequence[LogEvent]) -> None:
        pipe = self._client.pipeline(transaction=False)
        prefix, locks_changed = self._prefix(project), False
        states: dict[str, tuple[dict[str, str], int]] = {}
        news: list[tuple[str, bytes]] = []
        for number, at, row in events:
            is_new = number > self._begins[project]
            if row["kind"] in ("grant", "release"):
                locks_changed = True
            elif row["kind"] in ("message", "session"):
                self._conversation(pipe, prefix, at, row)
            else:
                if row["key"].startswith("lock:"):
                    await self._lock_value(pipe, project, row["key"])
                states |= self._value(pipe, prefix, number, at, row)
            if is_new and (task := _task(row["key"])[0]):
                news.append((f"{prefix}task:{task}:updates", msgspec.json.encode(row)))
        self._hashes(pipe, states)
        for channel, body in news:  # after the data, which subscribers will read
            pipe.publish(channel, body)
        if locks_changed:
            await self._locks(pipe, project)
        await self._send(pipe)

    async def tend(self, projects: Sequence[str]) -> None:
        """A renewal of a lock is no event, so leases are read each second."""
        pipe = self._client.pipeline(transaction=False)
        for project in projects:
            await self._locks(pipe, project)
        await self._send(pipe)
        self._lost_all = False

    async def close(self) -> None:
        sentinels = getattr(self._client.connection_pool, "sentinel_manager", None)
        for each in (self._client, *(sentinels.sentinels if sentinels else ())):
            await each.aclose()

    # --- keys ---------------------------------------------------------------------------------

    def _prefix(self, project: str) -> str:
        return "" if project == self._default else f"{project}:"

    def _value(
        self, pipe: Any, prefix: str, number: int, at: int, row: JsonObject
    ) -> dict[str, tuple[dict[str, str], int]]:
        """For a put or deleted value that is a task's state: the fields and seconds to live."""
        is_gone, (task, what) = row["kind"] == "delete", _task(row["key"])
        if not task:
            return {}
        if what in ("", "state"):
            fields = {} if is_gone else fields_of(row["value"])
            left = STATE_SECONDS - (self._shared.clock.at() - at) // 1000
            return {f"{prefix}task:{task}:state": (fields, left)}
        if what == "log" and not is_gone:
            stream, ident = f"{prefix}logs:{task}:stream", f"{number >> 10}-{number & 1023}"
            pipe.xadd(stream, fields_of(row["value"]), id=ident, maxlen=STEPS, approximate=False)
        return {}

    def _hashes(self, pipe: Any, states: dict[str, tuple[dict[str, str], int]]) -> None:
        """Replace the hashes."""
        if states:
            pipe.delete(*states)
        for key, (fields, left) in states.items():
            if fields and left > 0:
                pipe.hset(key, mapping=fields)
                pipe.expire(key, left)

    def _conversation(self, pipe: Any, prefix: str, at: int, row: JsonObject) -> None:
        """The state of a session, and the last of its messages that all may read."""
        ident = row["key"].removeprefix("s/")
        if not ident:
            return
        left = CONVERSATION_SECONDS - (self._shared.clock.at() - at) // 1000
        fields = fields_of(row["value"])
        if fields.get("action") == "remove" or left <= 0:
            pipe.delete(f"{prefix}conversation:{ident}")
            return
        pipe.hset(f"{prefix}conversation:{ident}", mapping=fields)
        pipe.expire(f"{prefix}conversation:{ident}", left)

    async def _lock_value(self, pipe: Any, project: str, key: str) -> None:
        """A value `lock:…`, unless a lock that is held has the same key."""
        name, now = f"{self._prefix(project)}{key}", self._shared.clock.now()
        if name in {self._lock_name(project, resource) for resource in self._held.get(project, ())}:
            return
        found = await self._shared.read(read_item, project, key)
        if found is None or (found[1] is not None and found[1] <= now):
            pipe.delete(name)
        else:
            pipe.set(name, found[0], px=found[1] - now if found[1] is not None else None)

    async def _locks(self, pipe: Any, project: str) -> None:
        """The locks that are held, each until its lease ends."""
        rows = await self._shared.read(read_holds, sql.HOLDS, project)
        held = {hold.resource: hold for hold in rows if hold.state == sql.HELD}
        before, now = self._held.get(project, {}), self._shared.clock.now()
        for resource, hold in held.items():
            if before.get(resource) != hold.ends and hold.ends > now:
                pipe.set(self._lock_name(project, resource), hold.holder, px=hold.ends - now)
        self._held[project] = {resource: hold.ends for resource, hold in held.items()}
        for resource in before.keys() - held.keys():
            key = self._lock_name(project, resource).removeprefix(self._prefix(project))
            await self._lock_value(pipe, project, key)

    def _lock_name(self, project: str, resource: str) -> str:
        """`lock:TASK:PATH` for a file of the workspace, else `lock:` and the resource."""
        if self._workspace and resource.startswith(self._workspace):
            resource = resource.removeprefix(self._workspace).replace("/", ":", 1)
        return f"{self._prefix(project)}lock:{resource}"

    async def _send(self, pipe: Any) -> None:
        """Raises what Redis refuses, unless another program has changed the type of a key."""
        try:
            answers = await pipe.execute(raise_on_error=False) if len(pipe) else []
            for answer in answers:
                if isinstance(answer, ResponseError) and not str(answer).startswith(_IGNORED):
                    raise answer
        except self.errors:
            self._held.clear()
            raise


def _task(key: str) -> tuple[str, str]:
    """The task in a key and the rest of the key; "" where it is no task's."""
    found = _TASK.fullmatch(key)
    if found is None:
        return "", ""
    return found[1] or found[3], found[2] or found[4] or ""


def fields_of(value: msgspec.Raw | dict[str, Any]) -> dict[str, str]:
    """The members of an object as texts, those that are none as JSON; other values as `value`."""
    given = msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
    members = given if isinstance(given, dict) and given else {"value": given}
    return {
        name: each if isinstance(each, str) else msgspec.json.encode(each).decode()
        for name, each in members.items()
    }
