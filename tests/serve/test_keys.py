"""Do keys open, and only what they may, until they are revoked?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Door, fixture_root
from orchestr8_index.errors import NotSafe, OperationError
from orchestr8_index.serve import changes, guard, projectlist
from orchestr8_index.serve.audit import Audit
from orchestr8_index.serve.callers import RIGHTS, Principal, Right, caller
from orchestr8_index.serve.events import Event, KeyChanged
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.keys import RELOAD_SECONDS, KeyFile, LoadedKeys, check_keys, new_token
from orchestr8_index.serve.state import State
from orchestr8_index.store import notes, schema
from orchestr8_index.store.database import connect

from ..clocks import Clock
from .asking import BASE, ask, settings_of, state_of

FORGET = {"jsonrpc": "2.0", "id": 1, "method": "forgetDecisions", "params": {"task_id": "x"}}
QUERY = {"jsonrpc": "2.0", "id": 1, "method": "querySkills", "params": {"context": "notes"}}
PATTERN = {"goal": "ship it", "agent_sequence": ["a"]}
STORE = {"jsonrpc": "2.0", "id": 1, "method": "storePattern", "params": PATTERN}


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path)


def asked(state: State, token: str, body: dict[str, Any] = QUERY) -> httpx2.Response:
    return ask(make_web(state), "POST", "/", json=body, headers={"Authorization": token})


# --- the file ----------------------------------------------------------------------------------


def test_a_key_is_kept_as_a_hash_only(keys: KeyFile) -> None:
    token = keys.add("ci", "report")
    assert len(token) > 43 and token not in keys.path.read_text()
    assert [(key.name, key.scope) for key in keys.read()] == [("ci", "report")]


def test_the_file_is_its_owners_alone(keys: KeyFile) -> None:
    keys.add("ci", "read")
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


def test_a_name_is_given_once(keys: KeyFile) -> None:
    keys.add("ci", "read")
    with pytest.raises(OperationError, match="There is a key named ci"):
        keys.add("ci", "admin")


@pytest.mark.parametrize("write", ["", "a b*", "a*b", "*/x", "é"])
def test_a_prefix_of_shared_keys_is_plain(keys: KeyFile, write: str) -> None:
    with pytest.raises(OperationError, match="is no prefix"):
        keys.add("ci", "report", (write,))
    assert keys.read() == []


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", "-x", "x" * 65, "a\n", "é"])
def test_a_name_is_plain(keys: KeyFile, name: str) -> None:
    with pytest.raises(OperationError, match="is no name"):
        keys.add(name, "read")


def test_a_revoked_key_is_gone(keys: KeyFile) -> None:
    keys.add("ci", "read")
    keys.revoke("ci")
    assert keys.read() == []
    with pytest.raises(OperationError, match="There is no key named ci"):
        keys.revoke("ci")


def test_a_key_that_is_revoked_while_the_body_comes_opens_nothing(
    locked: State, keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked up at the head, and a body may take half a minute."""
    token = keys.add("ci", "admin")
    monkeypatch.setattr(guard, "RELOAD_SECONDS", -1)
    body = msgspec.json.encode(QUERY)

    async def slowly(revoked: bool) -> AsyncIterator[bytes]:
        yield body[:10]
        if revoked:
            locked.gate.keys._keys.clear()
        yield body[10:]

    for revoked, status in ((False, 200), (True, 401)):
        headers = {"Authorization": f"Bearer {token}"}
        told = ask(make_web(locked), "POST", "/", content=slowly(revoked), headers=headers)
        assert told.status_code == status


BENT = [
    b"",
    b"{",
    b"[1]",
    b"\xff",
    b'[{"name":"a"}]',
    b'[{"name":"\xff"}]',
    b"[" * 99_999,
    b" " * 10**7,
]


