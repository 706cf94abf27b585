"""Does a waiting outcome survive? Torn lines, full disks, killed writers, several at once."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestr8_index import private
from orchestr8_index.client import delivery
from orchestr8_index.client import spool as spools
from orchestr8_index.client.spool import Spool
from orchestr8_index.daemon.http import HttpClient, HttpResponse
from orchestr8_index.daemon.locate import Address
from orchestr8_index.errors import OutcomeNotKept


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "data")


def waiting(spool: Spool) -> list[bytes]:
    """Everything that is not crossed out."""
    found, batch = [], spool.read()
    while batch.lines or (batch.end < spool.path.stat().st_size):
        found += [line.report for line in batch.lines]
        batch = spool.read(batch)
    return found


def test_what_was_appended_waits_in_its_order(spool: Spool) -> None:
    assert not spool.pending()
    for report in (b'{"a":1}', b'{"a":2}'):
        spool.append(report)
    assert spool.pending()
    assert waiting(spool) == [b'{"a":1}', b'{"a":2}']


def test_the_file_is_its_owners_alone(spool: Spool) -> None:
    spool.append(b"{}")
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700


def test_it_is_on_the_disk_before_it_is_acknowledged(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    spool.append(b"{}")
    assert synced == [spool.path.stat().st_ino, spool.path.parent.stat().st_ino]


def is_half(raw: bytes) -> bool:
    """No line feed ends it, and it is no JSON: such a line is whole but for its end."""
    try:
        msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return b"\n" not in raw
    return False


@example(torn=b'{"a":')
@given(torn=st.binary(max_size=50).filter(is_half))
def test_a_half_written_last_line_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, torn: bytes
) -> None:
    spool = Spool(tmp_path_factory.mktemp("torn"))
    spool.append(b'{"a":1}')
    with open(spool.path, "ab") as file:
        file.write(torn)
    spool.append(b'{"a":2}')
    assert waiting(spool) == [b'{"a":1}', b'{"a":2}']


def test_a_torn_line_by_itself_is_no_report(spool: Spool) -> None:
    spool.path.parent.mkdir()
    spool.path.write_bytes(b'{"a":1')
    assert waiting(spool) == []
    assert spool.clear(spool.read()) and not spool.pending()


def test_beyond_its_bound_it_says_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most=40)
    spool.append(b'{"a":1}')
    spool.append(b'{"a":2}')
    with pytest.raises(OutcomeNotKept, match="40 bytes"):
        spool.append(b'{"a":3}')
    assert waiting(spool) == [b'{"a":1}', b'{"a":2}']


def test_a_full_disk_keeps_all_or_nothing(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.append(b'{"a":1}')
    write, before = os.write, spool.path.read_bytes()

    def full(fd: int, data: bytes) -> int:
        if len(data) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:5])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutcomeNotKept, match="No space left"):
        spool.append(b'{"a":2}')
    assert spool.path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutcomeNotKept, match=r"spool\.jsonl"):
        Spool(tmp_path / "file").append(b"{}")


def test_crossed_out_lines_are_passed_over(spool: Spool) -> None:
    for number in range(3):
        spool.append(b'{"a":%d}' % number)
    spool.cross_out(spool.read().lines[1])
    assert waiting(spool) == [b'{"a":0}', b'{"a":2}']


def test_it_is_emptied_when_nothing_came_meanwhile(spool: Spool) -> None:
    spool.append(b"{}")
    batch = spool.read()
    spool.append(b"{}")
    assert not spool.clear(batch)
    assert spool.clear(spool.read()) and spool.path.read_bytes() == b""


def test_batches_are_bounded(spool: Spool) -> None:
    for number in range(spools.BATCH_LINES + 1):
        spool.append(b'{"a":%d}' % number)
    first = spool.read()
    assert len(first.lines) == spools.BATCH_LINES
    assert len(spool.read(first).lines) == 1


def test_a_line_longer_than_a_chunk_is_read_whole(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "CHUNK", 16)
    report = b'{"a":"%s"}' % (b"x" * 100)
    spool.append(report)
    assert waiting(spool) == [report]


def test_one_delivers_at_a_time(spool: Spool) -> None:
    spool.append(b"{}")
    with spool.delivering() as first, spool.delivering() as second:
        assert (first, second) == (True, False)
    with spool.delivering() as again:
        assert again


def test_several_writers_never_mix_their_lines(spool: Spool) -> None:
    def write(name: int) -> None:
        for number in range(50):
            spool.append(b'{"writer":%d,"number":%d}' % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = waiting(spool)
    for name in range(4):
        mine = [line for line in found if line.startswith(b'{"writer":%d,' % name)]
        assert mine == [b'{"writer":%d,"number":%d}' % (name, n) for n in range(50)]


def test_without_locks_it_still_keeps(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "fcntl", None)
    spool.append(b"{}")
    with spool.delivering() as mine:
        assert mine and waiting(spool) == [b"{}"]


WRITER = """
import sys
from pathlib import Path
from orchestr8_index.client.spool import Spool
spool = Spool(Path(sys.argv[1]))
number = 0
while True:
    spool.append(b'{"a":%d}' % number)
    print(number, flush=True)
    number += 1
