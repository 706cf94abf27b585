"""What if the server is away, slow, or another program? Never an exception for a question."""

from __future__ import annotations

import logging
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.client import orchestrator
from orchestr8_index.config import fixture_root
from orchestr8_index.daemon import http as http_client
from orchestr8_index.errors import Orchestr8Error, ServerAway, StoreUnavailable
from orchestr8_index.store.ledger import now

from ..processes import World
from ..trees import agent, build_tree, write_tree
from .asking import SENDERS, blocking, report
from .conftest import MakeAsker
from .strange import Answer, Strange, error, http, result

STRANGE: dict[str, Answer] = {
    "closes": b"",
    "no HTTP": b"220 smtp.example ESMTP\r\n",
    "a page": http(b"<html>"),
    "a redirect": http(b"", "302 Found", "Location: /\r\n"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "another shape": result({"agents": 7}),
    "neither result nor error": http({"jsonrpc": "2.0", "id": 1}),
    "deep nesting": http(b"[" * 100_000),
    "bytes": http(b"\xff\xfe\x00"),
    "starting": error(-32001, status="503 Service Unavailable"),
    "too many": error(-32029, status="429 Too Many"),
    "its own error": error(-32603),
    "no such method": error(-32601, status="404 Not Found"),
    "a strange code": error(12345),
}


def options(indexed: Path, strange: Strange) -> dict[str, Any]:
    return {"base_url": strange.url, "data_dir": indexed}


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE.keys())
def test_whatever_a_server_says_a_question_is_answered(
    make_asker: MakeAsker, indexed: Path, strange: Strange, answer: Answer
) -> None:
    strange.answer = lambda body: answer
    told = make_asker(**options(indexed, strange)).query_agents("slow database queries")
    assert (told.source, told.agents[0].name) == ("embedded", "postgres-tuner")
    assert strange.seen


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_server_that_does_not_finish_is_given_up(
    make_asker: MakeAsker,
    indexed: Path,
    strange: Strange,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(orchestrator, "ANSWER_SECONDS", 0.1)
    strange.answer = lambda body: answer
    assert make_asker(**options(indexed, strange)).query_skills("writing").source == "embedded"


def test_an_endless_answer_is_given_up(
    make_asker: MakeAsker, indexed: Path, strange: Strange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "MOST_BYTES", 1000)
    strange.answer = lambda body: http(b" " * 2000)
    assert make_asker(**options(indexed, strange)).query_skills("writing").source == "embedded"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9", "http:nonsense", "ftp://x", "http://[", "http://"]
)
def test_an_address_where_nobody_is_will_do(make_asker: MakeAsker, indexed: Path, url: str) -> None:
    asker = make_asker(url, data_dir=indexed)
    assert asker.query_workflows("review").source == "embedded"
    assert asker.health().status == "away"
    assert (asker.get_pattern("goal"), asker.find_patterns("goal")) == (None, [])


def test_what_only_the_server_can_do_says_so(make_asker: MakeAsker, indexed: Path) -> None:
    asker = make_asker("http://127.0.0.1:9", data_dir=indexed)
    for ask in (lambda: asker.store_pattern("goal", ["a"]), asker.metrics):
        with pytest.raises(ServerAway, match="orchestr8-index up"):
            ask()


def test_the_servers_own_error_is_told_where_only_it_can_help(
    make_asker: MakeAsker, indexed: Path, strange: Strange
) -> None:
    strange.answer = lambda body: error(-32002, "The store is full.")
    with pytest.raises(StoreUnavailable, match="The store is full"):
        make_asker(**options(indexed, strange)).store_pattern("goal", ["a"])


def test_a_broken_kept_connection_is_tried_once_more(
    make_asker: MakeAsker, indexed: Path, strange: Strange
) -> None:
    answers = [http({"jsonrpc": "2.0", "id": 1, "result": None}), b"", result([])]
    strange.answer = lambda body: answers.pop(0)
    asker = make_asker(**options(indexed, strange))
    asker.get_pattern("one")
    assert asker.find_patterns("two") == [] and not answers


