"""No test meets a server that it did not start: not on the default port, and not by a pid file."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestr8_index import config, environment
from orchestr8_index.config import REPOSITORY, read_settings

LOOKS = """
from orchestr8_index.config import read_settings
settings = read_settings()
print(settings.port, settings.data_dir)
"""
ASKS = """
from orchestr8_index import Orchestrator
with Orchestrator() as client:
    print(client.query_agents("slow database queries").source)
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody else's server, which only counts who comes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        yield listening


def visitors(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_this_process_is_sent_to_a_port_where_nobody_listens() -> None:
    for settings in (read_settings(), read_settings(environ={})):
        assert settings.port != config.DEFAULT_PORT == 3700
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", settings.port), 1)


def test_a_process_that_a_test_starts_is_sent_there_too() -> None:
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True)
    port, folder = done.stdout.split()
    assert int(port) == read_settings().port
    assert Path(folder).parent == Path.home() and not Path(folder).exists()


def test_the_usual_port_is_refused_even_where_it_is_named() -> None:
    with socket.socket() as asking, pytest.raises(AssertionError, match="server of the machine"):
        asking.connect(("127.0.0.1", 3700))


def test_the_client_of_a_test_leaves_alone_whoever_has_the_default_port(
    listener: socket.socket, tmp_path: Path
) -> None:
    """The README's Python, without a server, reported an outcome to the one of the machine."""
    port = listener.getsockname()[1]
    package = tmp_path / "orchestr8_index"
    package.mkdir()
    for each in Path(environment.__file__).parent.iterdir():
        (package / each.name).symlink_to(each)
    (package / "environment.py").unlink()
    text = Path(environment.__file__).read_text("utf-8")
    (package / "environment.py").write_text(
        text.replace("DEFAULT_PORT = 3700", f"DEFAULT_PORT = {port}")
    )
    asks = [sys.executable, "-c", ASKS]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(REPOSITORY)))}
    done = subprocess.run(asks, env=given, cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, visitors(listener)) == ("embedded\n", 0), done.stderr
    del given["MCP_PORT"], given["MCP_DATA_DIR"]
    subprocess.run(asks, env=given, cwd=tmp_path, capture_output=True)
    assert visitors(listener) > 0  # it would have gone there
