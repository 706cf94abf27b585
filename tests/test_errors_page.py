"""Is docs/errors.md what errors.py says, and is an error the same wherever it is met?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.cli import server
from orchestr8_index.config import REPOSITORY
from orchestr8_index.errors import OperationError, Orchestr8Error, RequestError
from orchestr8_index.serve import learning
from orchestr8_index.serve.http import make_web
from orchestr8_index.serve.state import State

from .cli.conftest import Run
from .cli.conftest import run as run
from .serve.asking import ask, call
from .serve.conftest import state as state


def below(kind: type[Orchestr8Error]) -> Iterator[type[Orchestr8Error]]:
    for each in kind.__subclasses__():
        if each.__module__ == Orchestr8Error.__module__:
            yield each
            yield from below(each)


PAGE = (REPOSITORY / "docs" / "errors.md").read_text("utf-8")
REQUEST = list(below(RequestError))


def test_the_page_has_every_error_and_no_other() -> None:
    rows = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert set(rows) == {kind.__name__ for kind in below(Orchestr8Error)} - {
        "RequestError",
        "OperationError",
    }


def made(kind: type[RequestError]) -> RequestError:
    try:
        return kind("It is so.")
    except (AttributeError, TypeError):
        return kind({"field": "is so"})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", REQUEST)
def test_json_rpc_and_http_say_the_same(
    state: State, monkeypatch: pytest.MonkeyPatch, kind: type[RequestError]
) -> None:
    def fail(*_: Any) -> None:
        raise made(kind)

    monkeypatch.setattr("orchestr8_index.search.methods.answer_skills", fail)
    said = call(state, "querySkills", context="x")["error"]
    body = {"jsonrpc": "2.0", "id": 1, "method": "querySkills", "params": {"context": "x"}}
    answer = ask(make_web(state), "POST", "/", json=body)
    assert (said["code"], said["message"]) == (kind.code, made(kind).sentence)
    assert (answer.status_code, answer.json()["error"]) == (kind.status, said)
    assert said.get("data", {}).get("cure", "") == made(kind).cure


@pytest.mark.parametrize("kind", [OperationError, *below(OperationError)])
def test_the_command_line_says_sentence_and_cure(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: type[OperationError]
) -> None:
    def fail(**_: Any) -> None:
        raise kind("It is so.", "Mend it.")

    monkeypatch.setattr(server.status, "callback", fail)
    said = run("status")
    assert (said.status, said.err) == (kind.exit_status, "Error: It is so. Mend it.\n")


# --- what must never reach a client ------------------------------------------------------------

SECRET = "/srv/private/alice"


def raisable() -> Iterator[Exception]:
    import sqlite3

    from orchestr8_index.errors import BuildFailed, SnapshotUnreadable, StartFailed

    yield from (OSError(2, "No such file", f"{SECRET}/x"), PermissionError(13, "Denied", SECRET))
    yield from (FileNotFoundError(SECRET), KeyError(SECRET), RuntimeError(f"in {SECRET}"))
    yield from (sqlite3.OperationalError(f"unable to open {SECRET}"), ValueError(SECRET))
    yield from (kind(f"At {SECRET}.") for kind in (BuildFailed, SnapshotUnreadable, StartFailed))
    yield UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET)
    yield RecursionError(SECRET)


@pytest.mark.parametrize("error", list(raisable()), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "seam",
    [
        "search.methods.answer_skills",
        "serve.handlers.health",
        "serve.stores.ProjectStore.outcomes",
    ],
)
def test_no_path_and_no_traceback_reaches_a_client(
    state: State, monkeypatch: pytest.MonkeyPatch, error: Exception, seam: str
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(f"orchestr8_index.{seam}", fail)
    asked = [("querySkills", {"context": "x"}), ("getHealth", {}), ("queryPattern", {"goal": "x"})]
    for method, params in asked:
        told = str(call(state, method, **params))
        assert SECRET not in told and "Traceback" not in told and "Error(" not in told


@pytest.mark.parametrize("error", [e for e in raisable() if isinstance(e, OSError)], ids=str)
def test_what_a_build_says_of_a_file_names_no_folder_of_the_machine(
    state: State, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(type(state.refresh.builder), "run", fail)
    answer = ask(make_web(state), "POST", "/reindex")
    assert answer.status_code == 500 and SECRET not in answer.text
    assert SECRET not in str(call(state, "getHealth"))


def test_a_store_that_cannot_be_opened_names_no_path(tmp_path: Path) -> None:
    from orchestr8_index.serve.stores import why

    assert why(PermissionError(13, "Permission denied", SECRET)).startswith("Permission denied.")
    assert learning.ENOUGH  # the module is loaded under its own name for the seam above