def test_the_warning_comes_once_a_minute(
    make_asker: MakeAsker, indexed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asker = make_asker("http://127.0.0.1:9", data_dir=indexed)
    with caplog.at_level(logging.WARNING, "orchestr8.client"):
        for number in range(5):
            asker.query_agents(f"question {number}")
        blocking(asker)._warned_at -= 60
        asker.query_agents("a minute later")
    assert len(caplog.records) == 2
    assert "127.0.0.1:9" in caplog.text


# --- which snapshot ----------------------------------------------------------------------------


def test_without_any_snapshot_the_shipped_entries_answer(
    make_asker: MakeAsker, tmp_path: Path
) -> None:
    told = make_asker(data_dir=tmp_path / "new").query_agents("slow database queries")
    assert (told.source, told.agents[0].name) == ("embedded", "postgres-tuner")


def test_trees_that_are_named_answer_for_themselves_alone(
    make_asker: MakeAsker, indexed: Path, tmp_path: Path
) -> None:
    root = write_tree(tmp_path / "mine", {"agents/baker.md": agent("baker", "Bakes bread.")})
    asker = make_asker(roots=[root], data_dir=indexed)
    assert [row.name for row in asker.query_agents("bake bread").agents] == ["baker"]
    assert asker.query_agents("slow database queries").agents == []


def test_a_server_of_other_trees_is_not_asked(
    make_asker: MakeAsker, server: Any, tmp_path: Path
) -> None:
    root = write_tree(tmp_path / "mine", {"agents/baker.md": agent("baker", "Bakes bread.")})
    told = make_asker(roots=[root], data_dir=server.world.data).query_agents("bake bread")
    assert (told.source, told.agents[0].name) == ("embedded", "baker")


def test_a_new_generation_is_taken_up(make_asker: MakeAsker, tmp_path: Path) -> None:
    root = write_tree(tmp_path / "mine", {"agents/baker.md": agent("baker", "Bakes bread.")})
    build_tree(root, data_dir=tmp_path / "data")
    asker = make_asker(roots=[root], data_dir=tmp_path / "data")
    assert asker.query_agents("bake bread").generation == 1
    write_tree(root, {"agents/brewer.md": agent("brewer", "Brews beer.")})
    build_tree(root, data_dir=tmp_path / "data")
    assert asker.query_agents("brew beer").agents[0].name == "brewer"


def test_a_tree_that_cannot_be_indexed_is_an_empty_answer(
    make_asker: MakeAsker, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "snapshots").write_text("a file where a folder should be")
    asker = make_asker(data_dir=data)
    answer = asker.query_agents("slow database queries")
    assert (answer.agents, answer.source, answer.age_s) == ([], "embedded", None)
    assert asker.get_context("task").text == ""
    assert asker.get_entry("agent", "studio", "docs-writer").text == ""


def test_embedded_on_purpose_says_why_it_cannot(make_asker: MakeAsker, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "snapshots").write_text("a file where a folder should be")
    with pytest.raises(Orchestr8Error, match="index could not be built"):
        make_asker(data_dir=data, embedded=True).query_agents("anything")


def test_embedded_needs_no_folder_and_leaves_none(tmp_path: Path) -> None:
    with SENDERS["blocking"](embedded=True, roots=[fixture_root()]) as asker:
        folder = asker._settings.data_dir
        assert asker.query_agents("slow database queries").agents
        with pytest.raises(ServerAway, match="data_dir"):
            report(asker, "t")
    assert not folder.exists()


# --- there and back ----------------------------------------------------------------------------


def test_a_server_that_ends_and_comes_back_is_noticed(make_asker: MakeAsker, world: World) -> None:
    root = write_tree(world.work / "mine", {"agents/baker.md": agent("baker", "Bakes bread.")})
    running = world.serve("--root", str(root))
    asker = make_asker(data_dir=world.data, cache_seconds=0)
    assert asker.query_agents("bake bread").source == "index"
    running.stop(signal.SIGKILL)
    away = asker.query_agents("bake bread")
    assert (away.source, away.agents[0].name) == ("embedded", "baker")
    world.serve("--root", str(root))
    assert asker.query_agents("bake bread").source == "index"


def test_the_trees_of_a_server_that_ended_well_are_known(
    make_asker: MakeAsker, world: World
) -> None:
    root = write_tree(world.work / "mine", {"agents/baker.md": agent("baker", "Bakes bread.")})
    assert world.serve("--root", str(root)).stop() == 0
    told = make_asker(data_dir=world.data).query_agents("bake bread")
    assert (told.source, told.agents[0].name) == ("embedded", "baker")


def test_an_answer_is_kept_until_an_outcome_changes_it(make_asker: MakeAsker, server: Any) -> None:
    asker = make_asker(data_dir=server.world.data)
    asked = f"mend the fence {now()}"
    assert not asker.query_agents(asked).cache_hit
    assert asker.query_agents(asked).cache_hit
    assert report(asker, f"task {asked}").stored
    assert blocking(asker)._cache.currsize == 0


def test_a_proxy_of_the_environment_is_not_asked(
    make_asker: MakeAsker, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("ALL_PROXY", proxy)
    asker = make_asker(data_dir=server.world.data, cache_seconds=0)
    assert asker.query_agents("write").source == "index"
