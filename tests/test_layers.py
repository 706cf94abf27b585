"""Do the imports run one way?

words ← store ← {catalog ← search, learn, coordinate} ← serve ← app ← cli.

`daemon` knows the words alone; `client` knows the words, daemon and, at its first fallback,
catalog and search.
"""

from __future__ import annotations

import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from .source import NAME, Import, imports, modules, room

WORDS = {
    "errors",
    "redact",
    "environment",
    "config",
    "changeable",
    "limits",
    "places",
    "roots",
    "switches",
    "project",
    "variables",
    "records",
    "text",
    "memo",
    "fit",
    "tokens",
    "private",
    "opening",
    "sharing",
    "validate",
    "queries",
    "reports",
    "table",
    "methods",
    "overview",
    "views",
}
ABOVE_WORDS = WORDS | {""}  # "" is the package itself: its version
MAY = {
    **dict.fromkeys(WORDS, ABOVE_WORDS),
    "": {"client", "errors", "queries", "reports"},  # by name, when one of theirs is used
    "store": ABOVE_WORDS | {"store"},
    "lexicon": ABOVE_WORDS | {"lexicon"},
    "catalog": ABOVE_WORDS | {"store", "lexicon", "catalog"},
    "search": ABOVE_WORDS | {"store", "lexicon", "catalog", "search"},
    "learn": ABOVE_WORDS | {"store", "learn"},
    "coordinate": ABOVE_WORDS | {"store", "coordinate"},
    "faces": ABOVE_WORDS | {"faces"},  # and the core's methods by their names
    "team": ABOVE_WORDS | {"store", "learn", "coordinate", "team"},
    "daemon": ABOVE_WORDS | {"daemon"},
    "bridge": ABOVE_WORDS | {"daemon", "bridge"},
    "hosts": ABOVE_WORDS | {"hosts"},
    "client": ABOVE_WORDS | {"daemon", "client", "catalog", "search"},
    "page": ABOVE_WORDS | {"page"},
    "serve": ABOVE_WORDS
    | {"daemon", "store", "catalog", "search", "learn", "coordinate", "team", "page", "faces"}
    | {"serve"},
    "app": ABOVE_WORDS
    | {"daemon", "store", "catalog", "search", "learn", "coordinate", "team", "serve"},
    "cli": ABOVE_WORDS
    | {
        "daemon",
        "store",
        "lexicon",
        "catalog",
        "search",
        "learn",
        "coordinate",
        "team",
        "serve",
        "client",
        "bridge",
        "hosts",
        "app",
        "cli",
    },
    "__main__": ABOVE_WORDS | {"bridge", "cli"},
}
LAZY = {("client", "catalog"), ("client", "search")}
HEAVY = {"numpy", "scipy", "sklearn", "starlette", "uvicorn", "click", "yaml", "frontmatter"}


def own() -> list[Import]:
    return [each for each in imports() if each.target.split(".")[0] == NAME]


def named(crossings: list[Import]) -> list[str]:
    return [f"{each.source} → {each.target}" for each in crossings]


def test_every_room_has_its_place_in_the_law() -> None:
    assert {room(name) for name in modules()} <= set(MAY)


def test_imports_run_one_way() -> None:
    """Lazy ones too: a function that reaches up knows what it should not know."""
    assert named([i for i in own() if room(i.target) not in MAY[room(i.source)]]) == []


def test_search_and_learn_do_not_know_each_other() -> None:
    pairs = {(room(each.source), room(each.target)) for each in own()}
    assert not {("search", "learn"), ("learn", "search")} & pairs


def test_a_client_loads_the_index_only_when_it_needs_it() -> None:
    eager = [i for i in own() if not (i.lazy or i.typing)]
    early = [i for i in eager if (room(i.source), room(i.target)) in LAZY]
    assert named(early) == []


def test_a_face_is_loaded_by_nobody_until_it_is_asked_for() -> None:
    eager = [
        each for each in own() if room(each.target) == "faces" and room(each.source) != "faces"
    ]
    assert {each.source for each in eager if not (each.lazy or each.typing)} <= {
        f"{NAME}.serve.mcp.faces"  # which is loaded with the first face
    }
    assert not {each.target for each in own() if room(each.source) == "faces"} & {
        f"{NAME}.{name}" for name in ("config", "environment", "private", "project")
    }


def test_there_is_no_cycle() -> None:
    """Raises CycleError, which names it."""
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for each in own():
        if not each.typing and each.target != each.source:
            graph[each.source].add(each.target)
    assert list(TopologicalSorter(graph).static_order())


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["", ".errors", ".config", ".daemon.watcher", ".daemon.pidfile"])
def test_what_must_be_light_is(module: str) -> None:
    assert loaded_by(NAME + module) & HEAVY == set()


@pytest.mark.parametrize("module", [".daemon.watcher", ".daemon.pidfile"])
def test_the_watcher_needs_the_standard_library_only(module: str) -> None:
    foreign = loaded_by(NAME + module) - set(sys.stdlib_module_names) - {NAME}
    assert {name for name in foreign if name in {"msgspec", "httpx", "cachetools"}} == set()


def test_the_command_line_starts_without_the_servers_libraries() -> None:
    assert loaded_by(f"{NAME}.cli") & (HEAVY - {"click"}) == set()
