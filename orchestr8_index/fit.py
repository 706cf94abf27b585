"""Sanitises untrusted text for models and terminals, where it leaves the program.

Untrusted are the entries, the texts of past tasks and the names in a request. Invisible characters
are removed (control characters, direction overrides, zero-width and tag characters), and the
brackets of tags by which a host speaks to its model are replaced. Ordinary text stays as it is,
byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from .text import strip_unsafe

_UNSEEN = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    "|[\u200c\u200d]{2,}|[\ufe00-\ufe0f]{2,}"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
    "|(?<![^\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f])[\ufe00-\ufe0f]"
)
_SPOKEN = (
    r"(?:system|assistant|human)(?![a-z])|antml|function_|tool_|invoke\b|user-prompt|local-command"
    r"|command-(?:name|message|args)|task-notification|im_(?:start|end)|\||<[\s/]*+sys\b"
    r"|(?=[a-z_-]{0,30}(?-i:[\u00c0-\u052f\u1d00-\u1dbf\uff21-\uff5a\U0001d400-\U0001d7ff]))"
    r"[^\s<>＜＞/]{3,40}(?=[\s/>＞﹥])"
)
_TAG = re.compile(  # linear time: possessive quantifiers for runs of spaces
    rf"[<＜﹤]\s*+(?:\||[\s/!?]*+(?:{_SPOKEN}))[^<>＜＞]{{0,200}}[>＞﹥]{{0,2}}|\[/?INST\]",
    re.IGNORECASE,
)
_OTHER = str.maketrans("<＜﹤>＞﹥[]", "‹‹‹›››⟦⟧")
_SUSPECT = re.compile(
    rb"\\u00(?:[01]|7f)|\\[bfr]|\x7f|\xc2[\x80-\x9f\xad]|\xcd\x8f|\xd8\x9c|\xe1(?:\x85[\x9f\xa0]|\x9e|\xa0)"
    rb"|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xe3\x85\xa4|\xef(?:\xb8|\xb9|\xbb|\xbc|\xbe|\xbf)"
    rb"|\xf0\x9b|\xf0\x9d\x85|\xf3\xa0|\\n|<(?:[^!-~]|[\\!?<|/]|(?i:[saihtfcul]))"
    rb"|\[/?(?i:INST)\]"
)
TextMap = Callable[[str], str]


def for_model(text: str, lines: bool = False) -> str:
    """The text without invisible characters and tags of hosts, on one line unless `lines`."""
    seen = _UNSEEN.sub("", strip_unsafe(text)) if not text.isascii() else strip_unsafe(text)
    seen = _TAG.sub(lambda found: found[0].translate(_OTHER), seen)
    if lines:
        return seen.replace("\u2028", "\n").replace("\u2029", "\n")
    return " ".join(seen.split()) if _BREAK.search(seen) else seen


def in_prose(text: str) -> str:
    """`for_model` in the middle of our own words to a model: without any tag at all."""
    return for_model(text).replace("<", "‹").replace(">", "›")


def quoted_in_prose(text: str) -> str:
    """Untrusted text as a quotation in our own words to a model, without any tag at all."""
    return quoted(in_prose(text))


_BREAK = re.compile("[\n\t\u0085\u2028\u2029]")


def quoted(text: str) -> str:
    """Untrusted text as a quotation within a sentence; no quote in it can end the quotation."""
    if text.isascii() and text.isalnum():
        return f"'{text}'"
    return "'" + re.sub(r"(?<!\w)['’‘‛ʼ＇′]|['’‘‛ʼ＇′](?!\w)", "’", for_model(text)).strip() + "'"


def for_terminal(text: str, lines: bool = False) -> str:
    """The text without escapes and invisible characters, on one line unless `lines`."""
    seen = _UNSEEN.sub("", strip_unsafe(text))
    return seen if lines else " ".join(seen.split()) if _BREAK.search(seen) else seen


def fit_json(answer: bytes) -> bytes:
    """An answer for a model, as JSON: every text in it, but the one named `text`, is one line."""
    if not _SUSPECT.search(answer):
        return answer
    return msgspec.json.encode(fit(msgspec.json.decode(answer)))


def fit(value: Any, change: Callable[..., str] = for_model, lines: bool = False) -> Any:
    """A decoded answer with `change` applied to every text in it, keys included."""
    whole: list[Any] = []
    todo: list[tuple[Any, Any, bool]] = [([value], whole, lines)]
    for source, made, keeps in todo:  # which grows meanwhile
        named = isinstance(source, dict)
        for name, each in source.items() if named else enumerate(source):
            lines = keeps or name == "text"
            if isinstance(each, str):
                each = change(each, lines)
            elif isinstance(each, list | dict):
                todo.append((each, each := type(each)(), lines))
            if named:
                made[change(name)] = each
            else:
                made.append(each)
    return whole[0]


def json_for_terminal(text: str) -> str:
    """The JSON text with characters that a terminal would obey or hide as \\uXXXX."""
    return _ESCAPED.sub(lambda found: "".join(map(_escape, found[0])), text)


_ESCAPED = re.compile(f"{_UNSEEN.pattern}|[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\ud800-\udfff]")


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
