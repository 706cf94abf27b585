"""who, locks, shared, inbox, break, events, claims: what a person sees and mends among agents."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, cast

import pytest

from orchestr8_index import Orchestrator

from ..processes import DEADLINE, Running, World, wait_for
from .conftest import ROOT, Run


@pytest.fixture
def ada(online: Run, server: Running) -> Iterator[Orchestrator]:
    """An agent who works in the folder in which the commands run."""
    with Orchestrator(data_dir=server.world.data, agent="ada") as made:
        yield made


def test_who_holds_what_and_a_lock_that_hangs_is_broken(online: Run, ada: Orchestrator) -> None:
    lock = ada.lock("src/a.py", purpose="rename")
    held = lock.__enter__()
    ada.send_message("ada", "the build is red")
    path = f"{Path.cwd().resolve()}/src/a.py"
    told = online("who").out
    assert "ada: 0 s ago" in told and "1 message waiting" in told and f"holds {path}" in told
    assert f"{path}: ada, for rename" in online("locks", "src/").out
    assert "held by ada" in online("break", "src/a.py", "--reason", "it hangs").out
    assert online("locks", "--json").json == []
    with pytest.raises(Exception, match="does not hold"):
        held.release()


def test_values_are_put_listed_kept_cleared_and_put_back(online: Run, tmp_path: Path) -> None:
    assert online("shared", "put", "plan/a", '{"step": 1}').status == 0
    online("shared", "put", "plan/b", "just text", "--agent", "bob")
    assert online("shared", "get", "plan/a").out == '{"step":1}\n'
    assert online("shared", "get", "plan/b").out == "just text\n"
    assert [row["by"] for row in online("shared", "list", "plan/", "--json").json][1] == "bob"
    assert "-32040" not in online("shared", "put", "plan/a", "2", "--if-rev", "0").err
    (tmp_path / "kept").write_text(online("shared", "snapshot", "plan/").out)
    assert online("shared", "clear", "plan/", "--yes").out == "2 values deleted.\n"
    assert "null" in online("shared", "history", "plan/a").out
    assert online("shared", "restore", str(tmp_path / "kept")).out.startswith("2 values put back")
    assert online("shared", "get", "plan/a").out == '{"step":1}\n'
    missing = online("shared", "get", "plan/c")
    assert missing.status == 1 and "There is no plan/c" in missing.err


def test_mail_is_looked_at_and_stays(online: Run, ada: Orchestrator) -> None:
    ada.send_message("eve", "look at the parser", subject="review")
    for _ in range(2):
        assert "from ada: review: look at the parser" in online("inbox", "--agent", "eve").out
    [message] = online("inbox", "--agent", "eve", "--json").json["messages"]
    assert online("inbox", "--agent", "eve", "--ack", message["id"]).out == "No message waits.\n"
    ada.send_message("eve", "and at the lexer", subject="review")
    assert "the lexer" in online("inbox", "--agent", "eve", "--take").out
    assert online("inbox", "--agent", "eve").out == "No message waits.\n"
    newest = online("events", "-n", "1", "--json").json
    assert (newest["kind"], newest["value"]["subject"]) == ("message", "review")
    assert "ada              message  to eve  and at the lexer" in online("events", "-n", "1").out


def test_a_lock_that_is_handed_on_is_the_waiters(online: Run, ada: Orchestrator) -> None:
    bob = Orchestrator(data_dir=os.environ["MCP_DATA_DIR"], agent="bob")
    with bob, ThreadPoolExecutor() as pool:
        with ada.lock("port:4000"):
            waiting = pool.submit(bob.lock("port:4000", wait=30).__enter__)
            wait_for(lambda: ada.locks("port:4000")["locks"][0]["waiting"])
        waiting.result().release()
    told = online("events", "--prefix", "port:4000").out
    assert "bob              grant   port:4000, by ada\n" in told


def test_events_are_followed_over_a_restart_until_ctrl_c(world: World) -> None:
    server = world.serve("--root", ROOT)
    following = world.start("events", "-f", "--json", "--prefix", "plan/")
    out, err = (cast("IO[str]", each) for each in (following.stdout, following.stderr))

    def put(key: str) -> None:
        assert world.run("shared", "put", key, "1").returncode == 0

    put("plan/a")
    assert json.loads(out.readline())["key"] == "plan/a"
    server.stop()
    assert err.readline() == "The server is away; waiting for it.\n"
    world.serve("--root", ROOT)
    put("other")
    put("plan/b")
    assert json.loads(out.readline())["key"] == "plan/b"
    assert err.readline() == "The server is back.\n"
    following.send_signal(signal.SIGINT)
    assert following.communicate(timeout=DEADLINE)[1].strip() == ""
    assert following.returncode == 0


def test_a_long_talk_is_read_within_a_budget(online: Run, ada: Orchestrator) -> None:
    ada.session("create", "release", purpose="ship it")
    for n in range(30):
        body = f"Step {n} touches the file src/part{n}.py and waits for review."
        ada.send_message([], body, session="release")
    assert "release: ship it; ada; last " in online("session", "list").out
    told = online("session", "read", "release", "--max-tokens", "200").out
    assert "no model wrote this" in told and told.endswith("src/part29.py and waits for review.\n")
    told = online("session", "read", "release", "--query", "part7", "--json").json
    assert told["messages"][0]["body"].startswith("Step 7 ")


@pytest.mark.parametrize(
    "command", ["who", "locks", "inbox", "events", "shared list", "session list"]
)
def test_without_a_server_each_says_what_to_do(offline: Run, command: str) -> None:
    said = offline(*command.split())
    assert said.status == 1 and "orchestr8-index up" in said.err and said.out == ""


def test_a_policy_is_chosen_and_says_when_it_holds(online: Run, server: Running) -> None:
    assert online("claims").out.startswith("warn: ")
    assert "no restart is needed" in online("claims", "deny").out
    assert online("claims").out.startswith("deny: ")
    assert (server.world.data / "claims").stat().st_mode & 0o077 == 0
    online("claims", "warn")


# --- the hook of git -----------------------------------------------------------------------------


def git(tree: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    named = ("-c", "user.name=t", "-c", "user.email=t@t")
    clean = {name: value for name, value in os.environ.items() if name != "CLAUDECODE"}
    command = ["git", *named, *args]
    return subprocess.run(command, cwd=tree, env={**clean, **env}, capture_output=True, text=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    tree = tmp_path / "my repository"
    git(tmp_path, "init", "-q", str(tree))
    (tree / "a.py").write_text("1\n")
    git(tree, "add", "a.py")
    git(tree, "commit", "-qm", "first")
    git(tree, "worktree", "add", "-q", str(tmp_path / "beside"))
    return tree


@pytest.mark.parametrize("hooks_path", ["", "team hooks"])
def test_a_commit_of_what_another_holds_is_refused(
    online: Run, ada: Orchestrator, repository: Path, hooks_path: str
) -> None:
    """From a linked worktree, too; and the user's own hook runs on, and comes back whole."""
    if hooks_path:
        git(repository, "config", "core.hooksPath", str(repository / hooks_path))
    folder = repository / (hooks_path or ".git/hooks")
    folder.mkdir(exist_ok=True)
    own = folder / "pre-commit"
    own.write_text("#!/bin/sh\necho theirs >&2\n")
    own.chmod(0o755)
    beside = repository.parent / "beside"
    assert online("claims", "install", "--repository", str(beside)).status == 0
    for tree in (repository, beside):
        (tree / "a.py").write_text("2\n")
    with ada.lock(str(repository / "a.py"), str(beside / "a.py"), purpose="rename"):
        refused = git(beside, "commit", "-qam", "x")
        assert refused.returncode == 1 and 'held by ada, for "rename", until' in refused.stderr
        done = git(repository, "commit", "-qam", "x", MCP_AGENT="ada")
        assert (done.returncode, done.stderr) == (0, "theirs\n")
    assert "already" in online("claims", "install", "--repository", str(repository)).out
    online("claims", "uninstall", "--repository", str(repository))
    assert own.read_text() == "#!/bin/sh\necho theirs >&2\n"
    assert not list(folder.glob("*before-claims"))


