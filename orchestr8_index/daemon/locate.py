"""Find the server's address: the port that was named, else the owner of the data directory.

Standard library only: the bridge and the scripts use it too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote

from ..environment import LOOPBACK
from .pidfile import SERVER_NAME, PidFile

if TYPE_CHECKING:
    from ssl import SSLContext

OWN = (LOOPBACK, "localhost", "::1")
WILDCARDS = ("0.0.0.0", "::")


class Address(NamedTuple):
    """A server's address, the certificate that it must have, and the API key to send.

    `tree` is the working folder and `project` the project's name; requests send them as headers.
    `path` is a prefix of every request's path. With `https` and no `tls_cert`, the system's trusted
    certificates decide.
    """

    port: int
    host: str = LOOPBACK
    tls_cert: str = ""
    key: str = ""
    https: bool = False
    path: str = ""
    tree: str = ""
    project: str = ""

    def here(self) -> Address:
        """With this process's working folder as `tree`; unchanged for a server elsewhere."""
        if self.https or self.host not in OWN:
            return self
        try:
            return self._replace(tree=os.getcwd())
        except OSError:  # the folder was removed
            return self

    @property
    def headers(self) -> dict[str, str]:
        """The request headers that name the project: X-Tree and X-Project, percent-encoded."""
        headers = {"X-Tree": self.tree, "X-Project": self.project}
        return {name: quote(os.fsencode(value)) for name, value in headers.items() if value}

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.https or self.tls_cert else "http"
        return f"{scheme}://{host}:{self.port}{self.path}"


class Listening(Protocol):
    """The fields of `config.Door` that say where a server listens."""

    @property
    def host(self) -> str: ...
    @property
    def tls_cert(self) -> str: ...


class Options(Protocol):
    """The fields of `Settings` and `environment.Place` from which a server is located."""

    @property
    def port(self) -> int: ...
    @property
    def data_dir(self) -> Path: ...
    @property
    def explicit_port(self) -> bool: ...
    @property
    def explicit_data_dir(self) -> bool: ...


def locate(options: Options, key: str = "", door: Listening | None = None) -> Address | None:
    """The server's address; None where there cannot be a server.

    An explicit port wins, then the owner of the data directory, then (without an explicit data
    directory) the default port. `door` gives host and certificate for a port; `key` replaces the
    key that the owner of the data directory keeps in `mcp.pid` for its own user.
    """
    owner = owner_address(options.data_dir, key)
    named = options.port if options.explicit_port else 0
    if owner is not None and named in (0, owner.port):
        return owner
    if not options.port or (options.explicit_data_dir and not named):
        return None
    return address_of({"port": options.port, **(reached_at(door) if door else {})}, key)


def owner_address(data_dir: Path, key: str = "") -> Address | None:
    """The address of the server that owns the data directory; None until it has its port."""
    return address_of(PidFile(data_dir / SERVER_NAME).owner(), key)


def address_of(owner: Mapping[str, Any] | None, key: str = "") -> Address | None:
    """The address that the content of an `mcp.pid` names; None without a port."""
    port = owner.get("port") if owner else None
    if owner is None or not isinstance(port, int):
        return None
    host, tls_cert = (str(owner.get(name) or "") for name in ("host", "tls_cert"))
    return Address(port, host or LOOPBACK, tls_cert, key or str(owner.get("local_key", "")))


def reached_at(door: Listening) -> dict[str, str]:
    """`host` and `tls_cert` as `mcp.pid` has them; {} for plain loopback."""
    reached = {"tls_cert": door.tls_cert} if door.tls_cert else {}
    return reached if door.host in (LOOPBACK, *WILDCARDS) else {**reached, "host": door.host}


def trusting(certificate: str) -> SSLContext:
    """A TLS client context that accepts this one certificate alone, and checks no host name.

    Raises OSError.
    """
    import ssl  # only where TLS is used

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
