"""Asks a server on a port for its health, or for anything else. For the command line."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ..config import LOOPBACK

CONNECT_SECONDS, ANSWER_SECONDS = 0.5, 60.0
Health = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, which certificate it must have, and the key to show it."""

    port: int
    host: str = LOOPBACK
    tls_cert: str = ""
    key: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"


def address_of(owner: Mapping[str, Any] | None, key: str = "") -> Address | None:
    """How to reach the server that wrote `owner` into its mcp.pid; None when it has no port yet.

    Without a `key` of the caller's own, the one that the server keeps there is shown.
    """
    port = owner.get("port") if owner else None
    if owner is None or not isinstance(port, int):
        return None
    said = {name: str(owner[name]) for name in ("host", "tls_cert") if owner.get(name)}
    return Address(port, **said, key=key or str(owner.get("local_key", "")))


def get_health(where: int | Address) -> Health | None:
    """The health of a server of ours; None for nobody, and for a foreign program."""
    try:
        status, body = request(where, "GET", "/health", seconds=CONNECT_SECONDS)
    except OSError:
        return None
    ours = isinstance(body, dict) and "generation" in body and "status" in body
    return body if ours and status in (200, 503) else None


def request(
    where: int | Address,
    method: str,
    path: str,
    body: object = None,
    seconds: float = ANSWER_SECONDS,
) -> tuple[int, Any]:
    """(status, decoded JSON or None). Raises OSError when nobody answers in HTTP."""
    address = Address(where) if isinstance(where, int) else where
    connection = _connection(address, seconds)
    headers = {"Content-Type": "application/json"}
    if address.key:
        headers["Authorization"] = f"Bearer {address.key}"
    try:
        data = None if body is None else msgspec.json.encode(body)
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        answer = response.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        connection.close()
    try:
        return response.status, msgspec.json.decode(answer)
    except msgspec.DecodeError:
        return response.status, None


def _connection(address: Address, seconds: float) -> http.client.HTTPConnection:
    if not address.tls_cert:
        return http.client.HTTPConnection(address.host, address.port, timeout=seconds)
    from .tls import trusting

    context = trusting(address.tls_cert)
    return http.client.HTTPSConnection(address.host, address.port, timeout=seconds, context=context)


def call(where: int | Address, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """One JSON-RPC call: the whole reply, with `result` or `error`."""
    sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    _, reply = request(where, "POST", "/", sent)
    if not isinstance(reply, dict):
        raise OSError("the answer is not JSON")
    return reply
