"""A process takes the data directory's lock, then the port, before it may be the server.

Light on imports: it runs before the build's child is started, and the rest is loaded beside that.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Any

import msgspec

from .. import __version__
from ..config import LOOPBACK, USUAL, Door, Settings
from ..errors import AlreadyRunning, PortTaken, StartFailed
from ..private import check_data_dir
from .locate import reached_at
from .pidfile import SERVER_NAME, PidFile, using
from .process import own_facts

HOST = LOOPBACK
_UNKNOWN_NAME = (socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_NODATA)
BACKLOG = 2048


def claim(settings: Settings) -> tuple[PidFile, socket.socket]:
    """The data directory's lock and the listening socket. Raises with a sentence and a cure."""
    if settings.door.tls_cert:
        check_certificate(settings.door)
    pidfile = PidFile(settings.data_dir / SERVER_NAME)
    before = pidfile.last()
    with using(settings.data_dir):
        check_data_dir(settings.data_dir)
        owned = pidfile.acquire()
    if not owned:
        owner = pidfile.owner() or {}
        who = f"process {owner.get('pid', '?')} on port {owner.get('port', '?')}"
        sentence = f"A server already runs on this data directory: {who}."
        raise AlreadyRunning(sentence, "Stop it with `down`, or choose another --data-dir.")
    with contextlib.ExitStack() as undo:
        undo.callback(_let_go, pidfile, before)
        listening = listen(settings.port, settings.door.host)
        undo.callback(listening.close)
        with using(settings.data_dir):
            pidfile.write(**_facts(settings, listening.getsockname()[1]))
        undo.pop_all()
    return pidfile, listening


def _facts(settings: Settings, port: int) -> dict[str, Any]:
    """How the server is found, and what it serves."""
    facts = {**own_facts(), "version": __version__, "port": port, "roots": list(settings.roots)}
    facts |= {"project": settings.project_key, "explicit": settings.explicit_roots}
    if settings.reading != USUAL:
        facts["reading"] = msgspec.to_builtins(settings.reading)
    return {**facts, **_reached(settings)}


def check_certificate(door: Door) -> None:
    """Raises StartFailed when the server could not prove who it is."""
    import ssl

    try:
        for path in (door.tls_cert, door.tls_key):
            open(path, "rb").close()
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            door.tls_cert, door.tls_key, password=_refuse_password
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if named := getattr(error, "filename", None):
            reason = f"{named}: {reason}"
        cure = (
            "Name a PEM certificate with --tls-cert and its key, without password, with --tls-key."
        )
        raise StartFailed(f"The certificate cannot be used: {reason}.", cure) from None


def _refuse_password() -> str:
    raise ValueError("its key has a password")


def _let_go(pidfile: PidFile, before: dict[str, Any] | None) -> None:
    if before:  # who comes after still learns what was served here
        with contextlib.suppress(OSError):
            pidfile.write(**before)
    pidfile.release()


def _reached(settings: Settings) -> dict[str, str]:
    """How the command line of this user gets in, where that is not plain loopback."""
    address = reached_at(settings.door)
    return {**address, "local_key": settings.local_key} if settings.local_key else address


def listen(port: int, host: str = HOST) -> socket.socket:
    listening = None
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        if listening:
            listening.close()
        if error.errno in (errno.EADDRNOTAVAIL, *_UNKNOWN_NAME):
            cure = "Name an address of this machine with --host or MCP_HOST."
            raise PortTaken(f"{host} is no address of this machine.", cure) from None
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"Port {port} is taken by another program.") from None
        raise PortTaken(f"Port {port} cannot be used: {error.strerror}.") from None
    listening.set_inheritable(False)
    return listening
