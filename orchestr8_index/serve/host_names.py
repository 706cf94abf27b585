"""The names that this server answers to; a web page can make a browser ask, but not by these.

DNS rebinding shows in the Host, a page of another origin in the Origin. Both are read strictly: a
user, a second port or anything else that parsers disagree about is no name at all.
"""

from __future__ import annotations

import re

from ..config import Door
from ..errors import ForeignOrigin, Misdirected

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
EVERYWHERE = ("0.0.0.0", "::")
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://(.*)")


def names_of(door: Door) -> frozenset[str]:
    """The names of this machine's loopback, the host listened on, and those allowed by hand."""
    given = [door.host, *door.allow_hosts]
    return LOCAL_NAMES | {_bracketed(name.lower()) for name in given if name not in EVERYWHERE}


def check_host(header: bytes | None, names: frozenset[str]) -> None:
    """Raises Misdirected."""
    if header is None or host_name(header.decode("latin-1")) not in names:
        raise Misdirected("This server does not answer to that name.")


def check_origin(header: bytes | None, names: frozenset[str]) -> None:
    """Raises ForeignOrigin; programs send none."""
    if header is None:
        return
    match = _ORIGIN.fullmatch(header.decode("latin-1").lower())
    if match is None or host_name(match[1]) not in names:
        raise ForeignOrigin("Requests from web pages of other origins are refused.")


def host_name(address: str) -> str:
    """`localhost` for `LocalHost:3700`; "" for what is no host with at most one port."""
    match = _HOST.fullmatch(address.lower())
    return match[1] if match else ""


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
