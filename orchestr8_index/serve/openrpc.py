"""The OpenRPC document of the table of methods, which `rpc.discover` answers with."""

from __future__ import annotations

import msgspec

from .. import __version__
from ..methods import METHODS
from ..records import JsonObject
from ..table import COMMON_ERRORS, Example, Method

VERSION = "1.3.2"  # of the OpenRPC specification
SCHEMAS = "#/components/schemas/{name}"
ERRORS = "#/components/errors/{name}"


def document() -> JsonObject:
    """The document: every method with its params, result, errors and example, by JSON Schema."""
    types = [kind for method in METHODS.values() for kind in (method.params, method.result)]
    schemas, components = msgspec.json.schema_components(types, ref_template=SCHEMAS)
    results = dict(zip(METHODS, schemas[1::2], strict=True))
    return {
        "openrpc": VERSION,
        "info": {"title": "Orchestr8 Index", "version": __version__},
        "methods": [
            _method(method, components[method.params.__name__], results[name])
            for name, method in METHODS.items()
        ],
        "components": {"schemas": components, "errors": _errors()},
    }


def _method(method: Method, params: JsonObject, result: JsonObject) -> JsonObject:
    described = {"description": method.when} if method.when else {}
    required = params.get("required", [])
    fields = {name: params["properties"][name] for name in [*required, *params["properties"]]}
    return {
        "name": method.name,
        "summary": method.sentence,
        **described,
        "tags": [{"name": method.scope}],
        "paramStructure": "by-name",
        "params": [
            {"name": name, "required": name in required, "schema": schema}
            for name, schema in fields.items()
        ],
        "result": {"name": f"{method.short}_result", "schema": result},
        "errors": [
            {"$ref": ERRORS.format(name=kind.__name__)} for kind in (*method.errors, *COMMON_ERRORS)
        ],
        "examples": [_example(method, method.example)] if method.example else [],
    }


def _example(method: Method, example: Example) -> JsonObject:
    params, result = msgspec.json.decode(example.params), msgspec.json.decode(example.result)
    return {
        "name": method.short,
        "params": [{"name": name, "value": value} for name, value in params.items()],
        "result": {"name": f"{method.short}_result", "value": result},
    }


def _errors() -> JsonObject:
    used = {kind for method in METHODS.values() for kind in (*method.errors, *COMMON_ERRORS)}
    kinds = sorted(used, key=lambda kind: -kind.code)
    return {kind.__name__: {"code": kind.code, "message": kind.means} for kind in kinds}
