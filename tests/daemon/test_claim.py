"""May this process be the server? One per data directory, and only on this machine's address."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index import __version__
from orchestr8_index.config import ReadLimits
from orchestr8_index.daemon.claim import claim, listen
from orchestr8_index.daemon.pidfile import PidFile
from orchestr8_index.daemon.process import own_facts
from orchestr8_index.errors import AlreadyRunning, PortTaken, StartFailed

from ..serve.asking import settings_of


def test_a_claim_is_a_lock_and_a_port(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, tmp_path, port=0)
    pidfile, listening = claim(settings)
    with listening:
        port = listening.getsockname()[1]
        told = {**own_facts(), "port": port, "roots": [str(tmp_path)]}
        told |= {"project": settings.project_key, "explicit": True, "version": __version__}
        assert told["pid"] == os.getpid()
        assert PidFile(tmp_path / "mcp.pid").owner() == told
    pidfile.release()


def test_only_this_machine_can_connect() -> None:
    with listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert not listening.get_inheritable()


def test_a_second_claim_names_the_first(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, port=0)
    pidfile, listening = claim(settings)
    with listening, pytest.raises(AlreadyRunning, match=f"process {os.getpid()} on port") as said:
        claim(settings)
    pidfile.release()
    assert "--data-dir" in said.value.cure


def test_an_owner_that_has_not_written_is_named_with_question_marks(tmp_path: Path) -> None:
    owner = PidFile(tmp_path / "mcp.pid")
    owner.acquire()
    with pytest.raises(AlreadyRunning, match=r"process \? on port \?"):
        claim(settings_of(tmp_path, port=0))
    owner.release()


def test_a_full_disk_is_the_data_directorys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **facts: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(PidFile, "write", full)
    with pytest.raises(StartFailed, match=f"The data directory {tmp_path} .*No space left"):
        claim(settings_of(tmp_path, port=0))
    assert PidFile(tmp_path / "mcp.pid").owner() is None


def test_a_taken_port_names_itself_and_the_option(tmp_path: Path) -> None:
    with listen(0) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} is taken") as said:
            claim(settings_of(tmp_path, port=port))
    assert "--port" in said.value.cure and "MCP_PORT" in said.value.cure


def test_after_a_taken_port_the_data_directory_is_free(tmp_path: Path) -> None:
    with listen(0) as other, pytest.raises(PortTaken):
        claim(settings_of(tmp_path, port=other.getsockname()[1]))
    assert PidFile(tmp_path / "mcp.pid").owner() is None


def test_what_was_served_here_is_known_after_a_start_that_failed(tmp_path: Path) -> None:
    pidfile, listening = claim(settings_of(tmp_path, tmp_path, port=0))
    listening.close()
    pidfile.release()
    with listen(0) as other, pytest.raises(PortTaken):
        claim(settings_of(tmp_path, tmp_path / "b", port=other.getsockname()[1]))
    assert PidFile(tmp_path / "mcp.pid").last()["roots"] == [str(tmp_path)]


def test_a_port_that_may_not_be_used_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PortTaken, match="Port 80 cannot be used: Permission denied"):
        listen(80)


def test_a_data_directory_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartFailed, match="cannot be used: Not a directory") as said:
        claim(settings_of(tmp_path / "file" / "data", port=0))
    assert "MCP_DATA_DIR" in said.value.cure


def test_limits_of_reading_that_are_not_the_usual_are_told(tmp_path: Path) -> None:
    for reading in (ReadLimits(max_file_bytes=2000), ReadLimits()):
        pidfile, listening = claim(settings_of(tmp_path, port=0, reading=reading))
        told = (pidfile.owner() or {}).get("reading")
        assert told == ({"max_file_bytes": 2000} if reading.max_file_bytes == 2000 else None)
        listening.close()
        pidfile.release()


@pytest.mark.parametrize("name", ["mcp.pid", "logs/mcp.log", "spool.jsonl", "mcp.db", "keys.json"])
def test_a_data_directory_with_somebody_elses_file_is_not_used(tmp_path: Path, name: str) -> None:
    victim, data = tmp_path / "victim", tmp_path / "data"
    victim.write_text("kept")
    (data / name).parent.mkdir(parents=True)
    (data / name).symlink_to(victim)
    with pytest.raises(StartFailed, match=f"cannot be used: {Path(name).name} is a link"):
        claim(settings_of(data, port=0))
    assert victim.read_text() == "kept"


def test_a_data_directory_that_everybody_can_write_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(StartFailed, match="everybody") as said:
        claim(settings_of(tmp_path, port=0))
    assert "--data-dir" in said.value.cure
    assert list(tmp_path.iterdir()) == []
