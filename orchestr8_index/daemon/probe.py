"""Is there a server of ours on that port, and what does it say? For the command line."""

from __future__ import annotations

import http.client
from typing import Any

import msgspec

HOST = "127.0.0.1"
CONNECT_SECONDS, ANSWER_SECONDS = 0.5, 60.0
Health = dict[str, Any]


def get_health(port: int) -> Health | None:
    """The health of a server of ours; None for nobody, and for a foreign program."""
    try:
        status, body = request(port, "GET", "/health", seconds=CONNECT_SECONDS)
    except OSError:
        return None
    ours = isinstance(body, dict) and "generation" in body and "status" in body
    return body if ours and status in (200, 503) else None


def request(
    port: int, method: str, path: str, body: object = None, seconds: float = ANSWER_SECONDS
) -> tuple[int, Any]:
    """(status, decoded JSON or None). Raises OSError when nobody answers in HTTP."""
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
    try:
        data = None if body is None else msgspec.json.encode(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
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


def call(port: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """One JSON-RPC call: the whole reply, with `result` or `error`."""
    sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    _, reply = request(port, "POST", "/", sent)
    if not isinstance(reply, dict):
        raise OSError("the answer is not JSON")
    return reply
