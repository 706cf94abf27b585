"""Requests and their answers as text. What differs from run to run is masked."""

from __future__ import annotations

import re
from collections.abc import Iterable

import httpx2

from .corpus import Ask
from .running import FIXTURE

SHOWN = 400  # characters of a request's body
HEADERS = ("content-type", "allow", "retry-after", "www-authenticate", "mcp-session-id")
NUMBER = re.compile(r"(?<![\w.#\"-])-?\d[\d.]*(?:e[+-]?\d+)?(?![\w.])")
VOLATILE = (
    *("uptime_ms", "memory_mb", "size_mb", "build_ms", "built_at", "checked_age_s", "duration_ms"),
    *("created_at", "updated_at", "timestamp", "version", "roots_digest", "data_digest"),
)
FIELD = re.compile(rf'"({"|".join(VOLATILE)})":(?:"[^"]*"|[-\d.e+]+|null)')


async def transcript(asking: httpx2.AsyncClient, asks: Iterable[Ask]) -> str:
    return "\n\n".join([await _one(asking, ask) for ask in asks]) + "\n"


async def _one(asking: httpx2.AsyncClient, ask: Ask) -> str:
    answer = await asking.request(ask.method, ask.path, content=ask.body, headers=ask.headers)
    named = [f"{name}: {ask.headers[name]}" for name in ask.headers]
    sent = ask.body.decode("utf-8", "backslashreplace")[:SHOWN]
    told = [f"{name}: {_header(answer, name)}" for name in HEADERS if name in answer.headers]
    lines = [f"=== {ask.name}", f"{ask.method} {ask.path}", *named, *([sent] if sent else [])]
    return "\n".join(
        [*lines, f"--- {answer.status_code}", *told, masked(answer.text, ask)]
    ).rstrip()


def _header(answer: httpx2.Response, name: str) -> str:
    value = answer.headers[name]
    in_order = ", ".join(sorted(value.split(", "))) if name == "allow" else value
    return "*" if name == "mcp-session-id" else in_order


def masked(text: str, ask: Ask) -> str:
    text = FIELD.sub(r'"\1":*', text.replace(str(FIXTURE.parent), "<repository>"))
    text = re.sub(r'version="[^"]*"', 'version="*"', text)
    return NUMBER.sub("#", text) if ask.volatile else text
