"""GET /events: the log of the shared state as it grows, and what happens in the server.

An event of the log is a line of JSON; the last one of a revision carries it as `id`, so that who
comes again with that id misses nothing and hears no revision in part. What stands in no log has no
id, and is not told again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from ..coordinate.caller import Caller
from ..coordinate.core import Coordination
from ..coordinate.feed import Waiter, wanted_by
from ..coordinate.journal import last_revision
from ..coordinate.log import read_events
from ..coordinate.select import Keys
from ..errors import InvalidParams, RequestError
from ..records import JsonObject
from ..sharing import Prefix, Rev
from ..validate import Params, read_params
from .callers import caller
from .events import Delegated, Event, GenerationSwapped, Inbox, Learnt
from .state import State

TOLD: dict[type[Event], str] = {
    GenerationSwapped: "index",
    Learnt: "learnt",
    Delegated: "delegation",
}
PAGE = 100  # events that are read at once
QUIET_SECONDS = 15.0
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
log = logging.getLogger("orchestr8.http")


class Follow(Params, frozen=True):
    """`after` is a revision; without it what comes from now on."""

    after: Rev | None = None
    prefix: Prefix = ""


async def answer_events(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """Until the client leaves, its key is revoked, or the server stops."""
    asked = read_follow(scope)
    shared, who = await state.shared.opened(state.settings), state.shared.asking(state.settings)
    wanted = wanted_by(who.project, Keys(prefix=asked.prefix))
    with (
        shared.feed.listen(who.payer, wanted) as waiter,
        state.events.inbox(*TOLD, arrived=waiter.wake) as inbox,
    ):
        stream = EventStream(shared, who, asked, inbox)
        first = await stream.next_page()  # before the answer begins: a cursor may be refused
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if scope["method"] == "GET":
            await _follow(stream, waiter, first, receive, send)
        await send({"type": "http.response.body", "body": b""})


async def _follow(
    stream: EventStream, waiter: Waiter, text: str, receive: Receive, send: Send
) -> None:
    leaving = asyncio.ensure_future(_left(receive))
    leaving.add_done_callback(lambda _: waiter.wake())
    loop = asyncio.get_running_loop()
    said = loop.time()
    try:
        while not leaving.done():
            if not text and loop.time() - said >= QUIET_SECONDS:
                text = stream.sign_of_life()
            if text:
                said = loop.time()
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            left = said + QUIET_SECONDS - loop.time()
            await waiter.wait(0 if stream.has_more else max(0, left))
            text = await stream.next_page()
    except (RequestError, sqlite3.Error) as error:
        log.info("an event stream ended", extra={"reason": str(error)})
    finally:
        leaving.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream:
    """One client's place in the log. `has_more`: the page that was read is not the last. Who may
    only read hears of no delegation: its text is another caller's task."""

    def __init__(self, shared: Coordination, who: Caller, asked: Follow, inbox: Inbox) -> None:
        self._shared, self._who, self._inbox = shared, who, inbox
        self._keys = Keys(prefix=asked.prefix)
        self._reached = asked.after
        self._told = -1 if asked.after is None else asked.after  # the last id that the client has
        self._hears_tasks = caller.get().may("report")
        self.has_more = False

    async def next_page(self) -> str:
        """The next events of both kinds; "" where there are none. Raises Compacted."""
        if self._reached is None:
            self._reached = await self._shared.read(last_revision, self._who.project)
        asked = (self._who, self._keys, self._reached, PAGE)
        rows, self._reached, self.has_more = await self._shared.read(read_events, *asked)
        if not rows and self._told < 0:
            return self.sign_of_life() + self._news()
        return "".join(map(self._message, rows, [*rows[1:], None])) + self._news()

    def sign_of_life(self) -> str:
        """A comment, with the revision reached if that is more than the client knows."""
        if self._reached is None or self._reached <= self._told:
            return ":\n\n"
        self._told = self._reached
        return f":\nid: {self._told}\n\n"

    def _message(self, row: JsonObject, after: JsonObject | None) -> str:
        if after is not None and after["rev"] == row["rev"]:
            return _data(row)
        self._told = row["rev"]
        return f"id: {self._told}\n{_data(row)}"

    def _news(self) -> str:
        lost, events = self._inbox.take()
        if not self._hears_tasks:
            events = [each for each in events if not isinstance(each, Delegated)]
        gap = [{"kind": "lost", "events": lost}] if lost else []
        return "".join(map(_data, [*gap, *map(_described, events)]))


def read_follow(scope: Scope) -> Follow:
    """From the address and Last-Event-ID, which counts more. Raises InvalidParams."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    given = dict(pairs)
    if len(given) < len(pairs):
        raise InvalidParams(
            {name[:100]: "is given twice" for name, value in pairs if value is not given[name]}
        )
    last = dict(scope["headers"]).get(b"last-event-id", b"").strip().decode("latin-1")
    asked = {**given, **({"after": last} if last else {})}
    rev = asked.get("after", "")
    number = {"after": int(rev)} if rev.isascii() and rev.isdigit() and len(rev) < 20 else {}
    return read_params(Follow, msgspec.json.encode({**asked, **number}))


def _described(event: Event) -> dict[str, object]:
    return {"kind": TOLD[type(event)], **msgspec.structs.asdict(event)}


def _data(body: object) -> str:
    """On one line: a value may have been written on several."""
    text = msgspec.json.encode(body)
    if b"\n" in text or b"\r" in text:
        text = msgspec.json.format(text, indent=-1)
    return f"data: {text.decode()}\n\n"
