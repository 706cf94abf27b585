"""Is a host's file changed without harm, and is what was there given back?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestr8_index.environment import DEFAULT_PORT
from orchestr8_index.errors import OperationError
from orchestr8_index.hosts.files import FileChange, carry_out, connected, disconnected
from orchestr8_index.hosts.jsonc import read
from orchestr8_index.hosts.known import HOSTS, Host

from .test_jsonc import DOCUMENTS, WITH_COMMENTS, objects

CLAUDE, CODEX, VSCODE = HOSTS["claude"], HOSTS["codex"], HOSTS["vscode"]
URL = "http://127.0.0.1:3700/mcp"


def join(path: Path, host: Host = CLAUDE, url: str = URL) -> FileChange:
    change = connected(host, path, host.over_http(url))
    if change.before != change.after:
        carry_out(change, private=False)
    return change


def leave(path: Path, host: Host = CLAUDE) -> FileChange:
    change = disconnected(host, path)
    if change.before != change.after:
        carry_out(change, private=False)
    return change


@given(document=DOCUMENTS)
def test_any_file_comes_back_byte_for_byte(tmp_path: Path, document: dict[str, Any]) -> None:
    group = document.get("mcpServers")
    if isinstance(group, dict) and "orchestr8" in group:
        return
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps(document), "utf-8")
    before = path.read_bytes()
    assert join(path).what == "added"
    assert leave(path).what == "removed"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@given(text=objects(), end=st.sampled_from(["\n", "\r\n"]))
def test_any_file_with_comments_comes_back_byte_for_byte(
    tmp_path: Path, text: str, end: str
) -> None:
    path = tmp_path / "mcp.json"
    before = text.replace('"g"', '"servers"').replace("\n", end).encode()
    path.write_bytes(before)
    assume(isinstance(read(before.decode()).get("servers", {}), dict))
    join(path, VSCODE)
    assert leave(path, VSCODE).what == "removed"
    assert path.read_bytes() == before


def test_a_trailing_comma_stays_where_something_else_was_changed(tmp_path: Path) -> None:
    """The backup does not fit then, and the comma behind the last server was taken for ours."""
    path = tmp_path / "mcp.json"
    path.write_text(WITH_COMMENTS)
    join(path, VSCODE)
    path.write_text(path.read_text().replace("[1, 2,]", "[1, 3,]"))
    leave(path, VSCODE)
    assert path.read_text() == WITH_COMMENTS.replace("[1, 2,]", "[1, 3,]")


def test_an_entry_that_stands_twice_is_left_and_both_lines_named(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {\n"orchestr8": {},\n"orchestr8": {}\n}}')
    for change in (join, leave):
        with pytest.raises(OperationError, match="left as it is: .* on lines 2 and 3: keep one"):
            change(path)


def test_a_file_with_comments_comes_back_too(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text(WITH_COMMENTS)
    join(path, VSCODE)
    leave(path, VSCODE)
    assert path.read_text() == WITH_COMMENTS


def test_what_the_user_changed_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"a": 1}')
    join(path)
    path.write_text(path.read_text().replace('"a": 1', '"a": 2'))
    leave(path)
    assert json.loads(path.read_text()) == {"a": 2}


OWN = '{"mcpServers": {"orchestr8": {"command": "my-own"}}}'
OWN_TOML = '# mine\n[mcp_servers.orchestr8]\ncommand = "my-own"\n'


@pytest.mark.parametrize(("host", "text"), [(CLAUDE, OWN), (CODEX, OWN_TOML)])
def test_an_entry_of_the_users_that_was_replaced_comes_back(
    host: Host, text: str, tmp_path: Path
) -> None:
    """The file was deleted where it held nothing else."""
    path = tmp_path / ("a.json" if host is CLAUDE else "a.toml")
    path.write_text(text)
    assert join(path, host).what == "updated"
    assert leave(path, host).what == "restored"
    assert (path.read_text(), list(tmp_path.iterdir())) == (text, [path])


def test_an_entry_that_is_not_ours_stays_and_one_that_came_back_does_too(tmp_path: Path) -> None:
    """Taken out twice, or without having been put in, the user's own was gone, with its file."""
    path = tmp_path / "a.json"
    path.write_text(OWN)
    assert leave(path).what == "own"
    join(path)
    assert [leave(path).what, leave(path).what, path.read_text()] == ["restored", "own", OWN]
    path.write_text(OWN.replace('"command": "my-own"', '"url": "http://127.0.0.1:4711/mcp"'))
    assert leave(path).what == "removed"


