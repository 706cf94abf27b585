"""Sends each message of the host over HTTP and writes the server's messages back.

Requests run concurrently, so that a slow one blocks no other; the handshake, notifications and
responses are sent one after the other, as their order matters.
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
    cure = "Try again: that starts it. `orchestr8-index status` shows its state."


class Cancelled(Exception):
    """The host has cancelled the request."""


class Relay:
    """Relays messages. `write` gets one whole message, without line end, from any thread."""

    def __init__(self, server: ServerConnection, write: Write) -> None:
        self._server, self._write = server, write
        self.session = McpSession()
        self._crew = Crew()
        self._renewing = threading.Lock()
        self._open: dict[str, Connection | object] = {}
        self._listening = 0

    def take(self, line: bytes) -> None:
        """Handle one line from the host. A bad line, and a failure, become an error response."""
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
        """Wait up to 30 seconds for running requests, then end the session."""
        end = time.monotonic() + LAST_SECONDS
        while self._crew.busy > self._streams() and time.monotonic() < end:
            time.sleep(PAUSE / 10)
        self.end()

    def _streams(self) -> int:
        return sum(key.startswith(LISTEN) for key in list(self._open))

    def end(self) -> None:
        """End the session at the server, if there is one."""
        if self.session.id and (connection := self._server.connect()):
            try:
                connection.ask("DELETE", self.session.headers(), seconds=END_SECONDS)
            except OSError:
                pass

    def _refuse(self, id: object, error: Orchestr8Error) -> None:
        body = {"code": getattr(error, "code", AWAY), "message": str(error)}
        body |= {"data": {"cure": error.cure}} if error.cure else {}
        self._write(json.dumps({"jsonrpc": "2.0", "id": id, "error": body}).encode())

    def _notify(self, message: Message, line: bytes) -> None:
        """Send a notification or a response; errors are dropped, as nobody waits for a reply."""
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
        """Cancel a request of the modern era by breaking its connection; False in the other era."""
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
        """Note a request's connection for `_abort`. Raises Cancelled when it came first."""
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
        """Write the messages of the reply; False when the response itself was not among them."""
        if not reply.streams:
            body = reply.read()
            self._done(reply)
            self._write(self._response(message, reply, body))
            return True
        last, id = "", message["id"]
        events = reply.events()
        for event in events:
            last = event.id or last
            if event.data and self._pass_on(message, event.data, reply, seen) == id:
                for _ in events:  # read to the end, so that the connection can be reused
                    pass
                self._done(reply)
                return True
        return bool(last) and self._resume(message, last, seen)

    def _pass_on(self, message: Message, data: bytes, reply: Reply, seen: set[str]) -> Any:
        """Write one event's message; gives its id when it is a response, else None."""
        event = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError("an event is no message")
        method = event.get("method")
        if method == "notifications/subscriptions/acknowledged":
            if method in seen:
                return None  # the stream was reopened, of which the host knows nothing
            seen.add(method)
        if method is None:
            self._note(message, reply, event)
        self._write(data)
        return event.get("id") if method is None else None

    def _resume(self, message: Message, last: str, seen: set[str]) -> bool:
        """Fetch the rest of a stream that the server ended before the response."""
        time.sleep(PAUSE)
        connection = self._server.lend()
        headers = [*self.session.headers(), f"Last-Event-ID: {last}"]
        reply = connection.ask("GET", headers)
        return reply.status == 200 and reply.streams and self._answer(message, reply, seen)

    def _response(self, message: Message, reply: Reply, body: bytes) -> bytes:
        """The JSON-RPC response for the host. Raises Away when the body holds none."""
        if reply.status == 200 and body and message["method"] not in REMEMBERED:
            return body
        try:
            read = json.loads(body)
        except (ValueError, RecursionError):
            read = None
        if isinstance(read, dict) and isinstance(read.get("error", {}), dict):
            if "result" in read or "error" in read:
                self._note(message, reply, read)
                return json.dumps({**read, "id": message["id"]}).encode()
        raise Away(_why(reply.status, read), "Look at logs/mcp.log in the data directory.")

    def _note(self, message: Message, reply: Reply, response: Message) -> None:
        """Keep in the session what a successful request of the handshake's era changed there."""
        result = response.get("result")
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
        """Send a message; gives the reply, its body unread. Raises Away. Sends it `tries` times at
        most when the connection breaks (every tool is safe to repeat) or the session was lost and
        is renewed; retries for 20 seconds while the server answers 503."""
        end = time.monotonic() + PATIENCE
        while True:
            number, session_id = self.session.number, self.session.id
            reply = self._post(message, line, seconds, key)
            tries -= 1
            if reply is None and tries <= 0:
                raise Away(LOST)
            if reply is None:
                continue
            lost = reply.status == 404 and session_id and not own_version(message) and tries > 0
            waits = reply.status == 503 and time.monotonic() < end
            if not (waits or (lost and self._renew(number))):
                return reply
            reply.connection.close()
            if waits:
                time.sleep(PAUSE)

    def _post(self, message: Message, line: bytes, seconds: float | None, key: str) -> Reply | None:
        """Send a message once; None when the connection broke."""
        connection = self._server.lend()
        if key:
            self._hold(key, connection)
        try:
            return connection.ask("POST", self.session.headers(message), line, seconds)
        except OSError:
            connection.close()
            return None

    def _renew(self, number: int) -> bool:
        """Open the lost session again, unless another thread has; False when that fails."""
        with self._renewing:
            if self.session.number != number:
                return True
            again = self.session.again()
            if again is None:
                return False
            handshake, rest = again
            old_id, self.session.id = self.session.id, ""
            if not self._send_own(handshake):
                self.session.id = old_id
                return False
            for message in rest:
                self._send_own(message)
            return True

    def _send_own(self, message: Message) -> bool:
        """Send a message of the bridge's own, whose response the host does not see."""
        try:
            reply = self._exchange(message, json.dumps(message).encode(), NOTICE_SECONDS, tries=1)
            body = reply.read() if not reply.streams else _last(reply)
        except (OSError, Orchestr8Error):
            return False
        self._done(reply)
        if message.get("id") == BEGINNING and reply.status == 200:
            self._note(message, reply, json.loads(body))
        return reply.status in (200, 202)

    def _done(self, reply: Reply) -> None:
        if reply.reusable:
            self._server.take_back(reply.connection)
        else:
            reply.connection.close()

    def _listen(self) -> None:
        """Open the session's event stream in a thread, which replaces the one before it."""
        self._listening += 1
        number = self._listening
        threading.Thread(target=self._follow, args=(number,), daemon=True).start()

    def _follow(self, stream: int) -> None:
        last, pause = "", PAUSE
        while self._listening == stream:
            number, connection = self.session.number, self._server.connect()
            try:
                reply = self._stream(connection, last) if connection else None
                if reply and reply.status in (400, 405, 501):
                    return  # the server has no such stream
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
        resume = [f"Last-Event-ID: {last}"] if last else []
        return connection.ask("GET", [*self.session.headers(), *resume])


def _no_number(name: str) -> float:
    """Refuse NaN and Infinity, which Python's parser takes and JSON does not have."""
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    return number if number - number == 0 else _no_number(text)


def _key(prefix: str, id: object) -> str:
    return f"{prefix} {id!r}"


def _last(reply: Reply) -> bytes:
    """The data of a stream's last event."""
    body = b"null"
    for event in reply.events():
        body = event.data or body
    return body


def _why(status: int, body: object) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):
        return error
    if status == 413:
        return "The message is larger than the server takes (1 MB)."
    return f"The server answered with HTTP {status} and no MCP response."


class Crew:
    """A thread pool that grows on demand to 64 threads; `busy` counts queued and running tasks."""

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
