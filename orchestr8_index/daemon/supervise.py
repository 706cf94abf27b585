"""Start the server in the background and stop it, for the command line."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

from ..config import Door, Settings
from ..environment import inherited_environment, own_command
from ..errors import BuildFailed, PortTaken, StartFailed
from ..private import check_data_dir, make_folder, open_private
from ..variables import variables
from .http import Health, get_health
from .locate import Address, address_of, owner_address, reached_at
from .pidfile import SERVER_NAME, PidFile, using
from .process import kill_group, proven
from .watcher import LOCK_NAME, STDERR_NAME

START_SECONDS, STOP_SECONDS, KILL_SECONDS = 120.0, 10.0, 5.0
ATTACH_SECONDS = 3.0
PAUSE = 0.05


def pidfile(settings: Settings) -> PidFile:
    """The server's lock file in the data directory of these settings."""
    return PidFile(settings.data_dir / SERVER_NAME)


def running_port(settings: Settings) -> int | None:
    """The port of the server that owns the data directory."""
    address = running_address(settings)
    return address.port if address else None


def running_address(settings: Settings) -> Address | None:
    """How to reach the server that owns the data directory."""
    address = owner_address(settings.data_dir, settings.api_key)
    return address.here() if address else None


def start(settings: Settings, progress: Callable[[Health], None]) -> Health:
    """Start a detached server and wait until it serves. Raises StartFailed (with the last line of
    its stderr), BuildFailed or PortTaken, and ends the process that it started.

    Two processes that start one on the same data directory get the same server.
    """
    if (running := _on_port(settings)) is not None:
        return running
    process = _spawn(settings)
    with contextlib.ExitStack() as undo:
        undo.callback(_end_own, settings, process)
        health = wait_until_served(settings, progress, process)
        undo.pop_all()
    return health


def _end_own(settings: Settings, process: subprocess.Popen[bytes]) -> None:
    """End the process that a failed `start` began."""
    if process.poll() is None:
        try:
            stop(settings)
        finally:
            _end(process)


def wait_until_served(
    settings: Settings,
    progress: Callable[[Health], None],
    process: subprocess.Popen[bytes] | None = None,
) -> Health:
    """Wait until the server serves, calling `progress` while its health says `starting`. Raises
    StartFailed when it ends or takes over 120 seconds, BuildFailed when its first build fails."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (process is None or process.poll() is not None) and not _is_owned(settings):
            if reason := _last_stderr_line(settings):
                raise StartFailed(reason, cure="")
            raise StartFailed("The server ended at once.", "`orchestr8-index serve` says why.")
        health = _health(settings)
        if health and health["status"] != "starting":
            return health
        if health and health["reasons"]:
            cure = "Nothing was left running." if process else "End it with `orchestr8-index down`."
            raise BuildFailed(health["reasons"][0], cure)
        if health:
            progress(health)
        time.sleep(PAUSE)
    raise StartFailed(f"The server did not answer within {START_SECONDS:.0f} s.")


def answering(settings: Settings) -> Health:
    """The health of the data directory's server; raises StartFailed if none comes in 3 seconds."""
    health: Health | None = _until(ATTACH_SECONDS, lambda: _health(settings))
    if health is not None:
        return health
    owner = pidfile(settings).owner() or {}
    who = f"process {owner.get('pid', '?')} on port {owner.get('port', '?')}"
    sentence = f"The server of this data directory ({who}) does not answer."
    raise StartFailed(sentence, "End it with `orchestr8-index down`, then start again.")


def _health(settings: Settings) -> Health | None:
    """The health of the server that owns the data directory; None when it does not answer."""
    address = owner_address(settings.data_dir, settings.api_key)
    return get_health(address) if address else None


def _until(seconds: float, look: Callable[[], Any]) -> Any:
    """Call `look` until its result is true or `seconds` are over; gives the last result."""
    deadline = time.monotonic() + seconds
    while not (seen := look()) and time.monotonic() <= deadline:
        time.sleep(PAUSE)
    return seen