@pytest.mark.parametrize("content", BENT)
def test_a_damaged_file_says_so_and_lets_nobody_in(keys: KeyFile, content: bytes) -> None:
    keys.path.write_bytes(content)
    with pytest.raises(OperationError, match="cannot be read"):
        keys.read()
    assert LoadedKeys(keys.path.parent).caller_of(b"o8_x") is None
    (keys.path.parent / projectlist.NAME).write_bytes(content)
    assert projectlist.read_projects(keys.path.parent) == {}


BENT_SETTINGS = [
    b'{"rate":"9e9","nope":1,"claims":[]}',
    b'{"claims":"\xff"}',
    b'{"a":' + b"[" * 50_000,
]


@pytest.mark.parametrize("content", [*BENT, *BENT_SETTINGS])
def test_bent_settings_change_nothing_and_the_server_begins(
    tmp_path: Path, shipped_index: Index, content: bytes
) -> None:
    state = state_of(settings_of(tmp_path, fixture_root()), shipped_index)
    path = tmp_path / changes.NAME
    path.write_bytes(content)
    path.chmod(0o600)
    changes.ChangedSettings(state).begin()
    assert state.claims.setting == state.settings.claims


def test_what_is_no_file_of_ours_lets_nobody_in(keys: KeyFile, tmp_path: Path) -> None:
    """A link to a file in which another had keys written, or a pipe to wait at."""
    token = keys.add("ci", "admin")
    kept = keys.path.rename(tmp_path / "elsewhere")
    makers: list[Callable[[], None]] = [
        lambda: keys.path.symlink_to(kept),
        lambda: os.mkfifo(keys.path),
    ]
    for make in makers:
        make()
        assert LoadedKeys(tmp_path).caller_of(token.encode()) is None
        keys.path.unlink()


def test_a_running_server_sees_changes_within_a_second(keys: KeyFile) -> None:
    clock = Clock()
    published: list[Event] = []
    known = LoadedKeys(keys.path.parent, published.append, clock)
    assert not known.any
    token = keys.add("ci", "report").encode()
    clock.now += RELOAD_SECONDS
    (key,) = keys.read()
    assert known.caller_of(token) == Principal("ci", "report", ident=key.ident)
    keys.revoke("ci")
    clock.now += RELOAD_SECONDS
    assert known.caller_of(token) is None
    assert published == [KeyChanged("ci", "key added"), KeyChanged("ci", "key revoked")]
    assert RELOAD_SECONDS < 1


# --- at the door -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token", ["", "Bearer", "Bearer ", "Bearer nonsense", "Basic o8_mine", "o8_mine", "Bearer \xff"]
)
def test_without_a_known_key_it_is_401(locked: State, token: str) -> None:
    answer = ask(
        make_web(locked), "POST", "/", headers=[(b"Authorization", token.encode("latin-1"))]
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, -32030)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("POST", "/reindex"),
        ("POST", "/mcp"),
        ("GET", "/x"),
    ],
)
def test_every_route_is_locked(locked: State, method: str, path: str) -> None:
    assert ask(make_web(locked), method, path).status_code == 401


def test_the_sign_of_life_is_not(locked: State) -> None:
    assert ask(make_web(locked), "GET", "/health/live").status_code != 401


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/health/live"])
def test_who_has_no_key_is_told_of_no_project_and_makes_none(
    locked: State, tmp_path: Path, path: str
) -> None:
    """The page needs none, and told which folders there are; 64 of them pushed all others out."""
    (tmp_path / "tree" / ".git").mkdir(parents=True)
    app, known = make_web(locked), dict(locked.projects.known)

    def status(address: str, **headers: str) -> int:
        return ask(app, "GET", address, headers={"accept": "text/html", **headers}).status_code

    folders = [str(tmp_path / "tree"), str(tmp_path / "nowhere"), "no-such-project"]
    assert {status(path, **{"x-project": each}) for each in folders} == {200}
    assert {status(path, **{"x-tree": each}) for each in folders[:2]} == {200}
    assert {status(f"/p/{name}{path}") for name in (locked.name, "no-such-project")} == {200}
    assert locked.projects.known == known


