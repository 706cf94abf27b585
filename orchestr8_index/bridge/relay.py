"""A line from the host is asked over HTTP, and what comes back is written.

Requests are carried out side by side, so that a slow one stops nobody; the handshake, notifications
and answers go one after the other, as their order counts.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from ..errors import InvalidRequest, Orchestr8Error, ParseError
from .server import ServerConnection
from .session import BEGINNING, McpSession, Message, own_version
from .wire import Connection, Reply

AWAY = -32000
PATIENCE, PAUSE, NOTICE_SECONDS = 20.0, 0.1, 10.0
END_SECONDS, LAST_SECONDS = 1.0, 30.0
LISTEN = "subscriptions/listen"
TRIES, THREADS = 3, 64
REMEMBERED = ("initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")
CANCELLED = object()
LOST = "The server went away while it answered."
Write = Callable[[bytes], None]


class Away(Orchestr8Error):
    cure = "Ask again: it is started again then. `orchestr8-index status` says how it is."


class Cancelled(Exception):
    """The host wants no answer any more."""


class Relay:
    """`write` gets whole messages, each without a line end, from any thread."""

    def __init__(self, server: ServerConnection, write: Write) -> None:
        self._server, self._write = server, write
        self.session = McpSession()
        self._crew = Crew()
        self._renewing = threading.Lock()
        self._open: dict[str, Connection | object] = {}
        self._listening = 0

    def take(self, line: bytes) -> None:
        """One line from the host. Never raises for what it says or what becomes of it."""
        try:
            message = json.loads(line, parse_constant=_no_number, parse_float=_finite)
        except (ValueError, RecursionError):
            self._refuse(None, ParseError("The line is not JSON, or holds a number out of range."))
            return
        if not isinstance(message, dict) or not isinstance(message.get("id", 0), (str, int, float)):
            cure = "Send one JSON-RPC object a line; MCP has no batches here."
            self._refuse(None, InvalidRequest("The line is not a JSON-RPC message.", cure))
        elif "id" not in message or "method" not in message:
            self._notify(message, line)
        elif message["method"] == "initialize":
            self._request(message, line)
        else:
            self._crew.give(lambda: self._request(message, line))

    def finish(self) -> None:
        """The host is done: let what is being asked be answered, then end the session."""
        end = time.monotonic() + LAST_SECONDS
        while self._crew.busy > self._streams() and time.monotonic() < end:
            time.sleep(PAUSE / 10)
        self.end()

    def _streams(self) -> int:
        return sum(key.startswith(LISTEN) for key in list(self._open))

    def end(self) -> None:
        if self.session.id and (connection := self._server.connect()):
            try:
                connection.ask("DELETE", self.session.headers(), seconds=END_SECONDS)
            except OSError:
                pass

    def _refuse(self, id: object, error: Orchestr8Error, code: int = AWAY) -> None:
        body = {"code": getattr(error, "code", code), "message": str(error)}
        told = {**body, "data": {"cure": error.cure}} if error.cure else body
        self._write(json.dumps({"jsonrpc": "2.0", "id": id, "error": told}).encode())

    def _notify(self, message: Message, line: bytes) -> None:
        """Nobody waits for an answer, so there is none to an error either."""
        method = message.get("method")
        if method == "notifications/cancelled" and self._abort(message):
            return
        try:
            reply = self._exchange(message, line, NOTICE_SECONDS)
            reply.read()
            self._done(reply)
        except (OSError, Orchestr8Error):
            return
        if method == "notifications/initialized" and reply.status < 400 and self.session.id:
            self._listen()

    def _abort(self, message: Message) -> bool:
        """In the modern era the end of its connection is what cancels a request."""
        params = message.get("params")
        id = params.get("requestId") if isinstance(params, dict) else None
        for key in (_key(LISTEN, id), _key("", id)):
            if key in self._open:
                connection, self._open[key] = self._open[key], CANCELLED
                if isinstance(connection, Connection):
                    connection.abort()
                return True
        return bool(own_version(message))

    def _hold(self, key: str, connection: Connection) -> None:
        """For `_abort`, before anything is asked on it."""
        if self._open.get(key) is CANCELLED:
            connection.close()
            raise Cancelled
        self._open[key] = connection

    def _request(self, message: Message, line: bytes) -> None:
        try:
            self._carry_out(message, line)
        except Cancelled:
            pass
        except Orchestr8Error as error:
            self._refuse(message["id"], error)
        except (OSError, ValueError) as error:
            self._refuse(message["id"], Away(f"The server does not answer in MCP: {error}."))

    def _carry_out(self, message: Message, line: bytes) -> None:
        kind = LISTEN if message["method"] == LISTEN else ""
        key = _key(kind, message["id"]) if own_version(message) else ""
        seen: set[str] = set()
        try:
            while not self._answered(message, line, key, seen):
                if not kind:
                    raise Away(LOST)
                time.sleep(PAUSE)
        finally:
            self._open.pop(key, None)

    def _answered(self, message: Message, line: bytes, key: str, seen: set[str]) -> bool:
        reply = self._exchange(message, line, key=key)
        try:
            return self._answer(message, reply, seen)
        except OSError:
            reply.connection.close()
            if key and self._open.get(key) is CANCELLED:
                raise Cancelled from None
            return False

    def _answer(self, message: Message, reply: Reply, seen: set[str]) -> bool:
        """Write what the reply holds; whether the answer itself was in it."""
        if not reply.streams:
            body = reply.read()
            self._done(reply)
            self._write(self._told(message, reply, body))
            return True
        last, id = "", message["id"]
        events = reply.events()
        for event in events:
            last = event.id or last
            if event.data and self._pass_on(message, event.data, reply, seen) == id:
                for _ in events:  # to the end, so that the connection can be used again
                    pass
                self._done(reply)
                return True
        return bool(last) and self._resume(message, last, seen)

    def _pass_on(self, message: Message, data: bytes, reply: Reply, seen: set[str]) -> Any:
        """Write one event; the id of the answer that it is, else None."""
        found = json.loads(data)
        if not isinstance(found, dict):
            raise ValueError("an event is no message")
        method = found.get("method")
        if method == "notifications/subscriptions/acknowledged":
            if method in seen:
                return None  # the host does not know that the stream was opened again
            seen.add(method)
        if method is None:
            self._learn(message, reply, found)
        self._write(data)
        return found.get("id") if method is None else None

    def _resume(self, message: Message, last: str, seen: set[str]) -> bool:
        """The stream ended before the answer, on purpose: the rest is to be fetched."""
        time.sleep(PAUSE)
        connection = self._server.lend()
        headers = [*self.session.headers(), f"Last-Event-ID: {last}"]
        reply = connection.ask("GET", headers)
        return reply.status == 200 and reply.streams and self._answer(message, reply, seen)

    def _told(self, message: Message, reply: Reply, body: bytes) -> bytes:
        """The answer for the host, made from whatever the server said."""
        if reply.status == 200 and body and message["method"] not in REMEMBERED:
            return body
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("error", {}), dict):
            raise Away(_why(reply.status, found), "Look at logs/mcp.log in the data directory.")
        if "result" not in found and "error" not in found:
            raise Away(_why(reply.status, found), "Look at logs/mcp.log in the data directory.")
        self._learn(message, reply, found)
        return json.dumps({**found, "id": message["id"]}).encode()

    def _learn(self, message: Message, reply: Reply, found: Message) -> None:
        result = found.get("result")
        if not isinstance(result, dict):
            return
        if message["method"] == "initialize":
            version = str(result.get("protocolVersion", ""))
            self.session.open(message, reply.headers.get("mcp-session-id", ""), version)
        elif not own_version(message):
            self.session.note(message)

    def _exchange(
        self,
        message: Message,
        line: bytes,
        seconds: float | None = None,
        *,
        key: str = "",
        tries: int = TRIES,
    ) -> Reply:
        """The reply's head. A connection that breaks is tried once more: every tool may be asked
        twice. A session that the server lost is begun again, and a server that starts waited for.
        """
        end = time.monotonic() + PATIENCE
        while True:
            number, held = self.session.number, self.session.id
            reply = self._post(message, line, seconds, key)
            tries -= 1
            if reply is None and tries <= 0:
                raise Away(LOST)
            if reply is None:
                continue
            lost = reply.status == 404 and held and not own_version(message) and tries > 0
            waits = reply.status == 503 and time.monotonic() < end
            if not (waits or (lost and self._renew(number))):
                return reply
            reply.connection.close()
            if waits:
                time.sleep(PAUSE)

    def _post(self, message: Message, line: bytes, seconds: float | None, key: str) -> Reply | None:
        """None when the connection broke."""
        connection = self._server.lend()
        if key:
            self._hold(key, connection)
        try:
            return connection.ask("POST", self.session.headers(message), line, seconds)
        except OSError:
            connection.close()
            return None

    def _renew(self, number: int) -> bool:
        """Begin the session again, unless another thread has done it. False when it cannot be."""
        with self._renewing:
            if self.session.number != number:
                return True
            again = self.session.again()
            if again is None:
                return False
            begin, rest = again
            held, self.session.id = self.session.id, ""
            if not self._silently(begin):
                self.session.id = held
                return False
            for message in rest:
                self._silently(message)
            return True

    def _silently(self, message: Message) -> bool:
        """Ask without telling the host what is answered."""
        try:
            reply = self._exchange(message, json.dumps(message).encode(), NOTICE_SECONDS, tries=1)
            body = reply.read() if not reply.streams else _last(reply)
        except (OSError, Orchestr8Error):
            return False
        self._done(reply)
        if message.get("id") == BEGINNING and reply.status == 200:
            self._learn(message, reply, json.loads(body))
        return reply.status in (200, 202)

    def _done(self, reply: Reply) -> None:
        if reply.reusable:
            self._server.take_back(reply.connection)
        else:
            reply.connection.close()

    def _listen(self) -> None:
        """What the server says by itself, in the era of the handshake."""
        self._listening += 1
        mine = self._listening
        threading.Thread(target=self._follow, args=(mine,), daemon=True).start()

    def _follow(self, mine: int) -> None:
        last, pause = "", PAUSE
        while self._listening == mine:
            number, connection = self.session.number, self._server.connect()
            try:
                reply = self._stream(connection, last) if connection else None
                if reply and reply.status in (400, 405, 501):
                    return  # a server without such a stream
                if reply and reply.status == 404:
                    self._renew(number)
                    last = ""
                elif reply and reply.streams:
                    for event in reply.events():
                        last, pause = event.id or last, PAUSE
                        if event.data:
                            self._write(event.data)
            except OSError:
                pass
            finally:
                if connection:
                    connection.close()
            time.sleep(pause)
            pause = min(5.0, pause * 2)

    def _stream(self, connection: Connection, last: str) -> Reply:
        known = [f"Last-Event-ID: {last}"] if last else []
        return connection.ask("GET", [*self.session.headers(), *known])


def _no_number(name: str) -> float:
    """Python reads NaN and Infinity; JSON has no such numbers."""
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    return number if number - number == 0 else _no_number(text)


def _key(prefix: str, id: object) -> str:
    return f"{prefix} {id!r}"


def _last(reply: Reply) -> bytes:
    """The answer in a stream that is for nobody else."""
    body = b"null"
    for event in reply.events():
        body = event.data or body
    return body


def _why(status: int, found: object) -> str:
    said = found.get("error") if isinstance(found, dict) else None
    if isinstance(said, str):
        return said
    if status == 413:
        return "The message is larger than the server takes (1 MB)."
    return f"The server answered with HTTP {status}, which is no answer in MCP."


class Crew:
    """Threads that carry out requests side by side: as many as there are at one time. `busy` are
    waiting or being done; a thread stays for the next one."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self.busy = 0

    def give(self, task: Callable[[], None]) -> None:
        with self._lock:
            self.busy += 1
            more = self.busy > self._threads and self._threads < THREADS
            self._threads += more
        self._tasks.put(task)
        if more:
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            finally:
                with self._lock:
                    self.busy -= 1
