"""Redacts what must never be written down: keys, tokens and home folders, in any text.

Standard library only: the watcher uses it too.
"""

from __future__ import annotations

import functools
import re

GONE = "[redacted]"
_plain = re.compile(r"[a-z0-9.]*\Z").match  # no rule below takes anything from such a text
SHORTEST, CACHED = 5, 120
_NAMES = (
    r"(?:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d|pwd|credential|key|sig(?:nature)?)"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), into)
    for pattern, flags, into in (
        (
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
            GONE,
        ),
        (r"\b(bearer|basic)[\s:=]+[A-Za-z0-9+/_.~=-]{6,}", re.IGNORECASE, rf"\1 {GONE}"),
        (r"(authorization\b['\"]?\s*[:=]\s*['\"]?)(?!bearer|basic)[^\s'\",}]+", re.I, rf"\1{GONE}"),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", 0, GONE),
        (r"(?<![A-Za-z0-9])o8_[A-Za-z0-9_-]{16,}", 0, GONE),
        (r"\b(?:sk|pk|rk)[-_](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}", 0, GONE),
        (r"\b(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{16,}", 0, GONE),
        (r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", 0, GONE),
        (r"\bglpat-[A-Za-z0-9_-]{16,}", 0, GONE),
        (r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b", 0, GONE),
        (r"\bAIza[A-Za-z0-9_-]{30,}", 0, GONE),
        (r"(://[^/\s:@]*:)[^/\s@]+@", 0, rf"\1{GONE}@"),
        (rf"([?&](?:[\w-]*{_NAMES})=)[^&\s'\"#]+", re.IGNORECASE, rf"\1{GONE}"),
        (
            rf"(['\"]?\b[\w-]{{0,40}}{_NAMES}['\"]?\s*[:=]\s*['\"]?)(?!\[redacted)"
            r"(?=[^\s'\",}]*[0-9])[A-Za-z0-9+/_.~=-]{12,}",
            re.IGNORECASE,
            rf"\1{GONE}",
        ),
        (r"(?:/home|/Users)/[^/\s:'\"<>|,;)\]}]+", 0, "~"),
        (r"[A-Za-z]:\\{1,2}Users\\{1,2}[^\\\s:'\"<>|,;)\]}]+", 0, "~"),
        (r"(?<![\w.])/root(?=[/\s:'\",;)\]}]|$)", 0, "~"),
    )
)


def redact(text: str) -> str:
    """The text without secrets; the folder of a user's own files reads `~`."""
    if len(text) < SHORTEST or _plain(text):
        return text
    return _short(text) if len(text) <= CACHED else _clean(text)


def _clean(text: str) -> str:
    for pattern, into in _RULES:
        text = pattern.sub(into, text)
    return text


_short = functools.lru_cache(512)(_clean)  # paths and methods of requests come again and again


def redacted(value: object, depth: int = 8) -> object:
    """`redact` for any value of a log line: texts anywhere in lists and mappings, keys too."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bool | int | float) or value is None:
        return value
    if depth == 0:
        return redact(str(value))
    if isinstance(value, dict):
        return {
            redact(str(name)): redacted_field(str(name), each, depth)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each, depth - 1) for each in value]
    return redact(str(value))


_SECRET = re.compile(
    r"(api[_-]?key|authorization|secret|password|passwd|private[_-]?key|(^|_)token$)", re.I
)


def redacted_field(name: str, value: object, depth: int = 8) -> object:
    """A field's value, redacted; replaced whole if the field's name says that it is secret."""
    return GONE if value and _is_secret(name) else redacted(value, depth - 1)


@functools.lru_cache(256)
def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None