def test_the_users_own_command_line_gets_in(locked: State) -> None:
    assert asked(locked, "Bearer o8_mine").status_code == 200
    assert asked(locked, "bearer   o8_mine").status_code == 200


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize(("body", "needs"), [(QUERY, "read"), (STORE, "report"), (FORGET, "admin")])
def test_a_scope_includes_those_before_it(
    locked: State, right: Right, body: dict[str, Any], needs: Right
) -> None:
    token = KeyFile(locked.settings.data_dir).add("ci", right)
    answer = asked(locked, f"Bearer {token}", body).json()
    may = RIGHTS.index(right) >= RIGHTS.index(needs)
    assert (answer.get("error", {}).get("code") == -32031) is not may


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("method", ["listDecisions", "getLearned", "getDelegations"])
def test_the_tasks_of_others_are_for_who_reports_too(
    locked: State, right: Right, method: str
) -> None:
    token = KeyFile(locked.settings.data_dir).add("ci", right)
    body = {"jsonrpc": "2.0", "id": 1, "method": method}
    answer = asked(locked, f"Bearer {token}", body).json()
    assert (answer.get("error", {}).get("code") == -32031) is (right == "read")


@pytest.mark.parametrize("right", ["read", "report"])
def test_reindex_is_for_admins(locked: State, right: Right) -> None:
    headers = {"Authorization": f"Bearer {KeyFile(locked.settings.data_dir).add('ci', right)}"}
    answer = ask(make_web(locked), "POST", "/reindex", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, -32031)


def test_guessing_ends_in_429(locked: State) -> None:
    app, statuses = make_web(locked), set()
    for number in range(40):
        headers = {"Authorization": f"Bearer guess-{number}"}
        statuses.add(ask(app, "POST", "/", headers=headers).status_code)
    assert statuses == {401, 429}
    assert asked(locked, "Bearer o8_mine").status_code == 200


@pytest.mark.parametrize("peer", ["2001:db8::{0}", "127.0.0.{0}"])
def test_who_has_many_addresses_guesses_as_one(locked: State, peer: str) -> None:
    async def guess() -> set[int]:
        statuses = set()
        for number in range(1, 40):
            transport = httpx2.ASGITransport(make_web(locked), client=(peer.format(number), 1))
            async with httpx2.AsyncClient(transport=transport, base_url=BASE) as asking:
                headers = {"Authorization": f"Bearer guess-{number}"}
                statuses.add((await asking.post("/", headers=headers)).status_code)
        return statuses

    assert asyncio.run(guess()) == {401, 429}


def test_on_loopback_keys_are_optional_but_a_wrong_one_is_not(state: State) -> None:
    assert asked(state, "Bearer whatever").status_code == 200
    KeyFile(state.settings.data_dir.parent).path.parent.mkdir(exist_ok=True)
    state.settings.data_dir.mkdir(exist_ok=True)
    token = KeyFile(state.settings.data_dir).add("ci", "read")
    fresh = state_of(state.settings, state.refresh.index)
    assert asked(fresh, "Bearer whatever").status_code == 401
    assert asked(fresh, f"Bearer {token}").status_code == 200
    assert ask(make_web(fresh), "POST", "/", json=FORGET).json()["error"]["code"] == -32002


@pytest.mark.parametrize("door", [Door(host="0.0.0.0"), Door(require_keys=True)])
def test_without_a_key_it_does_not_start(tmp_path: Path, door: Door) -> None:
    settings = settings_of(tmp_path, tmp_path, door=door)
    with pytest.raises(NotSafe) as refused:
        check_keys(settings)
    assert f"--data-dir {tmp_path}" in refused.value.cure and refused.value.exit_status == 1
    KeyFile(tmp_path).add("ci", "read")
    check_keys(settings)


def test_settings_do_not_show_their_keys(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, api_key="o8_secret", local_key="o8_mine")
    assert "o8_" not in repr(settings) and "o8_" not in str(settings)


# --- the audit ---------------------------------------------------------------------------------