def test_it_comes_back_into_a_file_that_was_changed_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(OWN)
    join(path)
    path.write_text(path.read_text().replace('{"mcp', '{"more": 1, "mcp'))
    leave(path)
    assert json.loads(path.read_text()) == {"more": 1, **json.loads(OWN)}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("older", "what"),
    [
        (CLAUDE.over_http("http://127.0.0.1:1/p/shop/mcp"), "removed"),
        (CLAUDE.over_http("http://localhost:1/mcp/all"), "removed"),
        (CLAUDE.over_http(f"http://127.0.0.1:{DEFAULT_PORT}/mcp"), "removed"),
        (CLAUDE.over_http("http://127.0.0.1:4711/mcp"), "removed"),
        (CLAUDE.over_http("http://127.0.0.1:9999/mcp"), "restored"),
        (CLAUDE.over_http("http://127.0.0.1/mcp"), "restored"),
        (CLAUDE.over_stdio(["/old/bin/orchestr8-index", "mcp"]), "removed"),
        (CLAUDE.over_stdio(["python", "-m", "orchestr8_index", "mcp"]), "removed"),
    ],
)
def test_an_older_entry_of_ours_does_not_but_that_of_another_local_server(
    older: dict[str, Any], what: str, tmp_path: Path
) -> None:
    """Any server on this machine was taken for ours."""
    path = tmp_path / "a.json"
    path.write_text(before := json.dumps({"mcpServers": {"orchestr8": older}}))
    join(path, url="http://127.0.0.1:4711/mcp/all")
    assert leave(path).what == what
    assert [each.read_text() for each in tmp_path.iterdir()] == [before] * (what == "restored")


@pytest.mark.parametrize(("host", "name"), [(CLAUDE, "a.json"), (CODEX, "a.toml")])
def test_a_file_that_was_not_there_is_not_left(host: Host, name: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / name
    join(path, host)
    assert path.exists()
    leave(path, host)
    assert list(path.parent.iterdir()) == []


def test_twice_is_once(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")
    join(path)
    once = path.read_bytes()
    assert join(path).what == "unchanged"
    assert path.read_bytes() == once
    assert (tmp_path / "mcp.json.orchestr8-backup").read_text() == "{}"


def test_in_the_data_directory_the_pristine_file_is_kept_and_given_back(tmp_path: Path) -> None:
    path, kept = tmp_path / "mcp.json", tmp_path / "data"
    path.write_text('{"a": 1}')
    for url in (URL, "http://127.0.0.1:1/mcp"):  # an update is no pristine file
        carry_out(connected(CLAUDE, path, CLAUDE.over_http(url)), private=False, backups=kept)
    assert [place.read_text() for place in kept.iterdir()] == ['{"a": 1}']
    carry_out(disconnected(CLAUDE, path, kept), private=False, backups=kept)
    assert (path.read_text(), list(kept.iterdir())) == ('{"a": 1}', [])
    assert sorted(place.name for place in tmp_path.iterdir()) == ["data", "mcp.json"]


def test_a_backup_of_an_older_version_still_serves(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"a":1}')
    join(path)
    carry_out(disconnected(CLAUDE, path, tmp_path / "d"), private=False, backups=tmp_path / "d")
    assert (path.read_text(), list(tmp_path.iterdir())) == ('{"a":1}', [path])


def test_a_pristine_file_is_never_written_over(tmp_path: Path) -> None:
    path, kept = tmp_path / "mcp.json", tmp_path / "data"
    for text in ('{"a": 1}', '{"a": 2}'):  # our entry was taken out by hand meanwhile
        path.write_text(text)
        carry_out(connected(CLAUDE, path, CLAUDE.over_http(URL)), private=False, backups=kept)
    assert sorted(place.read_text() for place in kept.iterdir()) == ['{"a": 1}', '{"a": 2}']


@pytest.mark.parametrize("mine", [True, False])
def test_an_empty_folder_that_was_made_goes_again(tmp_path: Path, mine: bool) -> None:
    path, kept = tmp_path / "new/deep/mcp.json", tmp_path / "data"
    if not mine:
        path.parent.mkdir(parents=True)
    carry_out(connected(CLAUDE, path, CLAUDE.over_http(URL)), private=False, backups=kept)
    carry_out(disconnected(CLAUDE, path, kept), private=False, backups=kept)
    assert path.parent.exists() is not mine


@pytest.mark.parametrize("note", ["7", "[" * 99_999, '["/", 5]', None])
def test_no_folder_goes_that_was_not_made_for_the_file(tmp_path: Path, note: str | None) -> None:
    """Whatever became of the note of those that were."""
    path, kept, other = tmp_path / "new/mcp.json", tmp_path / "data", tmp_path / "other"
    other.mkdir()
    carry_out(connected(CLAUDE, path, CLAUDE.over_http(URL)), private=False, backups=kept)
    (made,) = kept.glob("*.made")
    made.write_text(json.dumps([str(other)]) if note is None else note)
    carry_out(disconnected(CLAUDE, path, kept), private=False, backups=kept)
    assert other.exists() and not path.exists()


def test_another_address_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    join(path)
    assert join(path, url="http://127.0.0.1:1/mcp").what == "updated"
    assert json.loads(path.read_text())["mcpServers"]["orchestr8"]["url"].endswith(":1/mcp")


def test_a_link_is_followed_and_the_mode_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles" / "mcp.json", tmp_path / "mcp.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o640)
    link.symlink_to(real)
    join(link)
    assert link.is_symlink()
    assert "orchestr8" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("broken", [b'{"a": 1,\n"b" 2}', b'{"a": 1,\n"\xff": 2}'])
def test_a_broken_file_is_left_and_its_line_named(broken: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(broken)
    for change in (join, leave):
        with pytest.raises(OperationError, match="left as it is: line 2"):
            change(path)
    assert path.read_bytes() == broken
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_its_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="is a directory"):
        join(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OperationError, match="cannot be written"):
        join(tmp_path / "mcp.json")


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OperationError, match="No space left"):
        join(path)
    assert path.read_text() == "{}"
    assert list(tmp_path.iterdir()) == [path]