def _on_port(settings: Settings) -> Health | None:
    """The health of a server of this data directory on the wanted port, which may have lost its
    lock file; None without one. Raises PortTaken for a server of another data directory."""
    facts = {"port": settings.port, **reached_at(settings.door)}
    address = address_of(facts, settings.api_key) if settings.port else None
    health = get_health(address) if address else None
    if health is None or health.get("data_digest") == settings.data_digest:
        return health if health and health["status"] != "starting" else None
    raise PortTaken(f"Port {settings.port} is taken by a server with another data directory.")


def _is_owned(settings: Settings) -> bool:
    return any(lock.owner() is not None for lock in _locks(settings))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that never took its lock, and its children; wait for it."""
    kill_group(process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(KILL_SECONDS)


def _spawn(settings: Settings) -> subprocess.Popen[bytes]:
    with using(settings.data_dir):
        check_data_dir(settings.data_dir)
        logs = make_folder(settings.data_dir, "logs")
        stderr = open(logs / STDERR_NAME, "wb", buffering=0, opener=open_private)
        with contextlib.ExitStack() as undo:  # fails on a full disk, where stderr would be lost
            undo.callback(stderr.close)
            stderr.write(b"\n")
            undo.pop_all()
    command = own_command("serve", *arguments_of(settings))
    if settings.auto_restart:
        command = own_command(str(settings.data_dir), *command, module="daemon.watcher")
    with stderr:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            env=inherited_environment(),
            start_new_session=True,
        )


def arguments_of(settings: Settings) -> list[str]:
    """The command-line arguments with which `serve` comes to the same settings."""
    roots = settings.places or settings.roots
    if settings.project is not None:  # `serve` finds the project again from the same folder
        roots = ()
    named = [part for root in roots for part in ("--root", root)]
    where = ["--port", str(settings.port), "--data-dir", str(settings.data_dir)]
    team = ["--database", settings.database_url] if settings.database_is_named else []
    index = ["--index", settings.index] if settings.index != "own" else []
    return [*named, *where, *_listening(settings.door), *team, *index]


def _listening(door: Door) -> list[str]:
    words = list[str]()
    for each in variables(type(door)):
        value = getattr(door, each.field)
        if value is True:
            words.append(each.option)
        for one in value if each.kind is tuple else [value] if each.kind is str else []:
            words += [each.option, one] if one else []
    return words


def _last_stderr_line(settings: Settings) -> str:
    path = settings.data_dir / "logs" / STDERR_NAME
    try:
        with open(path, encoding="utf-8", errors="replace", opener=open_private) as file:
            lines = file.read().strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("Error: ") if lines else ""


def stop(settings: Settings) -> str:
    """`stopped` (by SIGTERM), `killed` (by SIGKILL, ten seconds later), or `nothing` to stop.

    Raises NotOurs, before any signal, when watcher or server is not proven to be ours.
    """
    if not _signal(settings, signal.SIGTERM):
        return "nothing"
    if _wait_free(settings, STOP_SECONDS):
        return "stopped"
    _signal(settings, signal.SIGKILL)  # to the owners of now: the watcher may be a new one
    _wait_free(settings, KILL_SECONDS)
    return "killed"


def _signal(settings: Settings, number: int) -> bool:
    """Signal watcher and server; False when neither runs."""
    with contextlib.ExitStack() as stack:
        owners = [stack.enter_context(proven(lock)) for lock in _locks(settings)]
        processes = [process for process in owners if process]
        for process in processes:
            process.send(number)
    return bool(processes)


def _locks(settings: Settings) -> tuple[PidFile, PidFile]:
    """The watcher's lock, then the server's: a watcher that is signalled first restarts nothing."""
    return PidFile(settings.data_dir / LOCK_NAME), pidfile(settings)


def _wait_free(settings: Settings, seconds: float) -> bool:
    return bool(_until(seconds, lambda: not _is_owned(settings)))
