"""How is the server put into the background, found there, and ended? For the command line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

from ..config import Settings, inherited_environment
from ..errors import BuildFailed, PortTaken, StartFailed
from .command import own_command, watch_command
from .pidfile import PidFile
from .probe import Address, Health, address_of, get_health
from .watch import LOCK_NAME, STDERR_NAME

START_SECONDS, STOP_SECONDS, KILL_SECONDS = 120.0, 10.0, 5.0
PAUSE = 0.05


def pidfile(settings: Settings) -> PidFile:
    return PidFile(settings.data_dir / "mcp.pid")


def running_port(settings: Settings) -> int | None:
    """The port of the server that owns the data directory."""
    address = running_address(settings)
    return address.port if address else None


def running_address(settings: Settings) -> Address | None:
    """How to reach the server that owns the data directory."""
    return address_of(pidfile(settings).owner(), settings.api_key)


def address_to_ask(settings: Settings) -> Address | None:
    """The server that the options mean: one named on purpose, else that of the data directory's
    server, else (if no data directory was named) the default."""
    running = running_address(settings)
    if settings.explicit_port and settings.port:
        known = running is not None and running.port == settings.port
        return running if known else Address(settings.port, key=settings.api_key)
    if running is None and not settings.explicit_data_dir:
        return Address(settings.port, key=settings.api_key)
    return running


def start(settings: Settings, progress: Callable[[Health], None]) -> Health:
    """Detach a server and wait until it serves. Raises with what it said if it does not."""
    if settings.port and get_health(settings.port) is not None:
        sentence = f"Port {settings.port} is taken by a server with another data directory."
        raise PortTaken(sentence)
    process = _spawn(settings)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None and not _owners(settings):
            raise StartFailed(_last_words(settings) or "The server ended at once.", cure="")
        address = running_address(settings)
        health = get_health(address) if address else None
        if health and health["status"] != "starting":
            return health
        if health and health["reasons"]:
            stop(settings)
            raise BuildFailed(health["reasons"][0], "Nothing was left running.")
        if health:
            progress(health)
        time.sleep(PAUSE)
    raise StartFailed(f"The server did not answer within {START_SECONDS:.0f} s.")


def _spawn(settings: Settings) -> subprocess.Popen[bytes]:
    logs = settings.data_dir / "logs"
    try:
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"The data directory {settings.data_dir} cannot be used: {error.strerror}."
        raise StartFailed(sentence, "Choose another with --data-dir or MCP_DATA_DIR.") from None
    command = own_command("serve", *_arguments(settings))
    if settings.auto_restart:
        command = watch_command(str(settings.data_dir), *command)
    with open(logs / STDERR_NAME, "wb") as stderr:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            env=inherited_environment(),
            start_new_session=True,
        )


def _arguments(settings: Settings) -> list[str]:
    roots = [part for root in settings.roots for part in ("--root", root)]
    door = settings.door
    said = {"host": door.host, "tls-cert": door.tls_cert, "tls-key": door.tls_key}
    named = [part for name, value in said.items() if value for part in (f"--{name}", value)]
    named += [part for name in door.allow_hosts for part in ("--allow-host", name)]
    named += ["--require-keys"] if door.require_keys else []
    where = ["--port", str(settings.port), "--data-dir", str(settings.data_dir)]
    return [*roots, *where, *named]


def _last_words(settings: Settings) -> str:
    path = settings.data_dir / "logs" / STDERR_NAME
    try:
        lines = path.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("Error: ") if lines else ""


def stop(settings: Settings) -> str:
    """`stopped`, `killed` or `nothing`: SIGTERM, ten seconds, SIGKILL."""
    owners = _owners(settings)
    if not owners:
        return "nothing"
    for owner in owners:
        _signal(owner["pid"], signal.SIGTERM)
    if _wait_free(settings, STOP_SECONDS):
        return "stopped"
    for owner in owners:
        _signal(owner["pid"], signal.SIGKILL)
    _wait_free(settings, KILL_SECONDS)
    return "killed"


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _locks(settings: Settings) -> tuple[PidFile, PidFile]:
    """The watcher's, then the server's: a watcher that is told first restarts nothing."""
    return PidFile(settings.data_dir / LOCK_NAME), pidfile(settings)


def _owners(settings: Settings) -> list[dict[str, Any]]:
    found = [lock.owner() for lock in _locks(settings)]
    return [owner for owner in found if owner and owner.get("pid")]


def _wait_free(settings: Settings, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(lock.owner() is not None for lock in _locks(settings)):
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True
