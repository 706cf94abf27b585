"""How does a service manager learn that the server is ready?"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from orchestr8_index.serve.background import notify


def test_facts_come_as_one_datagram(tmp_path: Path) -> None:
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        assert notify(address, READY="1", STATUS="two\nlines")
        assert listening.recv(1024) == b"READY=1\nSTATUS=two lines"


def test_an_address_without_a_file_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        try:
            listening.bind("\0orchestr8-test-notify")
        except OSError:
            pytest.skip("abstract addresses are Linux's")
        assert notify("@orchestr8-test-notify", STOPPING="1")
        assert listening.recv(1024) == b"STOPPING=1"


def test_without_a_manager_nothing_is_sent(tmp_path: Path) -> None:
    assert not notify("", READY="1")
    assert not notify(str(tmp_path / "gone"), READY="1")