"""


def test_a_writer_that_is_killed_has_kept_what_it_acknowledged(spool: Spool) -> None:
    command = [sys.executable, "-c", WRITER, str(spool.path.parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        said = [writer.stdout.readline() for _ in range(20)]
        writer.kill()
        said += [line for line in writer.stdout if line.endswith(b"\n")]
    spool.append(b'{"a":"after"}')
    found = waiting(spool)
    assert found[: len(said)] == [b'{"a":%d}' % number for number in range(len(said))]
    assert len(found) <= len(said) + 2 and found[-1] == b'{"a":"after"}'


def test_a_line_ends_with_a_line_feed_alone(spool: Spool) -> None:
    spool.path.parent.mkdir(parents=True)
    spool.path.write_bytes(b'{"a":"\r\x0b"}\n{"a":2}\n')
    assert waiting(spool) == [b'{"a":"\r\x0b"}', b'{"a":2}']


@pytest.mark.parametrize("name", ["spool.jsonl", "spool.refused.jsonl", "spool.lock"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_somebody_elses_file_is_not_written_to(
    spool: Spool, tmp_path: Path, name: str, link: Callable[[Path, Path], None]
) -> None:
    """A last line without its end was cut off there, and the outcome appended."""
    victim = tmp_path / "victim"
    victim.write_text("a line\nhalf a line")
    spool.path.parent.mkdir()
    link(victim, spool.path.parent / name)
    with pytest.raises((OutcomeNotKept, OSError), match=f"{name} is "):
        spool.append(b"{}")
        spool.refuse(b"{}", "why")
        with spool.delivering():
            pass
    assert victim.read_text() == "a line\nhalf a line"


def test_the_lines_of_an_earlier_version_are_read_and_crossed_out_as_ever(spool: Spool) -> None:
    spool.path.parent.mkdir()
    spool.path.write_bytes(b'{"a":1}\n~"a":2}\n~}\n{"a":3}')
    spool.append(b'{"a":4}')
    assert waiting(spool) == [b'{"a":1}', b'{"a":3}', b'{"a":4}']
    for line in spool.read().lines:
        spool.cross_out(line)
    assert waiting(spool) == []


def test_a_report_that_waits_goes_to_its_own_project(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    class Noting(HttpClient):
        def send(self, verb: str, path: str, body: bytes | None = None, waits: float = 0) -> Any:
            calls = json.loads(body or b"[]")
            asked.extend((self.address.project, call["params"]["task_id"]) for call in calls)
            replies = [{"jsonrpc": "2.0", "id": call["id"], "result": {}} for call in calls]
            return HttpResponse(200, json.dumps(replies).encode())

    spool = Spool(tmp_path)
    for task, project in (("a", "red"), ("b", "red"), ("c", "blue"), ("d", "")):
        whose = {"project": project} if project else {}
        spool.append(json.dumps({"task_id": task, **whose}).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "HttpClient", Noting)
        waiting = delivery.Delivery(spool, Noting)
        waiting.start(Address(1))
        assert waiting.wait(10)
    assert asked == [("red", "a"), ("red", "b"), ("blue", "c"), ("", "d")]
