"""A pool of connections to the server, which is started when none runs."""

from __future__ import annotations

import sys
import threading
import time

from .. import __version__
from ..daemon.locate import Address, locate, owner_address
from ..daemon.pidfile import SERVER_NAME, PidFile
from ..environment import ServerPlace, inherited_environment, own_command
from ..errors import StartFailed
from .wire import Connection

START_SECONDS = 150.0
RETRY_SECONDS = 2.0


class ServerConnection:
    """The pool. `lend` raises StartFailed when no server runs and none can be started."""

    def __init__(
        self, place: ServerPlace, roots: list[str], key: str = "", face: str = "", agent: str = ""
    ) -> None:
        self._place, self._roots, self._key = place, roots, key
        self._face, self._agent = face, agent
        self._free: list[Connection] = []
        self._starting = threading.Lock()
        self._failed: tuple[float, StartFailed] | None = None

    def lend(self) -> Connection:
        """An idle connection, else a new one; starts the server if it must."""
        while self._free:
            try:
                connection = self._free.pop()
            except IndexError:  # another thread took it
                break
            if connection.usable():
                return connection
            connection.close()
        return self.connect() or self._start()

    def renew(self) -> None:
        """Let `up` replace a running server of another version; what it says goes to stderr."""
        owner = PidFile(self._place.data_dir / SERVER_NAME).owner()
        if owner is None or owner.get("version") == __version__:
            return
        named = self._place.port if self._place.explicit_port else 0
        if named in (0, owner.get("port")):
            print(self._run_up(), end="", file=sys.stderr, flush=True)

    def take_back(self, connection: Connection) -> None:
        self._free.append(connection)

    def connect(self) -> Connection | None:
        """A new connection; None when no server runs."""
        address = self._address()
        if address is None:
            return None
        headers = [f"{name}: {value}" for name, value in address.here().headers.items()]
        headers += [f"X-Agent: {self._agent}"] if self._agent else []
        try:
            where = (address.port, address.key, address.host, address.tls_cert)
            return Connection(*where, headers, self._face)
        except OSError:
            return None

    def _address(self) -> Address | None:
        """A named port's, else that of the data directory's owner; never the default port's."""
        place = self._place
        if place.explicit_port:
            return locate(place, self._key)
        return owner_address(place.data_dir, self._key)

    def _start(self) -> Connection:
        """Start the server, once for all threads; a failure is raised again for two seconds."""
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

    def _run_up(self) -> str:
        """Run `up`, which waits until the server serves and lets it outlive this process.
        Gives what it wrote to stderr; raises StartFailed."""
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
        output = done.stderr.decode("utf-8", "replace")
        if done.returncode:
            why = (output.strip().splitlines() or ["no reason"])[-1].removeprefix("Error: ")
            raise StartFailed(f"The server could not be started: {why}", cure="")
        return output

    def _arguments(self) -> list[str]:
        place = self._place
        roots = [part for root in self._roots for part in ("--root", root)]
        port = ["--port", str(place.port)] if place.explicit_port else []
        return [*roots, *port, "--data-dir", str(place.data_dir)]

    def _connected(self) -> Connection:
        connection = self.connect()
        if connection is not None:
            return connection
        owner = owner_address(self._place.data_dir)
        port = owner.port if owner else "none"
        sentence = f"The server of {self._place.data_dir} runs on port {port}"
        cure = "Leave out --port and MCP_PORT, or name another --data-dir."
        raise StartFailed(f"{sentence}, not on {self._place.port}.", cure)
