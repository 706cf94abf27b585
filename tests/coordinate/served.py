"""The shared state in a process of its own, on a socket: to be killed, paused and started again.

`python -m tests.coordinate.served FOLDER SYNC` prints the path of its socket. Lines of JSON go in,
`{"agent","method","params"}`, and come out, `{"result"}` or `{"error","data"}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from orchestr8_index import sharing as params
from orchestr8_index.config import REPOSITORY
from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.errors import RequestError
from orchestr8_index.validate import read_params

METHODS: dict[str, Any] = {
    "read_shared": params.ReadShared,
    "write_shared": params.WriteShared,
    "lock": params.LockResources,
    "send_message": params.SendMessage,
    "read_inbox": params.ReadInbox,
    "session": params.SessionCall,
}


class Asked(msgspec.Struct):
    agent: str
    method: str
    params: msgspec.Raw


ASKED = msgspec.json.Decoder(Asked)


async def answer(state: Coordination, line: bytes) -> Any:
    asked = ASKED.decode(line)
    call = getattr(state, asked.method)
    try:
        given = read_params(METHODS[asked.method], bytes(asked.params))
        return {"result": await call(Caller(asked.agent), given)}
    except RequestError as error:
        return {"error": type(error).__name__, "data": error.data()}


async def serve(folder: Path, sync: str, path: str) -> None:
    state = Coordination(folder, sync=sync)
    await asyncio.to_thread(state.open)
    state.start()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(msgspec.json.encode(await answer(state, line)) + b"\n")

    async with await asyncio.start_unix_server(talk, path):
        print(path, flush=True)
        await asyncio.Event().wait()


class Served:
    """Starts, kills and reaches such a process; used from one event loop."""

    def __init__(self, folder: Path, sync: str = "full") -> None:
        self.folder, self.sync, self.kills = folder, sync, 0
        self.process: subprocess.Popen[str] | None = None
        self.path = ""

    def start(self) -> None:
        self.path = os.path.join(tempfile.mkdtemp(), "socket")
        code = [sys.executable, "-m", "tests.coordinate.served", str(self.folder), self.sync]
        self.process = subprocess.Popen(
            [*code, self.path], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        assert self.process.stdout and self.process.stdout.readline().strip() == self.path

    def kill(self) -> None:
        """As a power cut does it to a process: without a last word."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()
            shutil.rmtree(os.path.dirname(self.path))
            self.process, self.kills = None, self.kills + 1

    async def call(self, agent: str, method: str, **given: Any) -> Any:
        """Raises ConnectionError where the process ended before it answered."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.path)
        except FileNotFoundError:
            raise ConnectionError from None
        try:
            asked = {"agent": agent, "method": method, "params": given}
            writer.write(json.dumps(asked).encode() + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
        if not line.endswith(b"\n"):
            raise ConnectionError
        return json.loads(line)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
