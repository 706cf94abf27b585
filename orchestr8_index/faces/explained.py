"""The errors of the shared context (code, severity, suggestions), and checks of its arguments."""

from __future__ import annotations

import json
from typing import Any

from ..errors import (
    Forbidden,
    InvalidParams,
    MethodNotFound,
    NoSuchSession,
    RequestError,
    Unauthorized,
)
from .face import Arguments, Declined, JsonObject, now

WARNING, GRAVE = "warning", "error"
SUGGESTIONS: dict[str, tuple[str, ...]] = {
    "SESSION_NOT_FOUND": ("list_sessions names those there are.", "Or create_session."),
    "MESSAGE_NOT_FOUND": ("get_messages lists what you may see, with ids.",),
    "MEMORY_NOT_FOUND": ("list_memory names the keys of a scope.", "It may have expired."),
    "KEY_EXISTS": ("Give overwrite=true to replace it.", "Or take another key."),
    "INVALID_KEY": ("1-255 characters without blanks, such as build/last_error.",),
    "INVALID_VISIBILITY": ("One of public, private, agent_only, admin_only.",),
    "INVALID_INPUT": ("Correct what the error names, and call again.",),
    "INVALID_TTL_VALUE": ("Seconds up to 31,536,000 (a year); 0 or none for no end.",),
    "CONTENT_TOO_LARGE": ("Say it in several messages of up to 100,000 characters.",),
    "PERMISSION_DENIED": ("Ask the person for a key with that right.",),
    "AUTH_FAILED": ("Connect again with a key that is known here.",),
    "DATABASE_UNAVAILABLE": ("Call again in a few seconds.", "The server's /health says why."),
}
WARNED = {"KEY_EXISTS", "INVALID_KEY", "INVALID_VISIBILITY", "INVALID_INPUT", "INVALID_TTL_VALUE"}
WARNED |= {"CONTENT_TOO_LARGE"}
FINAL = {"PERMISSION_DENIED"}  # not recoverable by the caller
CODES: dict[type[RequestError], str] = {
    NoSuchSession: "SESSION_NOT_FOUND",
    Forbidden: "PERMISSION_DENIED",
    Unauthorized: "AUTH_FAILED",
    InvalidParams: "INVALID_INPUT",
    MethodNotFound: "INVALID_INPUT",
}


def declined(code: str, error: str, **context: Any) -> Declined:
    """The exception with which a tool refuses a call."""
    return Declined(body(code, error, context))


def body(code: str, error: str, context: JsonObject) -> JsonObject:
    """The body of an error, as the caller receives it."""
    return {
        "success": False,
        "error": error,
        "code": code,
        "severity": WARNING if code in WARNED else GRAVE,
        "recoverable": code not in FINAL,
        "timestamp": now(),
        "suggestions": list(SUGGESTIONS[code]),
        "context": context,
    }


def failed(error: RequestError) -> JsonObject:
    """The body for an error that a method raised."""
    code = CODES.get(type(error), "DATABASE_UNAVAILABLE")
    if isinstance(error, MethodNotFound):
        return body(code, f"Unknown tool: {error.sentence}", {"tool": error.sentence})
    context = {"fields": error.problems} if isinstance(error, InvalidParams) else {}
    return body(code, error.sentence, context)


# --- arguments --------------------------------------------------------------------------------


def number(given: Arguments, name: str, default: int, low: int, high: int) -> int:
    """An integer argument from `low` to `high`. Raises Declined, as all functions here do."""
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        sentence = f"{name} is a whole number from {low:,} to {high:,}."
        raise declined("INVALID_INPUT", sentence, field=name)
    return value


def flag(given: Arguments, name: str, default: bool) -> bool:
    """A boolean argument."""
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise declined("INVALID_INPUT", f"{name} is true or false.", field=name)
    return value


def text(given: Arguments, name: str, most: int, default: str | None = None) -> str:
    """A text argument that is not blank, of at most `most` characters; required without default."""
    value = given.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or not value.strip():
        raise declined("INVALID_INPUT", f"{name} is a text that is not empty.", field=name)
    if len(value) > most:
        sentence = f"{name} has {len(value):,} characters; the most is {most:,}."
        raise declined("INVALID_INPUT", sentence, field=name)
    return value


def metadata(given: Arguments) -> Any:
    """An object, or its JSON text, as some hosts send it; None when not given or empty."""
    value = given.get("metadata")
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            value = value or None
    if value is not None and not isinstance(value, dict):
        raise declined("INVALID_INPUT", "metadata is an object of JSON.", field="metadata")
    return value
