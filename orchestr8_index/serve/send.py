"""Sends an answer of one piece over ASGI: JSON, bytes, or an error of the family."""

from __future__ import annotations

import msgspec
from starlette.types import Send

from ..errors import RequestError
from ..fit import fit_json

JSON = b"application/json"


async def send_json(send: Send, status: int, body: object, *headers: tuple[bytes, bytes]) -> None:
    """Answer with a body as JSON."""
    await send_bytes(send, status, msgspec.json.encode(body), JSON, *headers)


async def send_bytes(
    send: Send, status: int, body: bytes, kind: bytes, *headers: tuple[bytes, bytes]
) -> None:
    """Answer with a whole body of this content type."""
    fixed = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status in (204, 304):
        fixed = []
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: RequestError, *more: tuple[bytes, bytes]) -> None:
    """The same body on every route: a JSON-RPC reply to nobody in particular."""
    headers = [(name.encode(), value.encode()) for name, value in error.headers().items()]
    await send_bytes(send, error.status, error_body(b"null", error), JSON, *headers, *more)


def error_body(ident: bytes, error: RequestError) -> bytes:
    """A JSON-RPC error, with an id that is JSON already."""
    body = fit_json(msgspec.json.encode(error.body()))
    return b'{"jsonrpc":"2.0","id":' + ident + b',"error":' + body + b"}"
