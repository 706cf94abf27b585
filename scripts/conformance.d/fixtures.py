"""The product's server, and beside its own tools those that the conformance scenarios call by name.

python fixtures.py --root DIR --port N --data-dir DIR. Everything goes through the product's own
transport; nothing of this is shipped. What they must answer is fixed by the scenarios.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer, RequestStateSecurity
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from orchestr8_index.app import run_server
from orchestr8_index.config import read_settings
from orchestr8_index.serve.mcp import server as face
from orchestr8_index.serve.mcp.subscriptions import Subscriptions
from orchestr8_index.serve.state import State

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIA"  # one pixel
    "X8jx0gAAAABJRU5ErkJggg=="
)
SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
IMAGE = ImageContent(data=PIXEL, mime_type="image/png")
more = MCPServer("fixtures", request_state_security=RequestStateSecurity.ephemeral())


def embedded(uri: str, kind: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=kind, text=text))


def form(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sampling(question: str) -> CreateMessageRequest:
    asked = SamplingMessage(role="user", content=TextContent(text=question))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[asked], max_tokens=50))


def need(state: str | None = None, **requests: Any) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def answers(ctx: Context, *names: str) -> list[Any] | None:
    """What the client has answered to the requests of these names; None if any is missing."""
    given = ctx.input_responses or {}
    return [given[name] for name in names] if set(names) <= given.keys() else None


# --- content -----------------------------------------------------------------------------------


@more.tool(description="Answers a text.")
def test_simple_text() -> str:
    return "This is a simple text response for testing."


@more.tool(description="Answers an image.")
def test_image_content() -> list[ImageContent]:
    return [IMAGE]


@more.tool(description="Answers a sound.")
def test_audio_content() -> list[AudioContent]:
    return [AudioContent(data=SILENCE, mime_type="audio/wav")]


@more.tool(description="Answers a resource.")
def test_embedded_resource() -> list[EmbeddedResource]:
    text = "This is an embedded resource content."
    return [embedded("test://embedded-resource", "text/plain", text)]


@more.tool(description="Answers a text, an image and a resource.")
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    mixed = embedded(
        "test://mixed-content-resource", "application/json", '{"test":"data","value":123}'
    )
    return [TextContent(text="Multiple content types test:"), IMAGE, mixed]


@more.tool(description="Fails.")
def test_error_handling() -> str:
    raise RuntimeError("This tool intentionally returns an error for testing")


Region = Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]


@more.tool(description="Takes a param that a header repeats.")
def test_x_mcp_header(region: Region = "") -> str:
    return f"region={region}"


@more.tool(description="Has every keyword of JSON Schema 2020-12.")
def json_schema_2020_12_tool() -> str:
    return "done"


def _choice(name: str, value: str) -> dict[str, Any]:
    return {"properties": {name: {"const": value}}, "required": [name]}


more._tool_manager._tools["json_schema_2020_12_tool"].parameters = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        **{name: {"type": "string"} for name in ("name", "phone", "email")},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": _choice("contactMethod", "phone"),
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


# --- while a request runs ----------------------------------------------------------------------


@more.tool(description="Logs three times.")
async def test_tool_with_logging(ctx: Context) -> str:
    for step in ("started", "in progress", "completed"):
        await ctx.info(f"Tool execution {step}")
        await asyncio.sleep(0.05)
    return "Logged."


@more.tool(description="Reports progress three times.")
async def test_tool_with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.05)
    return "Done."


@more.tool(description="Asks the client's model.")
async def test_sampling(prompt: str, ctx: Context) -> str:
    asked = SamplingMessage(role="user", content=TextContent(text=prompt))
    told = await ctx.session.create_message(
        messages=[asked], max_tokens=100, related_request_id=ctx.request_id
    )
    return f"LLM response: {getattr(told.content, 'text', '')}"


class Response(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field(
        default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]}
    )
    verified: bool = True


def _titled(keyword: str, *pairs: tuple[str, str]) -> dict[str, Any]:
    return {keyword: [{"const": value, "title": title} for value, title in pairs]}


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})
    titledSingle: str = Field(json_schema_extra=_titled("oneOf", ("a", "First"), ("b", "Second")))
    untitledMulti: list[str] = Field(
        json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2"]}}
    )
    titledMulti: list[str] = Field(
        json_schema_extra={"items": _titled("anyOf", ("a", "First"), ("b", "Second"))}
    )
    legacyEnum: str = Field(
        json_schema_extra={"enum": ["a", "b"], "enumNames": ["First", "Second"]}
    )


async def elicited(ctx: Context, message: str, schema: type[BaseModel]) -> str:
    told = await ctx.elicit(message, schema)
    content = told.data.model_dump_json() if told.action == "accept" else "{}"
    return f"User response: action={told.action}, content={content}"


@more.tool(description="Asks the user.")
async def test_elicitation(message: str, ctx: Context) -> str:
    return await elicited(ctx, message, Response)


@more.tool(description="Asks the user with defaults.")
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    return await elicited(ctx, "Who are you?", Defaults)


@more.tool(description="Asks the user with choices.")
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    return await elicited(ctx, "What do you choose?", Enums)


@more.tool(description="Needs a client that samples.")
async def test_missing_capability(ctx: Context) -> str:
    known = ctx.session.client_capabilities
    if known is None or known.sampling is None:
        lacking = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "The client must sample.", lacking)
    return "The client samples."


@more.tool(description="Says that the tools have changed.")
async def test_trigger_tool_change(ctx: Context) -> str:
    await ctx.notify_tools_changed()
    return "told"


@more.tool(description="Says that the prompts have changed.")
async def test_trigger_prompt_change(ctx: Context) -> str:
    await ctx.notify_prompts_changed()
    return "told"


# --- input that is required --------------------------------------------------------------------


@more.tool(description="Needs the user's name.")
async def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    told = answers(ctx, "user_name")
    if told is None:
        return need(user_name=form("What is your name?", "name"))
    return f"Hello, {(told[0].content or {}).get('name', 'stranger')}!"


@more.tool(description="Needs the client's model.")
async def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
    told = answers(ctx, "capital_question")
    if told is None:
        return need(capital_question=sampling("What is the capital of France?"))
    return f"Model said: {told[0].content.text}"


@more.tool(description="Needs the client's roots.")
async def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
    told = answers(ctx, "client_roots")
    return f"{len(told[0].roots)} roots." if told else need(client_roots=ListRootsRequest())


@more.tool(description="Keeps a state between rounds.")
async def test_input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
    if answers(ctx, "confirm") and ctx.request_state == "nonce":
        return "state-ok: confirmed"
    return need("nonce", confirm=form("Please confirm", "ok", "boolean"))


@more.tool(description="Needs three things at once.")
async def test_input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
    if answers(ctx, "user_name", "greeting", "client_roots"):
        return "All are there."
    name, greeting = form("What is your name?", "name"), sampling("Greet somebody")
    roots = ListRootsRequest()
    return need("several", user_name=name, greeting=greeting, client_roots=roots)


@more.tool(description="Needs one thing after the other.")
async def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
    state = json.loads(ctx.request_state) if ctx.request_state else {"round": 0}
    if state["round"] == 1 and (told := answers(ctx, "step1")):
        state = {"round": 2, "name": (told[0].content or {}).get("name")}
        return need(json.dumps(state), step2=form("Step 2: your colour?", "color"))
    if state["round"] == 2 and (told := answers(ctx, "step2")):
        return f"{state['name']} likes {(told[0].content or {}).get('color')}."
    return need(json.dumps({"round": 1}), step1=form("Step 1: your name?", "name"))


@more.tool(description="Refuses a state that somebody has changed.")
async def test_input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state is None:
        return need("first", confirm=form("Please confirm", "ok", "boolean"))
    return f"state-ok: {ctx.request_state}"


@more.tool(description="Asks only for what the client can do.")
async def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    known = ctx.client_capabilities
    asked: dict[str, Any] = {}
    if known is None or known.sampling is not None:
        asked["sample"] = sampling("Say hello")
    if known is None or known.elicitation is not None:
        asked["ask"] = form("What is your name?", "name")
    return need("gated", **asked)


# --- resources and prompts ---------------------------------------------------------------------


@more.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@more.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(PIXEL)


@more.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@more.resource("test://watched-resource")
def watched() -> str:
    return "Watched resource content"


@more.prompt(description="Without arguments.")
def test_simple_prompt() -> list[UserMessage]:
    return [UserMessage("This is a simple prompt for testing.")]


@more.prompt(description="With two arguments.")
def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


@more.prompt(description="With a resource.")
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    text = "Embedded resource content for testing."
    said = UserMessage("Please process the embedded resource above.")
    return [UserMessage(embedded(resourceUri, "text/plain", text)), said]


@more.prompt(description="With an image.")
def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(IMAGE), UserMessage("Please analyze the image above.")]


@more.prompt(description="Needs a context.")
async def test_input_required_result_prompt(
    ctx: Context,
) -> list[UserMessage] | InputRequiredResult:
    told = answers(ctx, "user_context")
    if told is None:
        return need(user_context=form("Which context?", "context"))
    return [UserMessage(f"Use this context: {(told[0].content or {}).get('context')}")]


# --- into the product's server -----------------------------------------------------------------

OURS = ("test_", "json_schema_")
CHOICES: dict[str, Callable[[Any], str]] = {
    "tools/call": lambda params: params.name,
    "prompts/get": lambda params: params.name,
    "resources/read": lambda params: params.uri,
}
LISTS = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resource_templates",
}


def add_to(server: Any) -> None:
    for method, chosen in CHOICES.items():
        _choose(server, method, chosen)
    for method, name in LISTS.items():
        _append(server, method, name)
    server.get_tool_input_schema = more._tool_input_schema
    server.middleware += more._lowlevel_server.middleware[1:]
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, _set_level)


def _choose(server: Any, method: str, chosen: Callable[[Any], str]) -> None:
    own, other = _both(server, method)

    async def either(ctx: Any, params: Any) -> Any:
        named = chosen(params)
        mine = named.startswith(OURS) or named.startswith("test://")
        return await (other if mine else own).handler(ctx, params)

    server.add_request_handler(method, own.params_type, either)


def _append(server: Any, method: str, name: str) -> None:
    own, other = _both(server, method)

    async def joined(ctx: Any, params: Any) -> Any:
        told, rest = await own.handler(ctx, params), await other.handler(ctx, None)
        if isinstance(told, dict):
            dumped = rest.model_dump(by_alias=True, mode="json", exclude_none=True)
            return {**told, name: told[name] + dumped[name]}
        if told.next_cursor:
            return told
        return told.model_copy(update={name: getattr(told, name) + getattr(rest, name)})

    server.add_request_handler(method, own.params_type, joined)


def _both(server: Any, method: str) -> tuple[Any, Any]:
    return server.get_request_handler(method), more._lowlevel_server.get_request_handler(method)


async def _set_level(ctx: Any, params: SetLevelRequestParams) -> EmptyResult:
    return EmptyResult()


_make_server = face.make_server


def make_server(state: State, changes: Subscriptions) -> Any:
    server = _make_server(state, changes)
    more._subscriptions = changes.bus
    add_to(server)
    return server


if __name__ == "__main__":
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    face.make_server = make_server
    run_server(read_settings([given["--root"]], int(given["--port"]), given["--data-dir"]))
