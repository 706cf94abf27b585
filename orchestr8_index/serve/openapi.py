"""What can be asked over HTTP, for programs that read OpenAPI? Derived from routes and METHODS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from .. import __version__
from ..methods import METHODS

REFS = "#/components/schemas/{name}"
SUMMARIES = {
    "/": "JSON-RPC 2.0: one call, or a batch of them.",
    "/health": "How the server is, with reasons.",
    "/health/live": "Whether the process answers; needs no key.",
    "/health/ready": "Whether questions can be answered.",
    "/metrics": "Counters; as Prometheus text for `Accept: text/plain`.",
    "/reindex": "Build a new generation now. Needs the scope admin.",
    "/mcp": "The Model Context Protocol, streamable HTTP.",
    "/hooks/claude": "Events of a host's hooks.",
    "/openapi.json": "This document.",
}
CALM = ("200", "400", "401", "403", "405", "413", "415", "421", "429", "431", "500", "503")
ERROR = {
    "type": "object",
    "required": ["jsonrpc", "id", "error"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "id": {"type": ["string", "number", "null"]},
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "data": {"type": "object"},
            },
        },
    },
}


def document(routes: Iterable[tuple[str, Iterable[str]]]) -> dict[str, Any]:
    """`routes` are (path, HTTP methods). OpenAPI 3.1, whose schemas are JSON Schema as it is."""
    kinds = [method.params for method in METHODS.values()]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=REFS)
    paths = {path: _path(path, methods) for path, methods in routes}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orchestr8 Index", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _path(path: str, methods: Iterable[str]) -> dict[str, Any]:
    return {name.lower(): _operation(path) for name in sorted(methods)}


def _operation(path: str) -> dict[str, Any]:
    said: dict[str, Any] = {"summary": SUMMARIES.get(path, path), "responses": _responses(path)}
    if path == "/":
        body = {"oneOf": [*map(_call, METHODS), {"type": "array", "minItems": 1}]}
        content = {"application/json": {"schema": body}}
        said["requestBody"] = {"required": True, "content": content}
    return said


def _call(name: str) -> dict[str, Any]:
    params = METHODS[name].params
    needs = any(field.required for field in msgspec.structs.fields(params))
    return {
        "title": name,
        "description": METHODS[name].sentence,
        "type": "object",
        "required": ["jsonrpc", "method", *(["params"] if needs else [])],
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "id": {"type": ["string", "number", "null"]},
            "method": {"const": name},
            "params": {"$ref": REFS.format(name=params.__name__)},
        },
    }


def _responses(path: str) -> dict[str, Any]:
    statuses = (*CALM, "204", "404") if path == "/" else CALM
    return {status: _response(path, status) for status in sorted(statuses)}


def _response(path: str, status: str) -> dict[str, Any]:
    if status == "204":
        return {"description": "A notification was taken."}
    refused = status in ("401", "405", "413", "415", "421", "429", "431")
    schema = {"$ref": REFS.format(name="Error")} if refused else {}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if path == "/metrics" and status == "200":
        content["text/plain"] = {"schema": {"type": "string"}}
    said = "Answered." if status == "200" else "Refused or failed; the body says why."
    return {"description": said, "content": content}
