"""logs: the server's own words, for a person and for a script."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path

import pytest

from orchestr8_index.cli.logs import Tail, last_questions

from ..processes import Running, World, call, wait_for
from ..serve.asking import settings_of
from .conftest import Run


def entry(message: str, level: str = "info", **more: object) -> str:
    head = {"time": "2026-01-31T10:00:00.000+00:00", "level": level, "logger": "orchestr8.http"}
    return json.dumps({**head, "message": message, **more}) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "data" / "logs").mkdir(parents=True)
    path = tmp_path / "data" / "logs" / "mcp.log"
    path.write_text(
        entry("request", ms=0.5, path="/")
        + entry("slow disk", "warning")
        + entry("the method failed", "error", exception="Traceback\nKeyError: 'x'")
        + "no json at all\n"
    )
    return path


def test_lines_are_for_a_person(run: Run, log: Path) -> None:
    lines = run("logs").out.splitlines()
    assert lines[0] == "2026-01-31 10:00:00.000 info    http   request ms=0.5 path=/"
    assert lines[3:5] == ["    Traceback", "    KeyError: 'x'"]
    assert lines[-1].endswith("no json at all")


def test_a_level_is_the_least_that_is_shown(run: Run, log: Path) -> None:
    format_line = run("logs", "--level", "error").out
    assert "the method failed" in format_line and "slow disk" not in format_line
    assert "slow disk" in run("logs", "--level", "warning").out


def test_the_last_lines_are_shown_as_they_are_for_a_script(run: Run, log: Path) -> None:
    format_line = run("logs", "--json", "-n", "2", "--level", "warning").out
    assert format_line == "".join(log.read_text().splitlines(keepends=True)[2:])


def test_yesterdays_lines_come_before_todays(run: Run, log: Path) -> None:
    with gzip.open(log.with_name("mcp.log.2026-01-30.gz"), "wt") as packed:
        packed.write(entry("yesterday"))
    log.with_name("mcp.log.2026-01-29.gz").write_bytes(b"cut off")
    assert run("logs").out.splitlines()[0].endswith("yesterday")


def test_without_a_log_it_says_what_to_do(run: Run) -> None:
    said = run("logs")
    assert (said.status, said.err.startswith("Error: There is no log yet. Start")) == (1, True)


def test_a_tail_goes_on_over_midnight_and_a_half_line(log: Path) -> None:
    tail = Tail(log)
    assert len(list(tail.whole())) == 4
    with log.open("a") as file:
        file.write("half")
        file.flush()
        assert list(tail.new()) == []
        file.write(" and half\n")
    assert list(tail.new()) == ["half and half"]
    log.rename(log.with_name("mcp.log.2026-01-31"))
    log.write_text("today\n")
    assert list(tail.new()) == ["today"]
    log.unlink()
    assert list(tail.new()) == []


def test_following_ends_with_ctrl_c(world: World, log: Path) -> None:
    following = world.start("logs", "-f", "-n", "1")
    assert following.stdout
    assert "no json" in following.stdout.readline()
    with log.open("a") as file:
        file.write(entry("new"))
    assert wait_for(following.stdout.readline).endswith("new\n")
    os.kill(following.pid, signal.SIGINT)
    _, err = following.communicate(timeout=20)
    assert (following.returncode, err.strip()) == (0, "")


def test_the_last_questions_are_read_from_the_file_by_its_owner(
    online: Run, server: Running
) -> None:
    call(server.port, "querySkills", {"context": "write release\x1b[2J notes"})
    settings = settings_of(server.world.data)
    wait_for(lambda: "release" in str(last_questions(settings, 1)))
    format_line = online("logs", "--questions").out
    assert "skills    write release [2J notes → studio:release-notes" in format_line
    rows = online("logs", "--questions", "--json", "-n", "1").out.splitlines()
    assert len(rows) == 1 and '"method":"querySkills"' in rows[0]


def test_a_damaged_query_log_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "mcp.db").write_bytes(b"\x5a" * 10_000)
    assert last_questions(settings_of(tmp_path), 5) == []


def test_the_page_has_an_address_where_a_server_runs(online: Run, server: Running) -> None:
    assert online("page", "--print").out == f"http://127.0.0.1:{server.port}/\n"


def test_without_a_server_there_is_no_page(run: Run) -> None:
    said = run("page")
    assert said.status == 1 and "orchestr8-index up" in said.err
