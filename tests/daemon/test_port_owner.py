"""Who has that port? Named where the kernel's tables can be read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orchestr8_index.daemon.claim import listen
from orchestr8_index.daemon.port_owner import UNKNOWN, taker

PORT, INODE = 3700, "4711"
ROW = "  0: 0100007F:{port:04X} 00000000:0000 {state} 0:0 00:0 0 0 0 {inode} 1 0"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A kernel that knows one listening socket, and one process that has it open."""
    (tmp_path / "net").mkdir()
    row = ROW.format(port=PORT, state="0A", inode=INODE)
    (tmp_path / "net" / "tcp").write_text(f"head\n{row}\n")
    (tmp_path / "812" / "fd").mkdir(parents=True)
    (tmp_path / "812" / "comm").write_text("nginx\n")
    (tmp_path / "812" / "fd" / "3").symlink_to(f"socket:[{INODE}]")
    (tmp_path / "99").mkdir()  # another user's: its descriptors are hidden
    return tmp_path


def test_the_program_is_named(proc: Path) -> None:
    assert taker(PORT, proc) == "nginx (process 812)"


def test_a_program_without_a_name_is_its_number(proc: Path) -> None:
    (proc / "812" / "comm").unlink()
    assert taker(PORT, proc) == "process 812"


def test_who_only_connects_from_that_port_is_not_meant(proc: Path) -> None:
    row = ROW.format(port=PORT, state="01", inode=INODE)
    (proc / "net" / "tcp").write_text(f"head\n{row}\n")
    assert taker(PORT, proc) == UNKNOWN


def test_a_hidden_program_is_another_program(proc: Path) -> None:
    (proc / "812" / "fd" / "3").unlink()
    assert (taker(PORT, proc), taker(1, proc)) == (UNKNOWN, UNKNOWN)


def test_where_there_are_no_tables_it_is_another_program(tmp_path: Path) -> None:
    assert taker(PORT, tmp_path) == UNKNOWN


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_real_socket_is_found() -> None:
    with listen(0) as mine:
        assert taker(mine.getsockname()[1]).endswith(f"(process {os.getpid()})")
