"""GET /events: a server-sent event stream of the shared state's log and of the server's events.

An event is a line of JSON. The last event of a revision has it as `id`, so that a client which
resumes with that Last-Event-ID misses nothing and gets no revision in part. Events of the server
have no id and are not sent again.
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

SENT: dict[type[Event], str] = {
    GenerationSwapped: "index",
    Learnt: "learnt",
    Delegated: "delegation",
}
PAGE = 100  # events read at once
QUIET_SECONDS = 15.0
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
log = logging.getLogger("orchestr8.http")


class Follow(Params, frozen=True):
    """The parameters: events after the revision `after`, by default from now on, of a prefix."""

    after: Rev | None = None
    prefix: Prefix = ""


async def answer_events(state: State, scope: Scope, receive: Receive, send: Send) -> None:
    """Stream events until the client disconnects, its key is revoked, or the server stops."""
    params = read_follow(scope)
    shared, who = await state.shared.opened(state.settings), state.shared.asking(state.settings)
    wanted = wanted_by(who.project, Keys(prefix=params.prefix))
    with (
        shared.feed.listen(who.payer, wanted) as waiter,
        state.events.inbox(*SENT, arrived=waiter.wake) as inbox,
    ):
        stream = EventStream(shared, who, params, inbox)
        first = await stream.next_page()  # before the response begins, as it may raise Compacted
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if scope["method"] == "GET":
            await _follow(stream, waiter, first, receive, send)
        await send({"type": "http.response.body", "body": b""})


async def _follow(
    stream: EventStream, waiter: Waiter, text: str, receive: Receive, send: Send
) -> None:
    leaving = asyncio.ensure_future(_disconnected(receive))
    leaving.add_done_callback(lambda _: waiter.wake())
    loop = asyncio.get_running_loop()
    sent_at = loop.time()
    try:
        while not leaving.done():
            if not text and loop.time() - sent_at >= QUIET_SECONDS:
                text = stream.keep_alive()
            if text:
                sent_at = loop.time()
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            left = sent_at + QUIET_SECONDS - loop.time()
            await waiter.wait(0 if stream.has_more else max(0, left))
            text = await stream.next_page()
    except (RequestError, sqlite3.Error) as error:
        log.info("an event stream ended", extra={"reason": str(error)})
    finally:
        leaving.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream:
    """One client's position in the log. `has_more`: the page that was read is not the last. A
    caller of scope `read` gets no delegations, which contain other callers' tasks."""

    def __init__(self, shared: Coordination, who: Caller, params: Follow, inbox: Inbox) -> None:
        self._shared, self._who, self._inbox = shared, who, inbox
        self._keys = Keys(prefix=params.prefix)
        self._reached = params.after
        self._last_id = -1 if params.after is None else params.after  # the last that was sent
        self._gets_tasks = caller.get().may("report")
        self.has_more = False

    async def next_page(self) -> str:
        """The next events of both kinds as text, "" for none. Raises Compacted."""
        if self._reached is None:
            self._reached = await self._shared.read(last_revision, self._who.project)
        query = (self._who, self._keys, self._reached, PAGE)
        rows, self._reached, self.has_more = await self._shared.read(read_events, *query)
        if not rows and self._last_id < 0:
            return self.keep_alive() + self._server_events()
        return "".join(map(self._message, rows, [*rows[1:], None])) + self._server_events()

    def keep_alive(self) -> str:
        """A comment, with the revision reached as its id if that is new to the client."""
        if self._reached is None or self._reached <= self._last_id:
            return ":\n\n"
        self._last_id = self._reached
        return f":\nid: {self._last_id}\n\n"

    def _message(self, row: JsonObject, after: JsonObject | None) -> str:
        if after is not None and after["rev"] == row["rev"]:
            return _data(row)
        self._last_id = row["rev"]
        return f"id: {self._last_id}\n{_data(row)}"

    def _server_events(self) -> str:
        lost, events = self._inbox.take()
        if not self._gets_tasks:
            events = [each for each in events if not isinstance(each, Delegated)]
        gap = [{"kind": "lost", "events": lost}] if lost else []
        return "".join(map(_data, [*gap, *map(_described, events)]))


def read_follow(scope: Scope) -> Follow:
    """The parameters of the query string; Last-Event-ID replaces `after`. Raises InvalidParams."""
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    query = dict(pairs)
    if len(query) < len(pairs):
        raise InvalidParams(
            {name[:100]: "is given twice" for name, value in pairs if value is not query[name]}
        )
    last = dict(scope["headers"]).get(b"last-event-id", b"").strip().decode("latin-1")
    params = {**query, **({"after": last} if last else {})}
    rev = params.get("after", "")
    number = {"after": int(rev)} if rev.isascii() and rev.isdigit() and len(rev) < 20 else {}
    return read_params(Follow, msgspec.json.encode({**params, **number}))


def _described(event: Event) -> dict[str, object]:
    return {"kind": SENT[type(event)], **msgspec.structs.asdict(event)}


def _data(body: object) -> str:
    """An event's data on one line, though a value may have been written on several."""
    text = msgspec.json.encode(body)
    if b"\n" in text or b"\r" in text:
        text = msgspec.json.format(text, indent=-1)
    return f"data: {text.decode()}\n\n"
