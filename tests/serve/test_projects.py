"""Several projects in one server: who is meant, and what each of them sees."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2 as httpx
import hypothesis
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.app import make_state
from orchestr8_index.catalog.generations import Refresh
from orchestr8_index.config import Door, Settings, read_settings
from orchestr8_index.project import NAMES, NamedProject
from orchestr8_index.roots import SHIPPED
from orchestr8_index.serve import projects as rooms
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.keys import KeyFile
from orchestr8_index.serve.state import State
from orchestr8_index.serve.stores import ServerStore

from ..trees import agent, write_tree
from .asking import Here, client, limits_of, living

T = TypeVar("T")
Asking = httpx.AsyncClient
Work = Callable[[Asking, State], Awaitable[T]]
FILES = {
    ".claude/agents/own-helper.md": agent("own-helper", "Helps the user with zebras."),
    "red/.git/HEAD": "",
    "red/.claude/agents/red-painter.md": agent("red-painter", "Paints zebras red."),
    "blue/.git/HEAD": "",
    "blue/.claude/agents/blue-painter.md": agent("blue-painter", "Paints zebras blue."),
    "bare/.git/HEAD": "",
    "plain/.git/HEAD": "",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write_tree(tmp_path.resolve() / "home", FILES)


def settings_in(home: Path, folder: str, *roots: str, door: Door | None = None) -> Settings:
    found = read_settings(
        roots, 0, str(home / "data"), environ={"MCP_WATCH": "false"}, cwd=home / folder, home=home
    )
    fields = {name: getattr(found, name) for name in found.__struct_fields__}
    return Settings(**{**fields, "limits": limits_of(), "door": door or Door()})


@contextlib.asynccontextmanager
async def serving(settings: Settings, key: str) -> AsyncIterator[tuple[Asking, State]]:
    state = make_state(settings, Refresh(settings, Here(settings)), ServerStore(settings))
    app = make_web(state)
    async with living(app), client(app) as asking:
        asking.headers["authorization"] = f"Bearer {key}"
        while (await asking.get("/health")).json()["status"] == "starting":
            await asyncio.sleep(0.005)
        yield asking, state


def serve(settings: Settings, work: Work[T], key: str = "none") -> T:
    async def run() -> T:
        async with serving(settings, key) as (asking, state):
            return await work(asking, state)

    return asyncio.run(run())


async def post(asking: Asking, text: str = "paint zebras", path: str = "/", **named: str) -> Any:
    headers = {f"x-{name}": quote(value) for name, value in named.items()}
    body = {"jsonrpc": "2.0", "id": 1, "method": "queryAgents", "params": {"context": text}}
    return (await asking.post(path, json=body, headers=headers)).json()


async def names(asking: Asking, path: str = "/", **named: str) -> set[str]:
    told = await post(asking, path=path, **named)
    return {row["name"] for row in told["result"]["agents"]}


RED, BLUE, OWN = "red-painter", "blue-painter", "own-helper"


def test_a_request_is_answered_for_the_folder_that_it_comes_from(home: Path) -> None:
    async def work(asking: Asking, state: State) -> None:
        assert await names(asking) == {RED, OWN}
        assert await names(asking, tree=str(home / "blue/src")) == {BLUE, OWN}
        assert await names(asking, project=str(home / "blue")) == {BLUE, OWN}
        assert await names(asking, project="blue") == await names(asking, "/p/blue") == {BLUE, OWN}
        assert await names(asking, tree=str(home)) == {OWN}
        assert await names(asking) == {RED, OWN}

    serve(settings_in(home, "red"), work)


def test_roots_that_were_named_are_one_project_wherever_somebody_works(home: Path) -> None:
    async def work(asking: Asking, state: State) -> None:
        assert await names(asking, tree=str(home / "blue")) == {RED}
        assert await names(asking, project=str(home / "blue")) == {BLUE, OWN}
        assert await names(asking, "/p/red") == {RED}

    serve(settings_in(home, "red", ".claude"), work)


def test_a_host_that_is_installed_later_is_heard_by_who_names_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write_tree(tmp_path.resolve() / "home", {"bare/.git/HEAD": ""})
    monkeypatch.setattr(rooms, "FOLDER_SECONDS", 0.0)

    async def work(asking: Asking, state: State) -> None:
        assert state.settings.roots_from == SHIPPED
        write_tree(home, FILES)
        while await names(asking) != {"own-helper"}:  # until it can answer, the old ones do
            await asyncio.sleep(0.005)
        shutil.rmtree(home / ".claude")
        assert await names(asking) == {"own-helper"}  # which the next build takes out

    serve(settings_in(home, "bare"), work)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:3700"},
        {"sec-fetch-site": "same-origin"},
        {"x-forwarded-for": "203.0.113.9"},
    ],
)
def test_a_folder_is_not_believed_of_a_page_or_of_what_a_proxy_passes_on(
    home: Path, headers: dict[str, str]
) -> None:
    async def work(asking: Asking, state: State) -> None:
        asking.headers.update(headers)
        told = await post(asking, project=str(home / "blue"))
        assert told["error"]["code"] in (-32034, -32600) and str(home) not in str(told)
        assert len(state.projects.known) == 1

    serve(settings_in(home, "red"), work)


def test_a_key_names_the_projects_that_there_are(home: Path) -> None:
    settings = settings_in(home, "red", door=Door(require_keys=True))
    key = KeyFile(settings.data_dir).add("team", "admin")

    async def work(asking: Asking, state: State) -> None:
        assert (await post(asking, project=str(home / "blue")))["error"]["code"] == -32034
        state.projects.of_folder(str(home / "blue"))
        assert await names(asking, project="blue") == {BLUE, OWN}
        assert await names(asking, tree=str(home / "plain")) == {RED, OWN}

    serve(settings, work, key)


def test_what_is_below_a_projects_address_has_the_same_guard(home: Path) -> None:
    async def work(asking: Asking, state: State) -> None:
        foreign = {"host": "evil.example"}
        assert (await asking.post("/p/red/reindex", headers=foreign)).status_code == 421
        assert (await asking.post("/p/red/reindex")).json()["success"]
        assert (await asking.get("/p/nobody/metrics")).status_code == 404
        assert (await asking.get("/p/red/health")).json()["project"] == "red"

    serve(settings_in(home, "red"), work)


def test_projects_without_entries_of_their_own_share_one_index(home: Path) -> None:
    async def work(asking: Asking, state: State) -> None:
        bare, plain = (state.projects.of_folder(str(home / name)) for name in ("bare", "plain"))
        assert await names(asking, project="bare") == await names(asking, project="plain") == {OWN}
        assert bare.refresh is plain.refresh and bare.index is not plain.index
        assert bare.settings.project_key != plain.settings.project_key

    serve(settings_in(home, "red"), work)


def held_back(
    state: State, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[State, asyncio.Event]:
    """A project whose index does not serve before the event is set."""
    held, event = state.projects.of_folder(str(folder)), asyncio.Event()
    monkeypatch.setattr(held.refresh, "prepare", lambda index: event.wait())
    return held, event


def test_the_shared_part_answers_while_the_rest_is_built(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(asking: Asking, state: State) -> None:
        await names(asking, tree=str(home))
        monkeypatch.setattr(rooms, "PATIENCE", 0.05)
        blue, wait = held_back(state, home / "blue", monkeypatch)
        told = (await post(asking, project="blue"))["result"]
        assert told["partial"] and {row["name"] for row in told["agents"]} == {OWN}
        assert "still being read" in told["reasoning"]
        wait.set()
        while (told := (await post(asking, project="blue"))["result"]).get("partial"):
            await asyncio.sleep(0.005)
        assert {row["name"] for row in told["agents"]} == {BLUE, OWN}

    serve(settings_in(home, "red"), work)


def test_an_index_that_comes_after_the_first_answer_is_in_the_list(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(asking: Asking, state: State) -> None:
        await names(asking, tree=str(home))
        monkeypatch.setattr(rooms, "PATIENCE", 0.05)
        blue, wait = held_back(state, home / "blue", monkeypatch)
        await names(asking, project="blue")
        wait.set()
        while blue.refresh.index is None:
            await asyncio.sleep(0.005)
        await state.projects.sleep_idle()
        listed = msgspec.json.decode((home / "data" / "projects.json").read_bytes())
        (row,) = [row for row in listed if row["name"] == "blue"]
        assert row["entries"]["agents"] == 2

    serve(settings_in(home, "red"), work)


def test_a_first_question_waits_while_nothing_at_all_can_answer_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(asking: Asking, state: State) -> None:
        monkeypatch.setattr(rooms, "PATIENCE", 0.0)
        assert await names(asking, tree=str(home / "blue")) in ({OWN}, {BLUE, OWN})

    serve(settings_in(home, "red"), work)


def test_a_lock_waits_for_no_index(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build of a project's first index may take longer than a client waits for a lock."""

    async def work(asking: Asking, state: State) -> None:
        monkeypatch.setattr(rooms, "PATIENCE", 60.0)
        blue, wait = held_back(state, home / "blue", monkeypatch)
        question = asyncio.create_task(names(asking, project="blue"))
        call = {"jsonrpc": "2.0", "id": 1, "method": "lockResources"}
        params = {"action": "acquire", "resources": ["port:1"]}
        headers = {"x-project": "blue"}
        async with asyncio.timeout(20):
            got = await asking.post("/", json={**call, "params": params}, headers=headers)
        assert got.json()["result"]["token"] and not question.done()
        wait.set()
        assert await question == {BLUE, OWN}

    serve(settings_in(home, "red"), work)


