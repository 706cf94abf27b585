"""What is written down, in which shape, and what becomes of it at midnight?"""

from __future__ import annotations

import gzip
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from orchestr8_index.serve import logs
from orchestr8_index.serve.callers import correlation_id
from orchestr8_index.serve.logs import (
    KEPT_DAYS,
    JsonLines,
    Repeats,
    _compress,
    _compressed_name,
    _file_handler,
    set_up_logs,
)

from .asking import ask

QUERY = {"jsonrpc": "2.0", "id": 1, "method": "querySkills", "params": {"context": "xylophone"}}


@pytest.fixture
def restored() -> Iterator[None]:
    """The root logger as it was, whatever the test does to it."""
    root = logging.getLogger()
    handlers, level, loud = root.handlers[:], root.level, logging.raiseExceptions
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = loud


def line(message: str = "said", exc_info: Any = None, **extra: Any) -> dict[str, Any]:
    record = logging.makeLogRecord(
        {"msg": message, "name": "orchestr8.test", "levelname": "INFO", "levelno": 20, **extra}
    )
    record.exc_info = exc_info
    text = JsonLines().format(record)
    assert "\n" not in text
    told: dict[str, Any] = json.loads(text)
    return told


def test_a_line_is_one_json_object() -> None:
    told = line("two\nlines", port=3700)
    assert (told["level"], told["logger"], told["message"]) == (
        "info",
        "orchestr8.test",
        "two\nlines",
    )
    assert told["port"] == 3700


def test_a_line_carries_the_correlation_id() -> None:
    token = correlation_id.set("abc")
    try:
        assert line()["correlation_id"] == "abc"
    finally:
        correlation_id.reset(token)
    assert "correlation_id" not in line()


def test_what_json_does_not_know_is_told_as_text(tmp_path: Path) -> None:
    assert line(path=tmp_path)["path"] == str(tmp_path)


def test_an_exception_is_in_the_line() -> None:
    error = ValueError("bad")
    assert "ValueError: bad" in line(exc_info=(ValueError, error, None))["exception"]


def test_a_servers_colours_stay_out() -> None:
    assert "color_message" not in line(color_message="\x1b[36m")


def test_lines_go_to_a_file_that_only_its_owner_reads(tmp_path: Path, restored: None) -> None:
    set_up_logs(tmp_path, "info")
    logging.getLogger("orchestr8.test").info("heard")
    path = tmp_path / "logs" / "mcp.log"
    assert json.loads(path.read_text())["message"] == "heard"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_level_rules(tmp_path: Path, restored: None) -> None:
    set_up_logs(tmp_path, "warning")
    logging.getLogger("orchestr8.test").info("not heard")
    assert (tmp_path / "logs" / "mcp.log").read_text() == ""