def test_a_hook_that_finds_itself_by_its_name_runs_on(online: Run, repository: Path) -> None:
    """As husky's do: moved aside, it would find nothing, and let everything pass."""
    folder = repository / ".git/hooks"
    hook, more = folder / "pre-commit", folder / "pre-commit.sh"
    text = '#!/usr/bin/env sh\n[ ! -f "$0.sh" ] || . "$0.sh"\n'
    hook.write_text(text)
    hook.chmod(0o755)
    more.write_text("exit 3\n")
    assert (
        "before what is there" in online("claims", "install", "--repository", str(repository)).out
    )
    (repository / "a.py").write_text("3\n")
    assert git(repository, "commit", "-qam", "x").returncode == 1
    more.write_text("echo theirs >&2\n")
    assert git(repository, "commit", "-qam", "x").stderr == "theirs\n"
    online("claims", "uninstall", "--repository", str(repository))
    assert hook.read_text() == text


def test_a_policy_that_cannot_be_written_is_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data/claims").mkdir(parents=True)
    said = run("claims", "deny")
    assert said.status == 1 and "cannot be used: Is a directory" in said.err


def test_a_hook_runs_nothing_of_the_repository_and_keeps_each_byte(
    online: Run, repository: Path
) -> None:
    """Python found its own modules' names in the tree first: what lay there ran, and none held."""
    hook, text = repository / ".git/hooks/pre-commit", b"#!/bin/sh\nprintf 'a\r\n' >/dev/null\n"
    hook.write_bytes(text)
    hook.chmod(0o700)
    online("claims", "install", "--repository", str(repository))
    for name in ("click", "json", "orchestr8_index"):
        (repository / f"{name}.py").write_text("open('ran', 'w')\n")
    (repository / "a.py").write_text("4\n")
    assert git(repository, "commit", "-qam", "x").returncode == 0
    assert not (repository / "ran").exists()
    online("claims", "uninstall", "--repository", str(repository))
    assert (hook.read_bytes(), hook.stat().st_mode & 0o777) == (text, 0o700)


def test_a_hook_of_another_is_never_taken_away(online: Run, repository: Path) -> None:
    hook = repository / ".git/hooks/pre-commit"
    hook.unlink(missing_ok=True)
    assert "There is no hook" in online("claims", "uninstall", "--repository", str(repository)).out
    hook.write_text("#!/bin/sh\nexit 0\n")
    assert "not ours" in online("claims", "uninstall", "--repository", str(repository)).out
    assert hook.exists()
    online("claims", "install", "--repository", str(repository))
    hook.write_text("#!/usr/bin/env python3\n# the user's next hook\n")
    refused = online("claims", "install", "--repository", str(repository))
    assert refused.status == 1 and "in the way" in refused.err
    assert "next hook" in hook.read_text()
    assert online("claims", "install", "--repository", "/").status == 1
