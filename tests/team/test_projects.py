"""What is one project over several machines, and what does a key of one see of the others?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import nats
import pytest
import redis.asyncio as redis
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestr8_index.config import Door, Settings
from orchestr8_index.methods import METHODS
from orchestr8_index.project import NamedProject, digest_of_roots
from orchestr8_index.serve.keys import KeyFile
from orchestr8_index.serve.state import State
from orchestr8_index.team import project as naming

from ..coordinate.worlds import until
from ..drawn import COSTLY
from ..serve.test_projects import Asking, serving, settings_in
from ..trees import agent, write_tree
from .engines import Nats, Postgres, Redis, running
from .worlds import eventually

SECRET = "zyxwvut"  # in whatever the other project has, its name among them
DRAWN: dict[str, list[Any]] = {
    "action": ["acquire", "list", "release", "create", "join", "get", "read", "set", "leave"],
    "resources": [["port:1"], ["*"], []],
    "resource": ["port:1", "*"],
    "keys": [["task/1/state"], ["*"]],
    "prefix": ["", "t", "server/", "@"],
    "pattern": ["*", "task/*"],
    "to": [["*"], ["all"], ["ann"], ["role:x"], ["queue:jobs"], ["session:s1"]],
    "queue": ["jobs"],
    "session": ["s1"],
    "id": ["s1", "1"],
    "projects": [[SECRET], ["red"], []],
    "ops": [[{"key": "task/1/state", "value": {"by": "red"}}]],
    "items": [[], [{"key": "task/1/state", "value": 1}]],
    "agents_used": [["painter"]],
    "agent_sequence": [["painter", "fixer"]],
    "result": ["success", "failure"],
    "kind": ["agent", "skill", "workflow"],
    "plugin": [".claude", "agents"],
    "name": ["painter", "fixer"],
    "span": ["hour", "day"],
    "query": ["zebras", "paint"],
    "history": [True],
    "peek": [True],
    "in_all": [True],
    "explain": [True],
    "detail": ["full"],
    "receipt": ["full"],
    "after": [0, ""],
    "before": [1 << 40],
    "changed_after": [0],
    "wait_ms": [0],
    "limit": [1, 20, 100],
    "max_tokens": [100, 2000],
    "days": [30],
    "task_id": ["t1"],
}
WORDS = ["paint zebras", "zebras", "s1", "*", "t1"]
PATHS = ["/health", "/health/ready", "/metrics", "/metrics?format=prometheus", "/nowhere"]
RESOURCES = ["locks://", "inbox://me", "shared://task/1/state", "session://s1", "tasks://1/state"]
RESOURCES += ["orchestr8://index", "orchestr8://patterns", "context://session/s1", "memory://t"]
FACES = ["/mcp", "/mcp/coordinate", "/mcp/all", "/mcp/cache", "/mcp/context", "/mcp/gateway?all"]
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Sent(NamedTuple):
    verb: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}


def calls(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """The method with fields that it has; half of them as in its example."""
    method = METHODS[name]
    shown = json.loads(method.example.params) if method.example else {}
    fields = method.params.__struct_fields__
    drawn = st.fixed_dictionaries(
        {}, optional={each: st.sampled_from(DRAWN.get(each, WORDS)) for each in fields}
    )
    given = drawn | drawn.map(lambda more: {**shown, **more, **more_of(shown)})
    return given.map(lambda of: {"jsonrpc": "2.0", "id": 1, "method": name, "params": of})


def more_of(shown: dict[str, Any]) -> dict[str, Any]:
    """So that no example waits for anybody."""
    return {"wait_ms": 0} if "wait_ms" in shown else {}


def in_mcp(method: str, **params: Any) -> Any:
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        **({"mcp-name": params["uri"]} if "uri" in params else {}),
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return body, headers


LISTS = ["tools/list", "resources/list", "resources/templates/list", "prompts/list", "skills/list"]
MCP = st.sampled_from(LISTS).map(in_mcp) | st.sampled_from(RESOURCES).map(
    lambda uri: in_mcp("resources/read", uri=uri)
)
REQUESTS: list[st.SearchStrategy[Sent]] = [
    *(calls(name).map(lambda call: Sent("POST", "/", call)) for name in sorted(METHODS)),
    *(st.just(Sent("GET", path)) for path in PATHS),
    *(MCP.map(lambda sent, face=face: Sent("POST", face, *sent)) for face in FACES),  # type: ignore[misc]
    st.lists(st.sampled_from(sorted(METHODS)).flatmap(calls), min_size=1, max_size=3).map(
        lambda batch: Sent("POST", "/", batch)
    ),
    st.just(Sent("POST", "/reindex")),
]


class House:
    """A server whose own project is the secret one, which has something of everything; `red` is a
    key, of an admin, for the other one. Runs in a loop of its own."""

    def __init__(self, settings: Settings, home: Path) -> None:
        self.settings, self.home = settings, home
        self.secret_key = digest_of_roots([str(home / SECRET)])
        self.runner = asyncio.Runner()
        self.stack = contextlib.AsyncExitStack()
        self.runner.run(self._start())

    async def _start(self) -> None:
        keys = KeyFile(self.settings.data_dir)
        red = {"red": digest_of_roots([str(self.home / "red")])}
        keys.add("all", "admin")
        own = serving(self.settings, keys.add("other", "admin"))
        self.asking, self.state = await self.stack.enter_async_context(own)
        self.red = keys.add("red", "admin", projects=red)
        self.state.projects.of_folder(str(self.home / "red"))
        await self.state.projects.save()
        await self._fill()

    async def _fill(self) -> None:
        task = {"task_id": f"t-{SECRET}", "task_description": f"paint zebras {SECRET}"}
        used = {"agents_used": [f"{SECRET}-painter"], "result": "success"}
        for call, params in (
            ("writeShared", {"ops": [{"key": f"task/1/{SECRET}", "value": SECRET}]}),
            ("writeShared", {"ops": [{"key": "task/1/state", "value": {"by": SECRET}}]}),
            ("lockResources", {"action": "acquire", "resources": ["port:1", f"port:{SECRET}"]}),
            ("session", {"action": "create", "id": "s1", "purpose": SECRET}),
            ("sendMessage", {"to": ["session:s1"], "body": f"zebras {SECRET}", "session": "s1"}),
            ("sendMessage", {"to": ["all"], "body": SECRET}),
            ("sendMessage", {"to": ["queue:jobs"], "body": SECRET}),
            ("cacheDecision", {**task, **used}),
            ("cacheDecision", {**task, **used, "task_id": f"u-{SECRET}"}),
            ("storePattern", {"goal": f"paint zebras {SECRET}", "agent_sequence": ["a", SECRET]}),
            ("queryAgents", {"context": "paint zebras"}),
            ("querySkills", {"context": f"zebras {SECRET}"}),
        ):
            body = {"jsonrpc": "2.0", "id": 1, "method": call, "params": params}
            told = await self.asking.post("/", json=body, headers={"x-agent": SECRET})
            assert "result" in told.json(), told.text

    async def write(self, value: Any, key: str = "") -> None:
        """By the admin of all, or that key; to its project."""
        op = {"key": "task/1/state", "value": value}
        body = {"jsonrpc": "2.0", "id": 1, "method": "writeShared", "params": {"ops": [op]}}
        headers = {"authorization": f"Bearer {key}"} if key else {}
        assert (await self.asking.post("/", json=body, headers=headers)).status_code == 200

    def ask(self, sent: Sent, **headers: str) -> Any:
        return self.runner.run(self.send(sent, **headers))

    async def send(self, sent: Sent, **headers: str) -> Any:
        given = {"authorization": f"Bearer {self.red}", **sent.headers, **headers}
        return await self.asking.request(sent.verb, sent.path, json=sent.body, headers=given)

    def close(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def engines(quick_postgres: Postgres) -> Iterator[dict[str, str]]:
    name = f"o8_{secrets.token_hex(6)}"
    quick_postgres.run(f"CREATE DATABASE {name}", "postgres")
    database = quick_postgres.url.removesuffix("o8") + name
    with running(Redis) as redis_engine, running(Nats) as nats_engine:
        urls = {"redis_url": redis_engine.url, "nats_url": nats_engine.url}
        yield {"database_url": database, **urls}


@pytest.fixture(scope="module", params=["sqlite", "team"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, engines: Any
) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house").resolve()
    painter = agent(f"{SECRET}-painter", f"Paints zebras {SECRET}.")
    files = {f"{SECRET}/.git/HEAD": "", f"{SECRET}/.claude/agents/p.md": painter}
    files |= {"red/.git/HEAD": "", "red/.claude/agents/a.md": agent("painter", "Paints zebras.")}
    settings = settings_in(write_tree(home, files), SECRET, door=Door(require_keys=True))
    made = House(replace(settings, **(engines if request.param == "team" else {})), home)
    yield made
    made.close()


@hypothesis.settings(COSTLY, phases=[hypothesis.Phase.generate])  # the failure names the request
@hypothesis.given(st.data())
def test_a_project_sees_nothing_of_another(house: House, data: st.DataObject) -> None:
    """Whatever a key of one project asks, at whatever address: nothing that the other has, or is
    called, is in an answer, an error, a header or a metric."""
    names = ["", "red", SECRET, house.secret_key, str(house.home / SECRET), "roots:/", "nobody"]
    for sent in map(data.draw, REQUESTS):
        header, address = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
        address = "" if "/" in address else address
        path = f"/p/{address}{sent.path}" if address else sent.path
        told = house.ask(sent._replace(path=path), **({"x-project": header} if header else {}))
        assert SECRET not in told.text and SECRET not in str(told.headers), sent
        assert house.secret_key not in told.text
        if (address or header) not in ("", "red"):
            assert told.status_code == 404


@pytest.mark.parametrize(
    ("named", "status"), [("", 200), ("red", 200), (SECRET, 404), ("nobody", 404)]
)
def test_a_stream_of_one_project_hears_nothing_of_another(
    house: House, named: str, status: int
) -> None:
    async def work() -> None:
        headers = {"authorization": f"Bearer {house.red}", "x-project": named}
        async with listened(house.state, headers) as (heard, codes):
            await until(lambda: bool(codes))
            assert codes == [status]
            await house.write(SECRET)
            await house.write("of red", house.red)
            if status == 200:
                await until(lambda: b"of red" in b"".join(heard))
            assert SECRET.encode() not in b"".join(heard)

    house.runner.run(work())


@contextlib.asynccontextmanager
async def listened(
    state: State, headers: dict[str, str]
) -> AsyncIterator[tuple[list[bytes], list[int]]]:
    """GET /events while it lasts: what was sent, and the status."""
    from orchestr8_index.serve.http import make_web

    heard: list[bytes] = []
    codes: list[int] = []
    left = asyncio.Event()

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            codes.append(message["status"])
        heard.append(message.get("body", b""))

    named = {"host": "127.0.0.1", **{name: text for name, text in headers.items() if text}}
    scope = {"type": "http", "method": "GET", "path": "/events", "query_string": b"after=0"}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in named.items()]
    task = asyncio.create_task(make_web(state)(scope, receive, send))
    try:
        yield heard, codes
    finally:
        left.set()
        await task


def test_channels_and_keys_of_redis_and_subjects_of_nats_are_a_projects_own(
    house: House, engines: dict[str, str]
) -> None:
    """The first project is the default one, without a prefix; what begins with red's is red's."""
    if not house.settings.database_url:
        pytest.skip("the engines are told of the team's alone here")
    red = digest_of_roots([str(house.home / "red")])

    async def work() -> None:
        async with (
            redis.Redis.from_url(engines["redis_url"], decode_responses=True) as client,
            client.pubsub() as heard,
        ):
            await heard.psubscribe("*")
            hub = await nats.connect(engines["nats_url"])
            subject = await hub.subscribe(f"o8.{red}.>")
            await house.write({"by": SECRET})
            await house.write({"by": "of red"}, house.red)
            await eventually(lambda: client.hget(f"{red}:task:1:state", "by"), "of red")
            await eventually(lambda: client.hget("task:1:state", "by"), SECRET)
            assert SECRET not in (await subject.next_msg(10)).data.decode()
            await hub.close()
            async for name in client.scan_iter(f"{red}:*"):
                whole = await (client.hgetall(name) if "state" in name else client.type(name))
                assert SECRET not in str(whole)
            told: dict[bool, str] = {}
            async with asyncio.timeout(20):
                while len(told) < 2:  # one of each project; what was before it began is told nobody
                    await house.write({"by": SECRET})
                    await house.write({"by": "of red"}, house.red)
                    while said := await heard.get_message(True, 0.2):
                        told[said["channel"].startswith(f"{red}:")] = str(said["data"])
            assert SECRET in told[False] and "of red" in told[True] and SECRET not in told[True]

    house.runner.run(work())


def test_what_is_about_the_whole_server_is_for_keys_of_all_projects(house: House) -> None:
    def told(method: str, **params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return house.ask(Sent("POST", "/", body)).json()

    for method in ("readAudit", "getUsage", "listServers"):
        assert told(method)["error"]["code"] == -32031
    rate = {"key": "server/settings/rate", "value": 1}
    assert told("writeShared", ops=[rate])["error"]["code"] == -32031
    assert told("restoreShared", items=[])["error"]["code"] == -32031
    assert told("learnFrom", projects=[SECRET])["error"]["code"] == -32034
    assert [each["name"] for each in told("listProjects")["result"]["projects"]] == ["red"]


# --- one project over machines -----------------------------------------------------------------


def clone(folder: Path, commits: bool = False) -> str:
    folder.mkdir(parents=True)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    if commits:
        commit = ("commit", "-q", "--allow-empty", "-m", str(folder))
        subprocess.run([*git, *commit], cwd=folder, check=True)
    return str(folder)


def test_a_name_joins_what_no_commit_does(tmp_path: Path) -> None:
    """Two folders of two machines, one without a commit; a part of it learns for itself."""
    a, b = clone(tmp_path / "a/shop", commits=True), clone(tmp_path / "b/market")
    (tmp_path / "b/market/web/.claude").mkdir(parents=True)

    def named(folder: str, *places: str) -> tuple[str, str]:
        names = (NamedProject("shop", tuple((each, each) for each in places)),) if places else ()
        home = tmp_path / "home"
        plain = settings_in_folder(folder, home)
        found = project_again(plain, names)
        return naming.team_project(found), naming.learning_project(found)

    assert named(a)[0] == naming.first_commit(a) and named(b)[0] != named(a)[0]
    assert named(a, a) == named(b, b) == ("shop", "shop")
    assert named(f"{b}/web", b) == ("shop", "shop:web")


def settings_in_folder(folder: str, home: Path) -> Settings:
    from orchestr8_index.config import read_settings

    return read_settings(cwd=Path(folder), home=home, environ={}, data_dir=str(home / "data"))


def project_again(settings: Settings, names: tuple[NamedProject, ...]) -> Settings:
    from orchestr8_index.project import project_of

    assert settings.project
    found = project_of(settings.project.tree, settings.home, (), names)
    return replace(settings, project=found, names=names)


def test_git_is_asked_beside_the_event_loop(
    quick_postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    run = subprocess.run

    def noted(*given: Any, **more: Any) -> Any:
        asked.extend([threading.get_ident()] if "rev-list" in given[0] else [])
        return run(*given, **more)

    home = write_tree(tmp_path.resolve() / "home", {"own/.claude/agents/a.md": agent("a", "Does.")})
    folders = [clone(home / name, commits=True) for name in ("red", "blue")]
    name = f"o8_{secrets.token_hex(6)}"
    quick_postgres.run(f"CREATE DATABASE {name}", "postgres")
    url = quick_postgres.url.removesuffix("o8") + name
    settings = replace(settings_in(home, "red"), database_url=url)

    async def work() -> list[Any]:
        async with serving(settings, "none") as (asking, state):
            monkeypatch.setattr(subprocess, "run", noted)
            found = []
            for folder in folders:
                lock = {"action": "acquire", "resources": ["port:1"]}
                found.append(await rpc(asking, "lockResources", lock, folder))
                report = {"task_id": "t", "task_description": "do it", "agents_used": ["a"]}
                await rpc(asking, "cacheDecision", {**report, "result": "success"}, folder)
            assert state.shared
            return found

    first, second = asyncio.run(work())
    assert first["token"] and second["token"]  # of two projects
    assert asked and threading.get_ident() not in asked


async def rpc(asking: Asking, method: str, params: Any, folder: str) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    told = (await asking.post("/", json=body, headers={"x-tree": folder})).json()
    return told["result"]
