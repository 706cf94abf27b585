"""The shared state of a repository's agents: the methods, as a library in one event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
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
from ..store.writer import Work as Writing
from . import locks, messages, sessions, values
from . import statements as sql
from .agents import agents
from .caller import Caller
from .commits import Commits, Work
from .feed import wanted_by
from .holds import check_fences
from .journal import Change, last_revision, oldest
from .log import MOST_DAYS, MOST_EVENTS, check_rev, compact, horizon, read_events
from .select import Keys, one_of

DAY = 86_400.0
Past = tuple[list[Any], bool, int]  # rows, whether there are more, the revision
Answer = Any  # an object of JSON; Raw where it is given a second time


class Coordination(Commits):
    """Every method takes who calls and its params, and raises a RequestError of errors.py."""

    # --- values ------------------------------------------------------------------------------

    async def read_shared(self, caller: Caller, params: ReadShared) -> Answer:
        caller.require("read")
        keys = caller.may_read(one_of(params.keys, params.prefix, params.pattern))
        if params.changed_after is not None:
            return await self._read_changes(caller, params)
        if params.history or params.at_rev is not None:
            rows, more, rev = await self.read(self._read_history, caller, keys, params)
        else:
            asked = (caller.project, keys, params.after, params.limit)
            rows, more, rev = await self.read(self._present, *asked)
        return {"items": rows, "rev": rev, **({"more": True} if more else {})}

    def _present(self, connection: sqlite3.Connection, *asked: Any) -> Past:
        return values.Reader(connection, self.clock).present(*asked)

    def _read_history(
        self, connection: sqlite3.Connection, caller: Caller, keys: Keys, params: ReadShared
    ) -> Past:
        reader = values.Reader(connection, self.clock)
        with transaction(connection, "DEFERRED"):
            newest = self.newest(connection, caller.project)
            rev = last_revision(connection, caller.project)
            check_rev(connection, caller.project, params.at_rev, max(rev, newest))
            read = reader.history if params.history else reader.as_of
            return *read(caller.project, keys, params), rev

    def newest(self, connection: sqlite3.Connection, project: str) -> int:
        """The last revision that was given out, also to a write that changed nothing."""
        return self.journal.revisions.last

    async def _read_changes(self, caller: Caller, params: ReadShared) -> Answer:
        keys = one_of(params.keys, params.prefix, params.pattern)
        after = params.changed_after or 0

        async def look() -> tuple[list[Answer], bool]:
            nonlocal after
            found = await self.read(read_events, caller, keys, after, params.limit)
            rows, after, more = found
            return rows, more

        wanted, seconds = wanted_by(caller.project, keys), params.wait_ms / 1000
        rows, more = await self.feed.until(caller.payer, wanted, seconds, look)
        return {"events": rows, "rev": after, **({"more": True} if more else {})}

    async def write_shared(self, caller: Caller, params: WriteShared) -> Answer:
        texts = [value_text(op.value, "ops.value") for op in params.ops]
        caller.may_write(op.key for op in params.ops)
        if any(text != values.NULL for text in texts):
            self.store.admit(sum(map(len, texts)))

        def work(change: Change) -> Answer:
            check_fences(change, caller, params.fence)
            return values.write_ops(change, params.ops, texts)

        return await self.change(caller, work, "write_shared", params.request_id)

    async def snapshot_shared(self, caller: Caller, params: SnapshotShared) -> Answer:
        caller.require("admin")
        keys = caller.may_read(Keys(prefix=params.prefix))
        read = lambda on: values.Reader(on, self.clock).snapshot(caller.project, keys)  # noqa: E731
        rows, rev = await self.read(read)
        return {"rev": rev, "items": rows}

    async def restore_shared(self, caller: Caller, params: RestoreShared) -> Answer:
        texts = {each.key: value_text(each.value, "items.value") for each in params.items}
        self.store.admit(sum(map(len, texts.values())))
        caller.may_write([*texts, f"{params.prefix}*"])  # what is not among them goes
        keys = caller.may_read(Keys(prefix=params.prefix))
        work: Work = lambda change: values.restore(change, params, texts, keys)  # noqa: E731
        return await self.change(caller, work, "restore_shared", scope="admin")

    # --- locks -------------------------------------------------------------------------------

    async def lock(self, caller: Caller, params: LockResources) -> Answer:
        if params.action == "list":
            caller.require("read")
            return await self.read(locks.list_locks, self.clock, caller, params.resources)
        answer = await self.change(
            caller, lambda change: locks.lock(change, caller, params), "lock", params.request_id
        )
        if isinstance(answer, locks.Queued):
            return await self._wait_for_grant(caller, params, answer)
        return answer

    async def _wait_for_grant(
        self, caller: Caller, params: LockResources, queued: locks.Queued
    ) -> Raw:
        wanted = [(caller.project, f"@grant/{queued.rev}", False)]

        async def granted() -> tuple[Raw | None]:
            return await self.read(self._granted, caller, queued)

        try:
            await self.feed.until(caller.payer, wanted, params.wait_ms / 1000, granted)
        except BaseException:
            if not params.request_id:
                work: Work = lambda change: locks.abandon(change, caller, queued.request)  # noqa: E731
                self.behind(self.change(caller, work))
            raise
        keep = bool(params.request_id)
        if not (await granted())[0]:
            busy = await self.change(caller, lambda change: locks.leave(change, queued, keep))
            if busy is not None:
                raise busy
        (given,) = await granted()
        if given is None:
            raise Busy("The place in the queue was given up.")
        return given

    def _granted(
        self, connection: sqlite3.Connection, caller: Caller, queued: locks.Queued
    ) -> tuple[Raw | None]:
        key = f"@request/lock/{caller.who}/{queued.request}"
        return (values.Reader(connection, self.clock).noted(caller.project, key),)

    async def break_lock(self, caller: Caller, params: BreakLock) -> Answer:
        return await self.change(
            caller,
            lambda change: locks.break_lock(change, caller, params),
            "break_lock",
            scope="admin",
        )

    # --- messages ----------------------------------------------------------------------------

    async def send_message(self, caller: Caller, params: SendMessage) -> Answer:
        self.store.admit()
        if params.visibility == "admin_only":
            caller.require("admin")

        def work(change: Change) -> Answer:
            check_fences(change, caller, params.fence)
            for ident in messages.sessions_of(params):
                sessions.open_session(change, ident)
            sent = messages.send(change, caller, params)
            if params.session is not None:
                sessions.touch_session(change, params.session)
            return sent

        return await self.change(caller, work, "send_message", params.request_id)

    async def read_inbox(self, caller: Caller, params: ReadInbox) -> Answer:
        """Waits until something can be taken; a look alone changes nothing."""
        caller.require("report" if params.queue else "read")
        boxes = messages.boxes_of(caller, params)
        wanted = [(caller.project, f"@inbox/{box}", False) for box in boxes]
        self.touch(caller)

        async def look() -> tuple[Answer]:
            nonlocal params
            rows = await self._take(caller, params, boxes)
            params = replace(params, ack=[])
            return (rows,)

        (rows,) = await self.feed.until(caller.payer, wanted, params.wait_ms / 1000, look)
        waiting = await self.read(messages.count_waiting, caller.project, boxes)
        return {"messages": rows, "waiting": waiting}

    async def _take(self, caller: Caller, params: ReadInbox, boxes: tuple[str, ...]) -> Answer:
        overdue = self.journal.due <= self.clock.now()  # a take may be over, and be so ended now
        ready = await self.read(messages.count_waiting, caller.project, boxes, 1)
        if params.peek and params.ack:
            numbers = [messages.message_number(each, "ack") for each in params.ack]
            done: Work = lambda change: messages.acknowledge(change, caller, numbers)  # noqa: E731
            await self.change(caller, done, "read_inbox", scope="read")
        if params.peek:
            return await self.read(messages.peek, caller, params)
        if not (ready or overdue or params.ack):
            return []
        work: Work = lambda change: messages.take(change, caller, params)  # noqa: E731
        return await self.change(caller, work, "read_inbox", scope="read")

    # --- sessions ----------------------------------------------------------------------------

    async def session(self, caller: Caller, params: SessionCall) -> Answer:
        caller.require("read")
        self.touch(caller)
        if params.action == "list":
            return await self.read(sessions.list_sessions, caller, params)
        if params.action == "get":
            ident = sessions.require_id(params)
            return await self.read(sessions.get_session, caller.project, ident)
        if params.action == "read":
            return await self.read(sessions.read_session, caller, params)
        return await self.change(
            caller, lambda change: sessions.change_session(change, caller, params), "session"
        )

    # --- what people look at -----------------------------------------------------------------

    async def coordination(self, caller: Caller, params: NoParams) -> Answer:
        """Agents, counts and sizes of the caller's project, and of the server."""
        caller.require("read")
        return await self.read(self._counted, caller.project)

    def _counted(self, connection: sqlite3.Connection, project: str) -> Answer:
        return {
            "agents": agents(connection, project),
            **{
                name: int(connection.execute(count, (project,)).fetchone()[0])
                for name, count in sql.COUNTS.items()
            },
            "waiting_calls": self.feed.waiting,
            "rev": last_revision(connection, project),
            "oldest": oldest(connection, project),
            "calls": dict(self.counts),
            "refusals": dict(self.refusals),
            "size_mb": self.store.size_mb,
        }

    def of_team(self) -> dict[str, Any]:
        """What /health says of a team; here there is none."""
        return {}

    @property
    def reasons(self) -> list[str]:
        """What is wrong, as sentences."""
        return self.store.reasons

    def figures(self) -> dict[str, int]:
        """Of all projects: what there is now, and what was counted since the start."""
        held = self.store.reader.execute(sql.COUNT_LOCKS).fetchone()
        return {**self._counts(), "locks": int(held[0])}

    def _counts(self) -> dict[str, int]:
        return {
            "waiters": self.feed.waiting,
            "messages": self.counts["send_message"],
            "expiries": self.journal.expired,
            "refusals": self.refusals.total(),
        }

    # --- upkeep ------------------------------------------------------------------------------

    async def tidy(self, idle_days: float = 7, kept_days: float = 30) -> None:
        """Once an hour: compact the log, and archive and remove sessions that nobody uses."""
        rows: Callable[..., Any] = lambda on, query: on.execute(query).fetchall()  # noqa: E731
        for (log,) in await self.read(rows, sql.LOGS):
            await self._compact(log)
        for (project,) in await self.read(rows, sql.PROJECTS):
            await self.change(
                Caller(messages.SERVER, project=project),
                lambda change: sessions.retire_sessions(change, idle_days, kept_days),
            )

    async def _compact(self, log: str) -> None:
        """That of a project, or of all where they have one together."""
        at, start = self.clock.at(), 0
        find: Writing = lambda writing: horizon(writing, at, MOST_EVENTS, MOST_DAYS)  # noqa: E731
        before = await self.store.write(find, project=log)
        bite: Writing = lambda writing: compact(writing, before, start, log)  # noqa: E731
        while start := await self.store.write(bite, project=log):
            pass

    async def keep_audit(self, rows: Sequence[Any]) -> None:
        """What was done here, for a team's other servers; here there are none."""

    async def back_up(self) -> None:
        """Where the newest backup is a day old."""
        if backup.age_seconds(self.data_dir, sql.NAME) > DAY:
            await asyncio.to_thread(backup.backup, self.data_dir, name=sql.NAME)

    async def save_clock(self) -> None:
        """Once a minute while leases run: a crash then gives them no more than that minute."""

        def save(writing: sqlite3.Connection) -> None:
            self.journal.save_clock(writing, always=True)
            self.journal.revisions.keep()

        await self.store.write(save)