def test_where_no_file_can_be_it_is_standard_error(
    tmp_path: Path, restored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("in the way")
    set_up_logs(tmp_path, "info")
    logging.getLogger("orchestr8.test").info("heard")
    assert json.loads(capsys.readouterr().err)["message"] == "heard"


def test_a_request_leaves_its_id_and_no_query_text(
    tmp_path: Path, restored: None, app: ASGIApp
) -> None:
    set_up_logs(tmp_path, "info")
    ask(app, "POST", "/", json=QUERY, headers={"X-Correlation-ID": "abc"})
    text = (tmp_path / "logs" / "mcp.log").read_text()
    told = [json.loads(each) for each in text.splitlines()]
    assert [each["rpc"] for each in told if each.get("correlation_id") == "abc"] == ["querySkills"]
    assert "xylophone" not in text


def test_a_querys_text_is_logged_for_who_debugs_and_nobody_else(
    tmp_path: Path, restored: None, app: ASGIApp
) -> None:
    path = tmp_path / "logs" / "mcp.log"
    set_up_logs(tmp_path, "info")
    ask(app, "POST", "/", json=QUERY)
    assert "querySkills" in path.read_text() and "xylophone" not in path.read_text()
    logging.getLogger().setLevel("DEBUG")
    ask(app, "POST", "/", json=QUERY)
    assert "xylophone" in path.read_text()


def test_a_planted_secret_never_reaches_the_file(
    tmp_path: Path, restored: None, app: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an exception, in a field, in a question, in the id of a request."""

    def broken(*_: object) -> None:
        raise KeyError("/home/alice/x with ghp_0123456789abcdefABCDEF0123456789")

    monkeypatch.setattr("orchestr8_index.search.methods.answer_skills", broken)
    set_up_logs(tmp_path, "debug")
    params = {"context": "use Bearer planted-Token-1 and AKIAIOSFODNN7EXAMPLE"}
    given = {"X-Correlation-ID": "sk-planted0123456789abc"}
    ask(app, "POST", "/?api_key=pl4nted", json={**QUERY, "params": params}, headers=given)
    logging.getLogger("any.library").warning("at %s", "postgres://me:pl4nted@db")
    text = (tmp_path / "logs" / "mcp.log").read_text()
    assert "KeyError" in text and "asked" in text
    planted = ("alice", "ghp_0", "planted-Token", "AKIAIOS", "sk-planted", "pl4nted")
    assert [secret for secret in planted if secret in text] == []


def test_a_defect_is_logged_under_its_id(
    tmp_path: Path, restored: None, app: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr("orchestr8_index.search.methods.answer_skills", broken)
    set_up_logs(tmp_path, "error")
    ask(app, "POST", "/", json=QUERY, headers={"X-Correlation-ID": "abc"})
    (told,) = map(json.loads, (tmp_path / "logs" / "mcp.log").read_text().splitlines())
    assert (told["correlation_id"], told["method"]) == ("abc", "querySkills")
    assert "KeyError: 'a secret'" in told["exception"]


# --- rotation ----------------------------------------------------------------------------------


def test_a_rotated_file_is_named_as_compressed() -> None:
    assert _compressed_name("mcp.log.2026-01-31") == "mcp.log.2026-01-31.gz"


def by_another(path: Path) -> None:
    path.unlink()
    path.write_text("")


def by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("put", "trouble"),
    [(Path.unlink, ""), (by_another, ""), (by_a_folder, "written"), (by_a_link, "link")],
)
def test_what_took_the_place_of_the_log_is_noticed(
    tmp_path: Path, restored: None, put: Callable[[Path], None], trouble: str
) -> None:
    """The lines went on into a file that nobody could find, and all seemed well."""
    handler, file = set_up_logs(tmp_path, "info"), tmp_path / "logs/mcp.log"
    logging.info("before")
    put(file)
    handler.reopen_if_gone()
    logging.info("after")
    assert trouble in handler.trouble and bool(handler.trouble) is bool(trouble)
    assert trouble or "after" in file.read_text()
    assert not file.with_name("elsewhere").exists()


def test_a_rotated_file_is_compressed_and_the_plain_one_removed(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"line\n" * 1000)
    _compress(str(tmp_path / "plain"), str(tmp_path / "packed"))
    assert gzip.decompress((tmp_path / "packed").read_bytes()) == b"line\n" * 1000
    assert not (tmp_path / "plain").exists()


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[TimedRotatingFileHandler]:
    made = _file_handler(tmp_path / "mcp.log")
    assert isinstance(made, TimedRotatingFileHandler)
    yield made
    made.close()


def test_midnight_starts_a_new_file(tmp_path: Path, handler: TimedRotatingFileHandler) -> None:
    handler.emit(logging.makeLogRecord({"msg": "before"}))
    handler.doRollover()
    handler.emit(logging.makeLogRecord({"msg": "after"}))
    (packed,) = tmp_path.glob("mcp.log.*.gz")
    assert gzip.decompress(packed.read_bytes()) == b"before\n"
    assert (tmp_path / "mcp.log").read_text() == "after\n"


def test_seven_days_are_kept(tmp_path: Path, handler: TimedRotatingFileHandler) -> None:
    for day in range(1, 15):
        (tmp_path / f"mcp.log.2026-01-{day:02d}.gz").write_bytes(b"")
    handler.doRollover()
    kept = sorted(path.name for path in tmp_path.glob("mcp.log.2*"))
    assert len(kept) == KEPT_DAYS
    assert "mcp.log.2026-01-08.gz" not in kept


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_somebody_elses_file_is_no_log(
    tmp_path: Path, restored: None, link: Callable[[Path, Path], None]
) -> None:
    victim, log = tmp_path / "victim", tmp_path / "data" / "logs" / "mcp.log"
    victim.write_text("kept")
    log.parent.mkdir(parents=True)
    link(victim, log)
    handler = set_up_logs(tmp_path / "data", "info")
    logging.getLogger("orchestr8.test").info("said")
    assert "mcp.log is " in handler.trouble
    assert victim.read_text() == "kept"


def test_a_link_in_the_place_of_an_old_log_is_replaced(tmp_path: Path) -> None:
    victim, source, target = (tmp_path / name for name in ("victim", "mcp.log", "old.gz"))
    victim.write_text("kept")
    source.write_text("a line")
    target.symlink_to(victim)
    _compress(str(source), str(target))
    assert (victim.read_text(), gzip.decompress(target.read_bytes())) == ("kept", b"a line")
    assert not target.is_symlink() and stat.S_IMODE(target.stat().st_mode) == 0o600


def test_repeats_are_counted_and_told_once_a_second() -> None:
    now = [0.0]
    repeats = Repeats(lambda: now[0])

    def told(message: str, **more: object) -> logging.LogRecord | None:
        record = logging.makeLogRecord({"levelno": logging.INFO, "msg": message, **more})
        return record if repeats.filter(record) else None

    assert [bool(told("request", status=403)) for _ in range(1000)] == [True, *[False] * 999]
    assert (
        told("request", status=404) and told("request", status=200) and told("request", status=200)
    )
    now[0] = 1.5
    again = told("request", status=403)
    assert again and vars(again)["repeated"] == 999


def test_a_log_file_does_not_grow_without_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: None
) -> None:
    monkeypatch.setattr(logs, "MOST_BYTES", 2000)
    set_up_logs(tmp_path, "info")
    for number in range(200):
        logging.getLogger("orchestr8.test").info("a line of the flood %d", number)
    files = list((tmp_path / "logs").iterdir())
    assert len(files) == 2 and (tmp_path / "logs/mcp.log").stat().st_size < 4000
