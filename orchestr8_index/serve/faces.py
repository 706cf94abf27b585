"""Other products' tools over plain HTTP and JSON-RPC, and the Core that every face gets."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct
from starlette.types import Scope, Send

from ..environment import FACES as PRODUCTS
from ..errors import MethodNotFound, RequestError
from ..memo import Newest
from .body import JSON, REPLY, error_body, send_bytes, send_json
from .callers import RIGHTS, caller
from .calls import perform
from .gate import HEADER
from .state import State

if TYPE_CHECKING:
    from ..faces.face import Product, Who

MOST_NAMES = 10_000
OF_MCP = """initialize ping server/discover tools/list tools/call resources/list resources/read
resources/templates/list resources/subscribe resources/unsubscribe resources/directory/read
prompts/list prompts/get skills/list skills/get completion/complete subscriptions/listen""".split()


def load(name: str) -> Product:
    """The face of that name; imports its module."""
    face: Product = importlib.import_module(f"orchestr8_index.faces.{name}").FACE
    return face


class ServedCore:
    """The Core of a face: the methods, called as the current caller."""

    renamed: Newest[tuple[str, str], str] = Newest(MOST_NAMES)  # by the caller's name and session

    def __init__(self, state: State, session: str = "") -> None:
        self._state, self._session = state, session

    @property
    def who(self) -> Who:
        from ..faces.face import Who

        asks, known = caller.get(), self._state.shared.asking(self._state.settings)
        return Who(known.name, asks.kind, asks.right, asks.keyed, known.own)

    @property
    def workspace(self) -> str:
        """The first project's workspace; "" without one, or when the key excludes that project."""
        first = self._state.projects.first.settings
        return first.door.workspace if caller.get().is_for(first.project_key) else ""

    def must_write(self, key: str) -> None:
        self._state.shared.asking(self._state.settings).may_write([key])

    def rename(self, name: str) -> None:
        caller.set(msgspec.structs.replace(caller.get(), agent=name))
        if self._session:
            self.renamed[caller.get().name, self._session] = name

    async def call(self, method: str, **params: Any) -> Any:
        return msgspec.json.decode(await perform(self._state, method, msgspec.json.encode(params)))


@contextlib.contextmanager
def named(face: Product | None, session: str = "", client: str = "") -> Iterator[None]:
    """Give the current caller the agent name and rights that it has in a face (None: our own MCP).
    `client` is its program's name in MCP, `session` the id of its session, or "" for none."""
    asks = caller.get()
    agent = asks.agent or ServedCore.renamed.get((asks.name, session), "")
    if not agent and client:
        agent = f"{client}-{session[:8]}" if face and face.by_session and session else client
    open_right = face.open_right if face and not asks.keyed else "admin"
    right = min(asks.right, open_right, key=RIGHTS.index)
    token = caller.set(msgspec.structs.replace(asks, agent=agent, client=client, right=right))
    try:
        yield
    finally:
        caller.reset(token)


async def run_tool(
    face: Product, core: ServedCore, name: str, given: Any, every: bool
) -> tuple[Any, bool]:
    """Run a tool; gives its answer, and False for a refusal. `every` includes `extra` tools."""
    from ..faces.face import Declined

    names = name, name.removeprefix("mcp_")
    tool = next((t for t in face.tools if t.name in names and (every or not t.extra)), None)
    try:
        if tool is None:
            raise MethodNotFound(name[:100])
        return await tool.run(core, given if isinstance(given, dict) else {}), True
    except Declined as refusal:
        return refusal.body, False
    except RequestError as error:
        return face.failed(error), False


# --- tools called as JSON-RPC methods ----------------------------------------------------------


class PlainCall(Struct):
    method: str = ""
    id: Raw = Raw(b"")
    params: Any = None


_CALL = msgspec.json.Decoder(PlainCall)


async def answer_plain(state: State, name: str, scope: Scope, body: bytes, send: Send) -> bool:
    """Answer a JSON-RPC call of a product's tool, or, if the request is not MCP, of an unknown
    method; False for all others, which are not answered here."""
    try:
        call = _CALL.decode(body)
    except msgspec.DecodeError:
        return False
    face, ident = load(name) if name in PRODUCTS else None, bytes(call.id)
    names = [tool.name for tool in face.tools] if face else OF_MCP
    if face is None or call.method not in names:
        headers = dict(scope["headers"])
        is_mcp = HEADER in headers or headers.get(b"mcp-protocol-version", b"") > b"2026"
        if is_mcp or not ident or call.method in ("", *OF_MCP):
            return False
        which = f"The {'tools' if face else 'methods of MCP'} are {', '.join(names)}."
        error = MethodNotFound("There is no such method.", which)
        await send_bytes(send, error.status if face else 400, error_body(ident, error), JSON)
        return True
    scope["state"]["rpc_methods"] = call.method
    with named(face):
        answer, _ = await run_tool(face, ServedCore(state), call.method, call.params, every=True)
    reply = REPLY % (ident, msgspec.json.encode(answer)) if ident else b""
    await send_bytes(send, 200 if ident else 204, reply, JSON)
    return True


async def answer_http(state: State, name: str, scope: Scope, body: bytes, send: Send) -> None:
    """Answer `POST /tools/…` and `GET /resources/…` by the face of that name."""
    face = load(name)
    assert face.http is not None
    with named(face):
        status, answer = await face.http(ServedCore(state), scope["method"], scope["path"], body)
    await send_json(send, status, answer)
