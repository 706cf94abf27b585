"""Which file of the page is asked for, and what does a browser have to know about it?

The page loads scripts, styles and answers of this server alone; nothing in it is run but the files
themselves. It may be had without a key: it holds nothing, and asks for the key before it asks for
anything else.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "static"
START = "index.html"
TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
SAFE = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
    (b"vary", b"Accept"),
)


class PageFile(NamedTuple):
    """A file's bytes, its media type, and the headers to send beside them."""

    body: bytes
    kind: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    tag: bytes


@cache
def names() -> frozenset[str]:
    """The files that there are; nothing else is ever opened."""
    return frozenset(
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in TYPES
    )


def find(name: str) -> PageFile | None:
    """The file of that name below the page's address; "" is the page itself."""
    name = name or START
    if name not in names():
        return None
    path = FOLDER / name
    body = path.read_bytes()
    tag = b'"' + hashlib.blake2b(body, digest_size=8).hexdigest().encode() + b'"'
    return PageFile(body, TYPES[path.suffix], (*SAFE, (b"etag", tag)), tag)


def wants_page(accept: bytes) -> bool:
    """Whether that is a browser which shows a page, by what it accepts; programs name no HTML."""
    return any(part.split(b";")[0].strip() == b"text/html" for part in accept.lower().split(b","))
