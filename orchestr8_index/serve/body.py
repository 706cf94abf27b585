"""Reads the body of a request, and no more than the limit, whatever its route does with it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Message, Receive

from ..errors import BodyTooLarge, EncodingRefused
from .shares import Account


class Gone(Exception):
    """The client left before its request was whole: nothing is done, nobody is answered."""


def check_announced(headers: dict[bytes, bytes], most: int) -> None:
    """Raises BodyTooLarge and EncodingRefused, before anything is read."""
    if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise EncodingRefused("A compressed body is not read.")
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > most):
        raise too_large(most)


def too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is over {most:,} bytes.")


class Bounded:
    """`receive`, which raises BodyTooLarge as soon as more than `most` bytes have come, and
    Overloaded where the account of the request cannot hold them.

    `come` is called with the last of them.
    """

    def __init__(
        self, receive: Receive, most: int, own: Account, come: Callable[[], None] = lambda: None
    ) -> None:
        self._receive, self._left, self._most, self._come = receive, most, most, come
        self._own = own

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            come = len(message.get("body", b""))
            self._left -= come
            if self._left < 0:
                raise too_large(self._most)
            self._own.take_body(come)
            if not message.get("more_body", False):
                self._come()
        return message


class Again:
    """`receive` of a body that was read already, and then of what comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._receive, self._body = receive, body
        self._is_sent = False

    async def __call__(self) -> Message:
        if self._is_sent:
            return await self._receive()
        self._is_sent = True
        return {"type": "http.request", "body": self._body, "more_body": False}


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises Gone when the client leaves before its end."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        return body
    parts = [message]
    while parts[-1]["type"] == "http.request" and parts[-1].get("more_body", False):
        parts.append(await receive())
    if parts[-1]["type"] != "http.request":
        raise Gone
    return b"".join(part.get("body", b"") for part in parts)
