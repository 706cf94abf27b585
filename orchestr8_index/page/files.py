"""The page's static files with their media types, ETags and security headers.

The content security policy allows scripts, styles and requests of this server alone, and no inline
script. The files are served without a key: they hold no data, and the page asks for the key first.
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
    """A file's bytes, its media type, further headers, and its ETag."""

    body: bytes
    kind: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    tag: bytes


@cache
def names() -> frozenset[str]:
    """The names of all files; `find` opens no others."""
    return frozenset(
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in TYPES
    )


def find(name: str) -> PageFile | None:
    """The file of a name below the page's URL; "" is index.html. None for an unknown name."""
    name = name or START
    if name not in names():
        return None
    path = FOLDER / name
    body = path.read_bytes()
    tag = b'"' + hashlib.blake2b(body, digest_size=8).hexdigest().encode() + b'"'
    return PageFile(body, TYPES[path.suffix], (*SAFE, (b"etag", tag)), tag)


def wants_page(accept: bytes) -> bool:
    """Whether an Accept header names text/html, as browsers do and programs do not."""
    return any(part.split(b";")[0].strip() == b"text/html" for part in accept.lower().split(b","))