def test_who_was_not_asked_for_an_hour_sleeps_and_wakes(home: Path) -> None:
    async def work(asking: Asking, state: State) -> None:
        await names(asking, project=str(home / "blue"))
        blue = state.projects.of_folder(str(home / "blue"))
        blue.asked -= rooms.ASLEEP_AFTER + 1
        await state.projects.sleep_idle()
        assert blue.refresh.index is None and state.projects.awake() == [state]
        assert await names(asking, project="blue") == {BLUE, OWN}

    serve(settings_in(home, "red"), work)


def test_the_list_outlives_the_server(home: Path) -> None:
    async def meet(asking: Asking, state: State) -> None:
        await names(asking, project=str(home / "blue"))

    async def again(asking: Asking, state: State) -> None:
        assert await names(asking, project="blue") == {BLUE, OWN}
        blue = state.projects.of_folder(str(home / "blue"))
        assert blue.settings.project_key in state.projects.known

    serve(settings_in(home, "red"), meet)
    serve(settings_in(home, "red"), again)


def test_the_one_not_asked_for_longest_makes_way(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MOST", 2)

    async def work(asking: Asking, state: State) -> None:
        await names(asking, project=str(home / "blue"))
        await names(asking, project=str(home / "bare"))
        assert {known.name for known in state.projects.known.values()} == {"red", "bare"}
        assert (await post(asking, project="blue"))["error"]["code"] == -32034
        assert await names(asking, project=str(home / "blue")) == {BLUE, OWN}

    serve(settings_in(home, "red"), work)


# --- what is learnt ----------------------------------------------------------------------------

TEXT = "paint zebras for the annual exhibition"
HELP = "help the user with the annual exhibition"


async def report(asking: Asking, task: str, agent: str, **named: str) -> Any:
    params = {"task_id": task, "task_description": TEXT, "agents_used": [agent, OWN]}
    return await rpc(asking, "cacheDecision", {**params, "result": "success"}, **named)


async def rpc(asking: Asking, method: str, params: Any, path: str = "/", **named: str) -> Any:
    headers = {f"x-{name}": quote(value) for name, value in named.items()}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return (await asking.post(path, json=body, headers=headers)).json()["result"]


async def learnt(asking: Asking, **named: str) -> list[tuple[Any, Any]]:
    """The patterns that a project knows: (id, agents)."""
    found = await rpc(asking, "queryPattern", {"goal": TEXT}, **named)
    return [(each["pattern"]["id"], each["pattern"]["agent_sequence"]) for each in found]


def test_what_is_learnt_stays_apart(home: Path) -> None:
    async def work(asking: Asking, state: State) -> None:
        blue = {"project": str(home / "blue")}
        for task in ("t1", "t2"):  # a task's id is a project's own
            assert (await report(asking, task, RED))["receipt"]["duplicate"] is False
            assert (await report(asking, task, BLUE, **blue))["receipt"]["duplicate"] is False
        assert await learnt(asking) == [(1, [f".claude:{RED}", f"agents:{OWN}"])]
        assert await learnt(asking, **blue) == [(1, [f".claude:{BLUE}", f"agents:{OWN}"])]
        assert await learnt(asking, project=str(home / "bare")) == []
        assert await rpc(asking, "forgetDecisions", {"task_id": "t1"}, **blue) == {"forgotten": 1}
        assert (await report(asking, "t1", RED))["receipt"]["duplicate"] is True

    serve(settings_in(home, "red"), work)


def test_what_was_learnt_outlives_sleep_and_server(home: Path) -> None:
    async def learn(asking: Asking, state: State) -> None:
        for task in ("t1", "t2"):
            await report(asking, task, BLUE, project=str(home / "blue"))
        blue = state.projects.of_folder(str(home / "blue"))
        blue.asked -= rooms.ASLEEP_AFTER + 1
        await state.projects.sleep_idle()
        assert blue.store and blue.store.ready is None
        assert len(await learnt(asking, project="blue")) == 1

    async def again(asking: Asking, state: State) -> None:
        assert await learnt(asking) == []
        assert len(await learnt(asking, project="blue")) == 1

    serve(settings_in(home, "red"), learn)
    serve(settings_in(home, "red"), again)


def test_who_learns_from_another_is_offered_its_past_after_its_own_by_name(home: Path) -> None:
    async def work(asking: Asking, state: State) -> None:
        blue, bare = {"project": str(home / "blue")}, {"project": str(home / "bare")}
        for task in ("t1", "t2"):
            await report(asking, task, OWN, **blue)
        assert await learnt(asking) == [] and "blue" not in str(await post(asking, HELP))
        told = await rpc(asking, "learnFrom", {"projects": ["blue"]})
        assert {"name": "red", "entries": 2, "learns_from": ["blue"]} in told["projects"]
        lent = await rpc(asking, "getOrchestrationPattern", {"goal": TEXT})
        assert (lent["project"], lent["pattern"]["success_count"]) == ("blue", 2)
        assert "has won 2 tasks in the project blue" in str(await post(asking, HELP))
        standing = await rpc(asking, "explainStanding", {"task": TEXT, "name": OWN})
        assert standing["lines"][-1]["term"] == "experience: what was learnt"
        assert await learnt(asking, **bare) == []
        await report(asking, "t1", OWN)
        assert "has won 1 task, " in str(await post(asking, HELP))
        await report(asking, "t2", OWN)
        own = await rpc(asking, "getOrchestrationPattern", {"goal": TEXT})
        assert own.get("project", "") == ""
        found = await rpc(asking, "queryPattern", {"goal": TEXT})
        assert [each.get("project", "") for each in found] == ["", "blue"]
        assert len(await learnt(asking, **blue)) == 1
        await rpc(asking, "forgetDecisions", {"task_id": "t1"}, **blue)
        await rpc(asking, "forgetDecisions", {"task_id": "t2"}, **blue)
        assert len(await learnt(asking)) == 1

    async def again(asking: Asking, state: State) -> None:
        rows = (await rpc(asking, "listProjects", {}))["projects"]
        assert [each["learns_from"] for each in rows if each["name"] == "red"] == [["blue"]]
        await report(asking, "t3", OWN, project="blue")
        await rpc(asking, "learnFrom", {"projects": []})
        assert "blue" not in str(await post(asking, HELP))

    serve(settings_in(home, "red"), work)
    serve(settings_in(home, "red"), again)


def test_nobody_learns_from_a_project_that_there_is_not(home: Path) -> None:
    async def work(asking: Asking, state: State) -> None:
        body = {"jsonrpc": "2.0", "id": 1, "method": "learnFrom", "params": {"projects": ["x"]}}
        assert (await asking.post("/", json=body)).json()["error"]["code"] == -32034

    serve(settings_in(home, "red"), work)


def test_the_trees_of_a_repository_learn_together(home: Path) -> None:
    write_tree(home, {"blue/.git/worktrees/fix/commondir": "../..\n"})
    gitdir = f"gitdir: {home}/blue/.git/worktrees/fix\n"
    write_tree(
        home / "fix", {".git": gitdir, ".claude/agents/f.md": agent("fixer", "Paints zebras.")}
    )

    async def work(asking: Asking, state: State) -> None:
        for task in ("t1", "t2"):
            await report(asking, task, OWN, tree=str(home / "fix"))
        assert len(await learnt(asking, tree=str(home / "blue"))) == 1
        assert "fixer" in await names(asking, tree=str(home / "fix"))
        assert "fixer" not in await names(asking, tree=str(home / "blue"))

    serve(settings_in(home, "red"), work)


# --- nothing of another project ----------------------------------------------------------------

SOME = ("bare", "blue", "red")


@pytest.mark.parametrize("folder", ["/tmp/\0x", f"/{'a' * 3000}"])
def test_a_folder_that_cannot_be_is_no_project(home: Path, folder: str) -> None:
    async def work(asking: Asking, state: State) -> None:
        for named in ({"project": folder}, {"tree": folder}):
            assert (await post(asking, **named))["error"]["code"] == -32034

    serve(settings_in(home, "red"), work)


@given(
    st.lists(st.tuples(st.sampled_from(SOME), st.integers(0, 8)), max_size=24),
    st.dictionaries(st.sampled_from(SOME), st.sampled_from(SOME), max_size=2),
)
@hypothesis.settings(max_examples=6)
def test_nothing_of_another_project_is_ever_told(
    steps: list[tuple[str, int]], lenders: dict[str, str]
) -> None:
    """Answers, patterns, caches, metrics, errors: whatever was asked of the others before, but for
    those that a project learns from."""

    async def work(asking: Asking, state: State) -> None:
        counts = dict.fromkeys(SOME, 0)
        for name, lender in lenders.items():
            given = {"projects": [str(place / lender)]}
            await rpc(asking, "learnFrom", given, project=str(place / name))
        for number, (name, kind) in enumerate(steps):
            told = await _step(asking, place, name, kind, number)
            mine = (name, lenders.get(name))
            others = [f"{other}-painter" for other in SOME if other not in mine]
            assert not any(word in told for word in others), (name, kind, told)
            counts[name] += kind == 0
        for name, count in counts.items():
            figures = (await asking.get("/metrics", headers=_of(place, name))).json()
            assert figures["queries"]["by_method"].get("queryAgents", 0) == count

    with tempfile.TemporaryDirectory() as folder:
        place = write_tree(Path(folder).resolve() / "home", FILES)
        serve(settings_in(place, "plain"), work)


def _of(home: Path, name: str) -> dict[str, str]:
    return {"x-project": quote(str(home / name))}


async def _step(asking: Asking, home: Path, name: str, kind: int, number: int) -> str:
    """One request for a project, as text."""
    task = f"{name}-painter paints zebras"
    given = {"task_id": f"t{number % 3}", "task_description": task, "result": "success"}
    entry = {"kind": "agent", "plugin": ".claude", "name": f"{name}-painter"}
    method, params = [
        ("queryAgents", {"context": "paint zebras"}),
        ("cacheDecision", {**given, "agents_used": [f"{name}-painter", OWN], "receipt": "full"}),
        ("queryPattern", {"goal": "painter paints zebras", "min_similarity": 0}),
        ("getContext", {"task": "paint zebras"}),
        ("getEntry", entry),
        ("getEntry", {**entry, "name": "nobody"}),
        ("getOrchestrationPattern", {"goal": task}),
        ("getLearned", {}),
        ("listDecisions", {}),
    ][kind]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = _of(home, name)
    told = (await asking.post("/", json=body, headers=headers)).text
    return told + (await asking.get("/health", headers=headers)).text


def test_folders_of_one_name_learn_as_one_and_meet(home: Path) -> None:
    """Each answers from its own trees; what they learn and hold is one, also by that name."""
    red, blue = str(home / "red"), str(home / "blue")
    (home / "data").mkdir(mode=0o700)
    given = [NamedProject("shop", ((red, red), (blue, blue)))]
    (home / "data" / NAMES).write_bytes(msgspec.json.encode(given))

    async def work(asking: Asking, state: State) -> None:
        for task in ("t1", "t2"):
            await report(asking, task, OWN)
        assert await learnt(asking, project=blue) == await learnt(asking) != []
        assert await names(asking, project=blue) == {BLUE, OWN}
        assert await names(asking, project=red) == await names(asking, "/p/shop") == {RED, OWN}
        lock = {"action": "acquire", "resources": ["port:1"]}
        await rpc(asking, "lockResources", lock, agent="ann", tree=red)
        held = await rpc(asking, "lockResources", {"action": "list"}, tree=blue)
        assert [each["holder"] for each in held["locks"]] == ["ann"]
        elsewhere = {"tree": str(home / "bare")}
        assert (await rpc(asking, "lockResources", {"action": "list"}, **elsewhere))["locks"] == []
        assert [each.name for each in state.projects.known.values()] == ["shop", "bare"]

    serve(settings_in(home, "red"), work)


def test_a_name_that_was_given_is_taken_from_who_had_it_by_chance(home: Path) -> None:
    async def meet(asking: Asking, state: State) -> None:
        await names(asking, project=str(home / "blue"))

    serve(settings_in(home, "red"), meet)
    plain = str(home / "plain")
    given = [NamedProject("blue", ((plain, plain),))]
    (home / "data" / NAMES).write_bytes(msgspec.json.encode(given))

    async def again(asking: Asking, state: State) -> None:
        assert await names(asking, project="blue") == {OWN}
        assert await names(asking, project="blue-2") == {BLUE, OWN}

    serve(settings_in(home, "red"), again)
