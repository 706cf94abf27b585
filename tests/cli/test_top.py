"""top: what the server is doing, and what was asked, from the data directory alone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.cli import top
from orchestr8_index.cli.top import CLOSE, OPEN, Looking, drawn, last_questions
from orchestr8_index.config import fixture_root
from orchestr8_index.daemon.locate import Address

from ..processes import Running, World, call, wait_for
from ..serve.asking import settings_of
from .conftest import Run


def told(total: int, errors: int, uptime: float) -> dict[str, Any]:
    return {
        "uptime_ms": uptime * 1000,
        "queries": {"total": total},
        "errors": {"by_code": {"-32602": errors}},
    }


@pytest.fixture
def asked(online: Run, server: Running) -> Run:
    """A server that was asked, whose query log is on the disk."""
    call(server.port, "querySkills", {"context": "write release notes"})
    settings = settings_of(server.world.data)
    wait_for(lambda: last_questions(settings))
    return online


def test_a_page_tells_what_is_asked_and_how_fast(asked: Run) -> None:
    page = asked("top").out
    assert "healthy" in page and "querySkills" in page and "generation" in page
    assert "skills    write release notes → studio:release-notes" in page
    assert "\x1b" not in page


def test_the_page_as_json(asked: Run, server: Running) -> None:
    page = asked("top", "--json").json
    assert (page["status"], page["port"]) == ("healthy", server.port)
    assert page["queries"]["total"] >= 1 and page["queries_per_second"] >= 0
    assert "write release notes" in [question["text"] for question in page["last_questions"]]


def test_without_a_server_it_says_so(run: Run) -> None:
    said = run("top", "--once")
    assert (said.status, "Not running; waiting" in said.out) == (0, True)


def test_two_looks_make_a_rate(tmp_path: Path) -> None:
    looking = Looking(settings_of(tmp_path))
    assert looking._rates(told(100, 0, 50))["queries_per_second"] == 2
    assert looking._rates(told(130, 5, 60)) == {"queries_per_second": 3, "errors_per_second": 0.5}


def test_a_server_that_was_started_again_counts_from_nothing(tmp_path: Path) -> None:
    looking = Looking(settings_of(tmp_path))
    looking._rates(told(1000, 10, 500))
    rates = looking._rates(told(20, 0, 10))
    assert rates == {"queries_per_second": 2, "errors_per_second": 0}


def test_a_server_that_ends_between_two_questions_is_not_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(top, "located", lambda settings: Address(4711))
    monkeypatch.setattr(top, "get_health", lambda port: {"status": "healthy"})
    monkeypatch.setattr(top, "request", broken)
    assert Looking(settings_of(tmp_path)).look()["status"] == "not running"


def test_a_question_cannot_draw_on_the_terminal() -> None:
    hostile = {"at": "2026-01-31T10:00:00", "method": "querySkills", "text": "a\x1b[2Jb\nc"}
    page = {"status": "not running", "last_questions": [{**hostile, "found": [], "cached": True}]}
    page["last_questions"][0]["ms"] = 1.0  # type: ignore[index]
    last = drawn(page, 60).splitlines()[-1]
    assert "\x1b" not in last and last.endswith("a [2Jb c → nothing")


def test_a_damaged_query_log_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "mcp.db").write_bytes(b"\x5a" * 10_000)
    assert last_questions(settings_of(tmp_path)) == []


def test_a_live_page_survives_a_restart_and_ends_with_ctrl_c(world: World) -> None:
    root = str(fixture_root())
    main, end = pty.openpty()
    shown = bytearray()
    command = [sys.executable, "-m", "orchestr8_index", "top", "--interval", "0.1"]
    process = subprocess.Popen(
        command, stdin=end, stdout=end, stderr=end, env={**world.env, "TERM": "xterm"}
    )
    os.close(end)

    def seen(text: str) -> bool:
        shown.extend(os.read(main, 65536))
        return text.encode() in shown

    try:
        wait_for(lambda: seen("waiting for a server"))
        server = world.serve("--root", root)
        wait_for(lambda: seen("healthy"))
        server.stop()
        shown.clear()
        wait_for(lambda: seen("waiting for a server"))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        wait_for(lambda: seen(CLOSE[-8:]))
        assert OPEN.encode() not in shown and b"Traceback" not in shown
    finally:
        process.kill()
        process.wait()
        os.close(main)
