"""Read the body of a request up to its limit, and send whole responses."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.types import Message, Receive, Send

from ..environment import ADDRESSES
from ..errors import BodyTooLarge, EncodingRefused, RequestError
from ..fit import fit_json
from .shares import Account

_TOOLS = {"/tools/file_write", "/tools/file_edit"}
LARGE = {"/shared", *_TOOLS, *(f"/mcp/{face}" for face in ADDRESSES)}  # routes that write values
MAX_LARGE = 12_000_000
JSON = b"application/json"
REPLY = b'{"jsonrpc":"2.0","id":%b,"result":%b}'
"""A JSON-RPC response, to be filled with id and result as JSON."""


class ClientGone(Exception):
    """The client disconnected before its request was complete; nothing is done or sent."""


def check_announced(headers: dict[bytes, bytes], most: int) -> None:
    """Check Content-Encoding and Content-Length. Raises EncodingRefused and BodyTooLarge."""
    if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise EncodingRefused("A compressed body is not read.")
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > most):
        raise too_large(most)


def too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is over {most:,} bytes.")


class BoundedReceive:
    """A `receive` that raises BodyTooLarge after more than `most` bytes (MAX_LARGE if it
    `may_be_large`), and Overloaded when the request's account has no room for them.

    `come` is called when the body is complete.
    """

    def __init__(
        self,
        receive: Receive,
        most: int,
        own: Account,
        come: Callable[[], None] = lambda: None,
        may_be_large: bool = False,
    ) -> None:
        self._receive, self._left, self._most, self._come = receive, most, most, come
        self._own, self._may_be_large = own, may_be_large

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self._left -= size
            if self._left < 0 and self._may_be_large:
                self._own.enlarge()
                self._may_be_large, more = False, max(0, MAX_LARGE - self._most)
                self._left, self._most = self._left + more, self._most + more
            if self._left < 0:
                raise too_large(self._most)
            self._own.take_body(size)
            if not message.get("more_body", False):
                self._come()
        return message


def again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already, then what `receive` gives."""
    first = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_again() -> Message:
        return next(first, None) or await receive()

    return receive_again


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises ClientGone when the client disconnects before its end."""
    parts, more = list[bytes](), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def send_json(send: Send, status: int, body: object, *headers: tuple[bytes, bytes]) -> None:
    """Send a response whose body is encoded as JSON."""
    await send_bytes(send, status, msgspec.json.encode(body), JSON, *headers)


async def send_bytes(
    send: Send, status: int, body: bytes, kind: bytes, *headers: tuple[bytes, bytes]
) -> None:
    """Send a response with this content type and body; 204 and 304 have neither."""
    fixed = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status in (204, 304):
        fixed = []
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: RequestError, *more: tuple[bytes, bytes]) -> None:
    """Send an error, on every route as a JSON-RPC response with the id null."""
    headers = [(name.encode(), value.encode()) for name, value in error.headers().items()]
    await send_bytes(send, error.status, error_body(b"null", error), JSON, *headers, *more)


def error_body(ident: bytes, error: RequestError) -> bytes:
    """A JSON-RPC error response; `ident` is the id as JSON."""
    body = fit_json(msgspec.json.encode(error.body()))
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (ident, body)
