"""Each event of the log as a message of JetStream, once, with the subject `o8.PROJECT.KIND.KEY`.

The message's id is `PROJECT:rev:n`, by which NATS drops duplicates; the last message of a project
in the stream says where to resume, however long the server was away.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import Header, StorageType
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from ..coordinate.caller import Caller
from ..records import JsonObject
from .circuit import OutletCircuit
from .outlets import SECONDS, LogEvent

STREAM, SUBJECTS = "O8", "o8.>"
CONNECT_SECONDS = 2
ACK_SECONDS = 2.0  # of a whole batch
HEAD_BYTES = 4096  # of a message, beside its value
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f.*>%]")


class NatsOutlet:
    """Creates the stream if there is none; an existing one keeps its settings."""

    errors: tuple[type[Exception], ...] = (Error, OSError, TimeoutError)

    def __init__(self, url: str, circuit: OutletCircuit) -> None:
        self._url, self.circuit = url, circuit
        self._client: Any = None
        self._stream: JetStreamContext

    @property
    def reasons(self) -> list[str]:
        return self.circuit.reasons

    def explain(self, error: Exception) -> str:
        if isinstance(error, ServiceUnavailableError) or "jetstream" in str(error).lower():
            return "NATS runs without JetStream: start it with `-js`."
        if isinstance(error, APIError):
            return f"NATS' stream {STREAM} refuses it: {str(error.description).rstrip('.')}."
        if "authorization" in str(error).lower():
            return "NATS refuses the user: see NATS_URL."
        return "NATS does not answer: see whether it runs, and NATS_URL."

    async def check(self) -> bool:
        if self._client is not None and self.circuit.connected:
            await self._client.flush(timeout=1)
            return False
        await self.close()
        self._client = Client()
        try:
            await self._connect()
        except self.errors:
            await self.close()  # one that is refused keeps its socket
            raise
        return True

    async def _connect(self) -> None:
        await self._client.connect(
            self._url.split(","),
            name="orchestr8-index",
            allow_reconnect=False,
            max_reconnect_attempts=1,  # 0 is for ever
            reconnect_time_wait=0,
            connect_timeout=CONNECT_SECONDS,
            error_cb=_ignore,
        )
        self._stream = self._client.jetstream(timeout=CONNECT_SECONDS)
        try:
            await self._stream.stream_info(STREAM)
        except NotFoundError:
            how: dict[str, Any] = {"storage": StorageType.FILE}
            await self._stream.add_stream(name=STREAM, subjects=[SUBJECTS], **how)

    async def position(self, reader: Caller, kept: int | None) -> int:
        try:
            subject = f"o8.{encoded(reader.project)}.>"
            last = await self._stream.get_last_msg(STREAM, subject)
        except NotFoundError:
            return kept or 0
        _, rev, number = (last.headers or {}).get(Header.MSG_ID, "::").rsplit(":", 2)
        known = (int(rev) << 10) + int(number) if rev.isdecimal() and number.isdecimal() else 0
        return max(known, kept or 0)

    async def write(self, project: str, events: Sequence[LogEvent]) -> None:
        sent = []
        for number, _, row in events:
            subject = f"o8.{encoded(project)}.{row['kind']}.{encoded(row['key']) or '_'}"
            headers: dict[str, str] = {Header.MSG_ID: f"{project}:{number >> 10}:{number & 1023}"}
            body = self._body(project, row)
            sent.append(await self._stream.publish_async(subject, body, headers=headers))
        if sent:
            async with asyncio.timeout(ACK_SECONDS + SECONDS):
                await asyncio.gather(*sent)

    def _body(self, project: str, row: JsonObject) -> bytes:
        """The value is left out where the message is larger than the server accepts."""
        body = msgspec.json.encode({"project": project, **row})
        if len(body) > self._client.max_payload - HEAD_BYTES:
            return msgspec.json.encode({"project": project, **row, "value": None, "cut": True})
        return body

    async def tend(self, projects: Sequence[str]) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(*self.errors):
                await client.close()


async def _ignore(error: Exception) -> None:
    """The error is raised to the caller as well."""


def encoded(name: str) -> str:
    """A token of a subject: characters that NATS forbids are percent-encoded."""
    return _FORBIDDEN.sub(lambda found: f"%{ord(found[0]):02X}", name)
