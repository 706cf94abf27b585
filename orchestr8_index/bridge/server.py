"""Finds the one server, and starts it if none runs."""

from __future__ import annotations

import threading
import time

from ..daemon.command import own_command
from ..daemon.pidfile import PidFile
from ..environment import Place, inherited_environment
from ..errors import StartFailed
from .wire import Connection

START_SECONDS = 150.0
RETRY_SECONDS = 2.0


class Server:
    """Lends connections to it. Raises StartFailed where there is none and none can be started."""

    def __init__(self, place: Place, roots: list[str], key: str = "") -> None:
        self._place, self._roots, self._key = place, roots, key
        self._pidfile = PidFile(place.data_dir / "mcp.pid")
        self._free: list[Connection] = []
        self._starting = threading.Lock()
        self._failed: tuple[float, StartFailed] | None = None

    def lend(self) -> Connection:
        """An idle connection, else a new one; starts the server if it must."""
        while self._free:
            try:
                connection = self._free.pop()
            except IndexError:  # another thread had it
                break
            if connection.usable():
                return connection
            connection.close()
        return self.connect() or self._start()

    def take_back(self, connection: Connection) -> None:
        self._free.append(connection)

    def connect(self) -> Connection | None:
        """A new connection; None when no server runs."""
        owner = self._pidfile.owner() or {}
        port = self._named() or self._owned()
        ours = owner if owner.get("port") == port else {}
        door = {name: str(ours[name]) for name in ("host", "tls_cert") if ours.get(name)}
        key = self._key or str(ours.get("local_key", ""))
        try:
            return Connection(port, key, **door) if port else None
        except OSError:
            return None

    def _named(self) -> int:
        return self._place.port if self._place.explicit_port else 0

    def _owned(self) -> int:
        port = (self._pidfile.owner() or {}).get("port")
        return port if isinstance(port, int) else 0

    def _start(self) -> Connection:
        """One thread starts it, the others wait; after a failure nobody tries for a while."""
        with self._starting:
            if connection := self.connect():
                return connection
            if self._failed and time.monotonic() - self._failed[0] < RETRY_SECONDS:
                raise self._failed[1]
            try:
                self._run_up()
                return self._connected()
            except StartFailed as error:
                self._failed = time.monotonic(), error
                raise

    def _run_up(self) -> None:
        """`up`, as a user would; it waits until the server serves, and survives this process."""
        import subprocess

        try:
            done = subprocess.run(
                own_command("up", *self._arguments()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=inherited_environment(),
                start_new_session=True,
                timeout=START_SECONDS,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise StartFailed(f"The server could not be started: {error}.") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason"]
            why = said[-1].removeprefix("Error: ")
            raise StartFailed(f"The server could not be started: {why}", cure="")

    def _arguments(self) -> list[str]:
        place = self._place
        roots = [part for root in self._roots for part in ("--root", root)]
        port = ["--port", str(place.port)] if place.explicit_port else []
        return [*roots, *port, "--data-dir", str(place.data_dir)]

    def _connected(self) -> Connection:
        connection = self.connect()
        if connection is not None:
            return connection
        port = self._owned()
        sentence = f"The server of {self._place.data_dir} runs on port {port or 'none'}"
        cure = "Leave out --port and MCP_PORT, or name another --data-dir."
        raise StartFailed(f"{sentence}, not on {self._place.port}.", cure)
