"""A client finds its server, and leaves it alone for a moment after it failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.client.locate import LONGEST, Locator, parse_url
from orchestr8_index.config import Settings
from orchestr8_index.daemon.locate import Address
from orchestr8_index.daemon.pidfile import PidFile

from ..clocks import Clock


def settings(data_dir: Path, **given: Any) -> Settings:
    return Settings(roots=("/r",), roots_from="found here", data_dir=data_dir, **given)


def owner(data_dir: Path, **facts: Any) -> PidFile:
    file = PidFile(data_dir / "mcp.pid")
    assert file.acquire()
    file.write(**facts)
    return file


def test_an_address_without_its_scheme_is_asked_over_http(tmp_path: Path) -> None:
    """It was taken for a server that is away, for ever."""
    named = Locator(settings(tmp_path), "localhost:3700").address()
    assert named == parse_url("http://localhost:3700") and named is not None


def test_an_address_that_is_named_is_asked(tmp_path: Path) -> None:
    assert Locator(settings(tmp_path), "http://h:1/").address() == parse_url("http://h:1")


def test_else_the_owner_of_the_data_directory(tmp_path: Path) -> None:
    file = owner(tmp_path, pid=1, port=4711)
    assert Locator(settings(tmp_path)).address() == parse_url("http://127.0.0.1:4711")
    file.release()


def test_a_guarded_owner_says_how_its_user_gets_in(tmp_path: Path) -> None:
    facts = {"host": "::1", "tls_cert": "/c.pem", "local_key": "o8_local"}
    file = owner(tmp_path, pid=1, port=4711, **facts)
    locator = Locator(settings(tmp_path))
    assert locator.address() == Address(4711, "::1", "/c.pem", "o8_local")
    named = Locator(settings(tmp_path), api_key="o8_mine")
    assert named.address() == Address(4711, "::1", "/c.pem", "o8_mine")
    file.release()


def test_who_is_named_is_not_shown_what_another_left(tmp_path: Path) -> None:
    file = owner(tmp_path, pid=1, port=4711, local_key="o8_local")
    locator = Locator(settings(tmp_path), "http://h:1")
    assert locator.address() == Address(1, "h")
    file.release()


def test_else_the_port_of_the_settings(tmp_path: Path) -> None:
    assert Locator(settings(tmp_path, port=4712)).address() == parse_url("http://127.0.0.1:4712")


def test_a_named_data_directory_without_owner_has_no_server(tmp_path: Path) -> None:
    """The usual port may be that of a server of other trees."""
    assert Locator(settings(tmp_path, explicit_data_dir=True)).address() is None


def test_unless_a_port_is_named_too(tmp_path: Path) -> None:
    named = settings(tmp_path, explicit_data_dir=True, explicit_port=True, port=4713)
    assert Locator(named).address() == parse_url("http://127.0.0.1:4713")


def test_after_a_failure_it_is_left_alone_for_a_moment(tmp_path: Path, clock: Clock) -> None:
    locator = Locator(settings(tmp_path), "http://h:1", clock)
    locator.failed(0.001)
    assert locator.address() is None
    clock.now += 0.11
    assert locator.address() == parse_url("http://h:1")


def test_the_more_often_it_fails_the_longer(tmp_path: Path, clock: Clock) -> None:
    locator = Locator(settings(tmp_path), "http://h:1", clock)
    for _ in range(20):
        locator.failed(0.001)
    clock.now += LONGEST - 0.1
    assert locator.address() is None
    clock.now += 0.2
    assert locator.address()


def test_a_slow_server_is_left_alone_for_longer_than_it_took(tmp_path: Path, clock: Clock) -> None:
    locator = Locator(settings(tmp_path), "http://h:1", clock)
    locator.failed(2.0)
    clock.now += 3.9
    assert locator.address() is None


def test_after_an_answer_the_count_begins_again(tmp_path: Path, clock: Clock) -> None:
    locator = Locator(settings(tmp_path), "http://h:1", clock)
    for _ in range(9):
        locator.failed(0.001)
    locator.answered()
    locator.failed(0.001)
    clock.now += 0.11
    assert locator.address()


def test_a_new_owner_ends_the_pause(tmp_path: Path, clock: Clock) -> None:
    locator = Locator(settings(tmp_path, explicit_data_dir=True), clock=clock)
    locator.failed(2.0)
    file = owner(tmp_path, pid=1, port=4714)
    assert locator.address() == parse_url("http://127.0.0.1:4714")
    file.release()


def test_an_owner_that_has_not_yet_written_is_looked_for_again(tmp_path: Path) -> None:
    locator = Locator(settings(tmp_path, explicit_data_dir=True))
    file = PidFile(tmp_path / "mcp.pid")
    file.acquire()
    assert locator.address() is None
    file.write(pid=1, port=4715)
    assert locator.address() == parse_url("http://127.0.0.1:4715")
    file.release()


def test_the_last_servers_trees_are_known(tmp_path: Path) -> None:
    owner(tmp_path, pid=1, port=4716, roots=["/a", "/b"]).release()
    assert Locator(settings(tmp_path)).last_roots() == ("/a", "/b")


@pytest.mark.parametrize("text", ["", "[]", '{"roots":7}', '{"roots":[1]}', "\xff"])
def test_a_damaged_file_tells_no_trees(tmp_path: Path, text: str) -> None:
    (tmp_path / "mcp.pid").write_text(text, "latin-1")
    assert Locator(settings(tmp_path)).last_roots() == ()


def test_an_address_elsewhere_has_not_this_directorys_trees(tmp_path: Path) -> None:
    owner(tmp_path, pid=1, port=4717, roots=["/a"]).release()
    assert Locator(settings(tmp_path), "http://h:1").last_roots() == ()
    assert Locator(settings(tmp_path), "http://127.0.0.1:4717").last_roots() == ("/a",)
    assert Locator(settings(tmp_path, explicit_data_dir=True), "http://h:1").last_roots() == ("/a",)


def test_of_several_the_next_is_asked_and_a_pause_made_when_all_have_failed(
    tmp_path: Path, clock: Clock
) -> None:
    locator = Locator(settings(tmp_path), ["http://a:1", "http://b:2"], clock)
    assert locator.address() == parse_url("http://a:1")
    assert locator.failed(0.0)
    assert locator.address() == parse_url("http://b:2")
    assert not locator.failed(0.0)
    assert locator.address() is None
    clock.now += LONGEST
    assert locator.address() == parse_url("http://a:1")
    locator.answered()
    assert locator.failed(0.0)
