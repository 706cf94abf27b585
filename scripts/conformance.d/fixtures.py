"""The product's server with the SDK's own conformance fixtures beside its own tools.

python fixtures.py --root DIR --port N --data-dir DIR, with the SDK's `everything_server` on the
path (run.py puts it there). Everything goes through the product's own transport.
"""

import sys
from collections.abc import Callable
from typing import Any

from everything_server import SetLevelRequestParams, handle_set_logging_level
from everything_server import mcp as more

from orchestr8_index.app import run_server
from orchestr8_index.config import read_settings
from orchestr8_index.serve.mcp import server as face

THEIRS = ("test_", "json_schema_", "test://")
CHOICES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resource_templates",
}
_make_server = face.make_server


class Listeners:
    """What the fixtures publish reaches everybody who listens to the product's server."""

    def __init__(self, subscriptions: Any) -> None:
        self._subscriptions = subscriptions

    async def publish(self, event: Any) -> None:
        for subscriber in list(self._subscriptions._listeners.values()):
            await subscriber.send(event)


def make_server(state: Any, subscriptions: Any, *given: Any) -> Any:
    server = _make_server(state, subscriptions, *given)
    more._subscriptions = Listeners(subscriptions)
    for method, field in CHOICES.items():
        add(server, method, either, field)
    for method, field in LISTS.items():
        add(server, method, joined, field)
    server.get_tool_input_schema = more._tool_input_schema
    server.middleware += more._lowlevel_server.middleware[1:]
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, handle_set_logging_level)
    return server


def add(server: Any, method: str, way: Callable[..., Any], field: str) -> None:
    own, other = (each.get_request_handler(method) for each in (server, more._lowlevel_server))
    if own is None:  # an address without prompts
        server.add_request_handler(method, other.params_type, other.handler)
        return

    async def handle(ctx: Any, params: Any) -> Any:
        return await way(own.handler, other.handler, field, ctx, params)

    server.add_request_handler(method, own.params_type, handle)


async def either(own: Any, other: Any, field: str, ctx: Any, params: Any) -> Any:
    """The answer of whoever has what the field names."""
    theirs = getattr(params, field).startswith(THEIRS)
    return await (other if theirs else own)(ctx, params)


async def joined(own: Any, other: Any, field: str, ctx: Any, params: Any) -> Any:
    """Both lists, the fixtures' on the last page."""
    told, rest = await own(ctx, params), await other(ctx, None)
    if isinstance(told, dict):
        dumped = rest.model_dump(by_alias=True, mode="json", exclude_none=True)
        return {**told, field: told[field] + dumped[field]}
    if told.next_cursor:
        return told
    return told.model_copy(update={field: getattr(told, field) + getattr(rest, field)})


if __name__ == "__main__":
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    face.make_server = make_server
    run_server(read_settings([given["--root"]], int(given["--port"]), given["--data-dir"]))
