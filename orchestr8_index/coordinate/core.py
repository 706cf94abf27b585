"""The methods of the shared state: values, locks, messages and sessions of a project's agents."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from ..errors import Busy
from ..queries import NoParams
from ..sharing import (
    BreakLock,
    LockResources,
    ReadInbox,
    ReadShared,
    RestoreShared,
    SendMessage,
    SessionCall,
    SnapshotShared,
    WriteShared,
    value_text,
)
from ..store import backup
from ..store.database import transaction
from . import locks, messages, sessions, values
from . import statements as sql
from .agents import agents
from .caller import Caller
from .commits import Commits
from .feed import wanted_by
from .holds import check_fences
from .journal import Change, answer_key, last_revision, oldest
from .log import MOST_DAYS, MOST_EVENTS, check_rev, compact, horizon, read_events
from .select import Keys

DAY = 86_400.0
RowsAt = tuple[list[Any], bool, int]  # rows, whether there are more, the revision
JsonAnswer = Any  # an object of JSON; Raw where it is given a second time


class Coordination(Commits):
    """Used from one event loop. Every method takes the caller and its params, and raises a
    RequestError."""

    # --- values ------------------------------------------------------------------------------

    async def read_shared(self, caller: Caller, params: ReadShared) -> JsonAnswer:
        caller.require("read")
        named = None if params.keys is None else tuple(params.keys)
        keys = Keys(named, params.prefix, params.pattern)
        if params.changed_after is not None:
            return await self._read_changes(caller, keys, params)
        keys = caller.may_read(keys)
        if params.history or params.at_rev is not None:
            read = await self.read(self._read_history, caller.project, keys, params)
        else:
            asked = self.clock, caller.project, keys, params.after, params.limit
            read = await self.read(values.present, *asked)
        return _paged("items", *read)

    def _read_history(
        self, connection: sqlite3.Connection, project: str, keys: Keys, params: ReadShared
    ) -> RowsAt:
        with transaction(connection, "DEFERRED"):
            newest = self.newest(connection, project)
            rev = last_revision(connection, project)
            check_rev(connection, project, params.at_rev, max(rev, newest))
            read = values.history if params.history else values.as_of
            return *read(connection, project, keys, params), rev

    def newest(self, connection: sqlite3.Connection, project: str) -> int:
        """The last revision that was given out, also to a write that changed nothing."""
        return self.journal.revisions.last

    async def _read_changes(self, caller: Caller, keys: Keys, params: ReadShared) -> JsonAnswer:
        after = params.changed_after or 0

        async def read() -> tuple[list[JsonAnswer], bool]:
            nonlocal after
            rows, after, more = await self.read(read_events, caller, keys, after, params.limit)
            return rows, more

        wanted, seconds = wanted_by(caller.project, keys), params.wait_ms / 1000
        return _paged("events", *await self.feed.until(caller.payer, wanted, seconds, read), after)

    async def write_shared(self, caller: Caller, params: WriteShared) -> JsonAnswer:
        texts = [value_text(op.value, "ops.value") for op in params.ops]
        caller.may_write(op.key for op in params.ops)
        if any(text != values.NULL for text in texts):
            self.store.admit(sum(map(len, texts)))
        return await self.change(
            caller,
            values.write_ops,
            params,
            texts,
            method="write_shared",
            request=params.request_id,
        )

    async def snapshot_shared(self, caller: Caller, params: SnapshotShared) -> JsonAnswer:
        caller.require("admin")
        keys = caller.may_read(Keys(prefix=params.prefix))
        return await self.read(values.snapshot, self.clock, caller.project, keys)

    async def restore_shared(self, caller: Caller, params: RestoreShared) -> JsonAnswer:
        texts = {each.key: value_text(each.value, "items.value") for each in params.items}
        self.store.admit(sum(map(len, texts.values())))
        caller.may_write([*texts, f"{params.prefix}*"])  # what is not among them goes
        keys = caller.may_read(Keys(prefix=params.prefix))
        return await self.change(
            caller, values.restore, params, texts, keys, method="restore_shared", scope="admin"
        )

    # --- locks -------------------------------------------------------------------------------

    async def lock(self, caller: Caller, params: LockResources) -> JsonAnswer:
        if params.action == "list":
            caller.require("read")
            return await self.read(locks.list_locks, self.clock, caller, params.resources)
        answer = await self.change(
            caller, locks.lock, params, method="lock", request=params.request_id
        )
        if isinstance(answer, locks.Queued):
            return await self._wait_for_grant(caller, params, answer)
        return answer

    async def _wait_for_grant(
        self, caller: Caller, params: LockResources, queued: locks.Queued
    ) -> Raw:
        wanted = [(caller.project, f"@grant/{queued.rev}", False)]
        key = answer_key("lock", caller.who, queued.request)

        async def granted() -> tuple[str | None]:
            return (await self.read(sql.noted, caller.project, key),)

        try:
            await self.feed.until(caller.payer, wanted, params.wait_ms / 1000, granted)
        except BaseException:
            if not params.request_id:
                self.in_background(self.change(caller, locks.abandon, queued.request))
            raise
        if not (await granted())[0]:
            busy = await self.change(caller, locks.leave, queued, bool(params.request_id))
            if busy is not None:
                raise busy
        (given,) = await granted()
        if given is None:
            raise Busy("The place in the queue was given up.")
        return Raw(given.encode())

    async def break_lock(self, caller: Caller, params: BreakLock) -> JsonAnswer:
        return await self.change(
            caller, locks.break_lock, params, method="break_lock", scope="admin"
        )

    # --- messages ----------------------------------------------------------------------------

    async def send_message(self, caller: Caller, params: SendMessage) -> JsonAnswer:
        self.store.admit()
        if params.visibility == "admin_only":
            caller.require("admin")

        def work(change: Change) -> JsonAnswer:
            check_fences(change, params.fence)
            for ident in messages.sessions_of(params):
                sessions.open_session(change, ident)
            sent = messages.send(change, params)
            if params.session is not None:
                sessions.touch_session(change, params.session)
            return sent

        return await self.change(caller, work, method="send_message", request=params.request_id)

    async def read_inbox(self, caller: Caller, params: ReadInbox) -> JsonAnswer:
        """Wait until a message can be taken; with `peek` nothing is changed."""
        caller.require("report" if params.queue else "read")
        boxes = messages.boxes_of(caller, params)
        wanted = [(caller.project, f"@inbox/{box}", False) for box in boxes]
        self.touch(caller)

        async def take() -> tuple[JsonAnswer]:
            nonlocal params
            rows = await self._take(caller, params, boxes)
            params = replace(params, ack=[])
            return (rows,)

        (rows,) = await self.feed.until(caller.payer, wanted, params.wait_ms / 1000, take)
        waiting = await self.read(messages.count_waiting, caller.project, boxes)
        return {"messages": rows, "waiting": waiting}

    async def _take(self, caller: Caller, params: ReadInbox, boxes: tuple[str, ...]) -> JsonAnswer:
        overdue = self.journal.due <= self.clock.now()  # an expired take would be ended by a change
        ready = await self.read(messages.count_waiting, caller.project, boxes, 1)
        if params.ack or (not params.peek and (ready or overdue)):
            return await self.change(
                caller, messages.take, params, method="read_inbox", scope="read"
            )
        return await self.read(messages.peek, caller, params) if params.peek else []

    # --- sessions ----------------------------------------------------------------------------

    async def session(self, caller: Caller, params: SessionCall) -> JsonAnswer:
        caller.require("read")
        self.touch(caller)
        if params.action == "list":
            return await self.read(sessions.list_sessions, caller, params)
        if params.action == "get":
            ident = sessions.require_id(params)
            return await self.read(sessions.get_session, caller.project, ident)
        if params.action == "read":
            return await self.read(sessions.read_session, caller, params)
        return await self.change(caller, sessions.change_session, params, method="session")

    # --- figures -----------------------------------------------------------------------------

    async def coordination(self, caller: Caller, params: NoParams) -> JsonAnswer:
        """Agents, counts and sizes of the caller's project, and of the server."""
        caller.require("read")
        return {
            **await self.read(_counted, caller.project),
            "waiting_calls": self.feed.waiting,
            "calls": dict(self.counts),
            "refusals": dict(self.refusals),
            "size_mb": self.store.size_mb,
        }

    def of_team(self) -> dict[str, Any]:
        """The facts of a team for /health; this server has none."""
        return {}

    @property
    def reasons(self) -> list[str]:
        """What is wrong, as sentences."""
        return self.store.reasons

    def figures(self) -> dict[str, int]:
        """For all projects: the present numbers, and the counts since the start."""
        return {
            "waiters": self.feed.waiting,
            "messages": self.counts["send_message"],
            "expiries": self.journal.expired,
            "refusals": self.refusals.total(),
            "locks": self._count_locks(),
        }

    def _count_locks(self) -> int:
        return int(self.store.reader.execute(sql.COUNT_LOCKS).fetchone()[0])

    # --- upkeep ------------------------------------------------------------------------------

    async def tidy(self) -> None:
        """Once an hour: compact the log, archive idle sessions, remove those archived long ago."""
        for log in await self.read(sql.names_of, sql.LOGS):
            await self._compact(log)
        for project in await self.read(sql.names_of, sql.PROJECTS):
            server = Caller(messages.SERVER, project=project)
            await self.change(server, sessions.retire_sessions)

    async def _compact(self, log: str) -> None:
        """`log` is a project, or "" for the one that all projects of a file share."""
        at = self.clock.at()
        before = await self.store.write(
            lambda on: horizon(on, at, MOST_EVENTS, MOST_DAYS), project=log
        )

        def compact_some(connection: sqlite3.Connection) -> int:
            return compact(connection, before, start, log)

        start = 0
        while start := await self.store.write(compact_some, project=log):
            pass

    async def keep_audit(self, rows: Sequence[Any]) -> None:
        """Add to the audit of a team, where there is one."""

    async def back_up(self) -> None:
        """Unless the newest backup is less than a day old."""
        if backup.age_seconds(self.data_dir, sql.NAME) > DAY:
            await asyncio.to_thread(backup.backup, self.data_dir, name=sql.NAME)

    async def save_clock(self) -> None:
        """Once a minute: after a crash no lease lasts longer than by that minute."""

        def save(writing: sqlite3.Connection) -> None:
            self.journal.save_clock(writing, always=True)
            self.journal.revisions.keep()

        await self.store.write(save)


def _paged(name: str, rows: list[Any], more: bool, rev: int) -> dict[str, Any]:
    return {name: rows, "rev": rev, **({"more": True} if more else {})}


def _counted(connection: sqlite3.Connection, project: str) -> dict[str, Any]:
    counts = {
        name: int(connection.execute(count, (project,)).fetchone()[0])
        for name, count in sql.COUNTS.items()
    }
    rev, first = last_revision(connection, project), oldest(connection, project)
    return {"agents": agents(connection, project), **counts, "rev": rev, "oldest": first}