def test_what_a_key_may_not_do_is_noted_with_its_name(locked: State, keys: KeyFile) -> None:
    token = keys.add("ci", "report")
    told = ask(make_web(locked), "POST", "/reindex", headers={"Authorization": f"Bearer {token}"})
    assert told.status_code == 403
    assert [row[1:4] for row in locked.gate.audit.take()] == [
        ("ci", "POST /reindex", "403 Forbidden")
    ]


def test_a_key_that_nobody_used_yet_is_noted_too(locked: State, keys: KeyFile) -> None:
    locked.gate.keys.reload()
    keys.add("ci", "read")
    locked.gate.keys._reload_after = 0.0
    locked.gate.keys.reload()
    assert [row[1:3] for row in locked.gate.audit.take()] == [("ci", "key added")]


def test_who_did_what_is_noted_without_contents(locked: State) -> None:
    token = KeyFile(locked.settings.data_dir).add("ci", "read")
    asked(locked, f"Bearer {token}", QUERY)
    asked(locked, f"Bearer {token}", FORGET)
    asked(locked, "Bearer nonsense", QUERY)
    events = [row[1:4] for row in locked.gate.audit.take()]
    assert events[:2] == [("ci", "querySkills", "ok"), ("ci", "forgetDecisions", "-32031")]
    assert events[2][1:] == ("request", "401 Unauthorized")
    assert b"notes" not in msgspec.json.encode(events)


def test_an_open_server_notes_what_changes_and_what_is_refused(state: State) -> None:
    app = make_web(state)
    ask(app, "POST", "/", json=QUERY)
    ask(app, "POST", "/", json=STORE)
    ask(app, "GET", "/health", headers={"Host": "evil"})
    told = [row[2:4] for row in state.gate.audit.take()]
    assert told == [("storePattern", "-32002"), ("request", "421 Misdirected")]


def test_the_same_event_is_counted_and_events_are_bounded() -> None:
    audit = Audit(reads=True)
    for number in range(5000):
        audit.note("a", "request", "401")
        audit.note(f"peer-{number}", "request", "401")
    rows = audit.take()
    assert rows[0][4] == 5000 and len(rows) <= 501
    assert audit.take() == []


def test_a_key_that_stands_in_the_place_of_a_name_is_not_written_down() -> None:
    audit, key = Audit(reads=True), new_token()
    audit.note(key, "querySkills", "ok")
    assert [row[1] for row in audit.take()] == ["[redacted]"]


@pytest.mark.parametrize(("keyed", "who"), [(False, "127.0.0.1/coder"), (True, "127.0.0.1")])
def test_an_agent_without_a_key_stands_beside_its_address(keyed: bool, who: str) -> None:
    audit = Audit(reads=False)
    token = caller.set(Principal("127.0.0.1", agent="coder", keyed=keyed))
    audit.done("writeShared", "-32040", is_read=False)
    caller.reset(token)
    assert [row[1] for row in audit.take()] == [who]


@pytest.mark.parametrize(
    "hostile", ["'); DROP TABLE audit; --", '" OR 1=1 --', "%s ?1 :x", "a\x00b"]
)
def test_names_do_not_reach_the_sql(tmp_path: Path, hostile: str) -> None:
    with contextlib.closing(connect(tmp_path / "mcp.db")) as connection:
        schema.migrate(connection)
        rows = [("2025-01-01", hostile, hostile, hostile, 1)]
        notes.write_audit(connection, rows)
        assert notes.read_audit(connection, 10) == rows


@pytest.mark.parametrize(
    ("who", "label"),
    [
        (Principal(agent="Server"), "agent-Server"),
        (Principal("server", keyed=True), "agent-server"),
        (Principal("server", keyed=True, agent="a"), "server/a"),
        (Principal(agent="ada"), "ada"),
        (Principal(), "local"),
    ],
)
def test_nobody_speaks_as_the_server(who: Principal, label: str) -> None:
    assert who.label == label
