"""Claims by hooks: who has a file, who is told, and when it is free again."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.coordinate import claims
from orchestr8_index.coordinate import repository as repository_of
from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.claims import Notified, Verdict
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.coordinate.edits import note_edit
from orchestr8_index.coordinate.resources import resolve

from .worlds import TREE, Agent, Hand, run, shared


class Host:
    """The hooks of one agent: `who` is SESSION/AGENT."""

    def __init__(
        self, state: Coordination, who: str, tree: str = TREE, notified: Notified | None = None
    ) -> None:
        self.state, self.notified = state, notified or Notified()
        self.caller = Caller(who.replace("/", "-").strip("-"), ident=who, tree=tree)

    async def edit(self, path: str, policy: Any = "deny", purpose: str = "") -> Verdict:
        given = resolve(path, self.caller.tree), purpose, policy, self.notified
        verdict: Verdict = await self.state.change(self.caller, claims.claim, *given)
        return verdict

    async def wrote(self, path: str) -> None:
        await self.state.change(self.caller, note_edit, resolve(path, self.caller.tree), True)

    async def leave(self, with_agents: bool = False) -> int:
        return int(await self.state.change(self.caller, claims.leave, with_agents))


def test_a_file_that_another_edits_is_denied_with_who_and_what(tmp_path: Path) -> None:
    async def work(state: Coordination) -> str:
        assert await Host(state, "one/").edit("src/a.py", purpose="rename") == Verdict()
        assert await Host(state, "one/").edit("src/a.py") == Verdict()
        refused = await Host(state, "two/").edit("src/a.py")
        assert refused.reason
        return refused.reason

    reason = run(tmp_path, work)
    assert all(part in reason for part in (f"{TREE}/src/a.py", "by one", 'for "rename"', "until"))


@shared
async def test_a_warned_edit_goes_on_and_both_are_told_once(state: Coordination) -> None:
    await Host(state, "one/").edit("src/a.py", "warn")
    two = Host(state, "two/")
    first, second = await two.edit("src/a.py", "warn"), await two.edit("src/a.py", "warn")
    assert "being edited by one" in first.context and not first.reason
    assert second == Verdict()
    mail = (await Agent(state, "one").inbox())["messages"]
    assert [each["from"] for each in mail] == ["server"]
    assert "two edits" in mail[0]["body"] and not mail[0]["subject"]  # the news once
    assert "before you write" not in first.context  # it has written when it reads this


@shared
async def test_a_subagent_may_edit_what_its_session_claimed(state: Coordination) -> None:
    session, helper = Host(state, "one/"), Host(state, "one/helper")
    await session.edit("src/a.py")
    assert await helper.edit("src/a.py") == Verdict()
    assert (await session.edit("src/a.py")).reason
    assert (await Host(state, "one/sibling").edit("src/a.py")).reason
    await helper.leave()
    assert await session.edit("src/a.py") == Verdict()


@shared
async def test_a_subagent_that_dies_frees_its_files(state: Coordination, hand: Hand) -> None:
    """By its lease, and before that with its session."""
    await Host(state, "one/dies").edit("a.py")
    await Host(state, "one/also").edit("b.py")
    assert (await Host(state, "two/").edit("a.py")).reason
    hand.move(claims.TTL_S)
    assert await Host(state, "two/").edit("a.py") == Verdict()
    await Host(state, "one/also").edit("b.py")
    assert await Host(state, "one/").leave(with_agents=True) == 1
    assert await Host(state, "two/").edit("b.py") == Verdict()


@shared
async def test_a_claim_is_renewed_at_most_once_a_minute(state: Coordination, hand: Hand) -> None:
    one = Host(state, "one/")
    await one.edit("a.py")
    now, reader = state.clock.now, state.store.reader
    assert claims.is_claimed(reader, one.caller, f"{TREE}/a.py", now())
    hand.move(59)
    assert not claims.needs_renewal(reader, one.caller, now())
    hand.move(2)
    assert claims.needs_renewal(reader, one.caller, now())
    assert not claims.is_claimed(reader, one.caller, f"{TREE}/a.py", now())
    await state.change(one.caller, claims.renew)
    assert claims.is_claimed(reader, one.caller, f"{TREE}/a.py", now())


@shared
async def test_a_session_that_ends_wakes_who_waits(state: Coordination) -> None:
    await Host(state, "one/").edit("a.py")
    await Host(state, "one/").leave()
    assert (await Agent(state, "x").lock("a.py"))["token"]


def git(*args: str, cwd: Path) -> None:
    name = ("-c", "user.name=t", "-c", "user.email=t@t")
    subprocess.run(["git", *name, *args], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = (tmp_path / "repository").resolve()
    made.mkdir()
    git("init", "-q", cwd=made)
    (made / "a.py").write_text("1\n")
    git("add", "a.py", cwd=made)
    git("commit", "-qm", "first", cwd=made)
    git("worktree", "add", "-q", str(made.parent / "other"), cwd=made)
    return made


def test_the_same_path_in_two_worktrees_is_two_resources(tmp_path: Path, repository: Path) -> None:
    """Neither is denied; the second is told once that the other edits the same file."""
    other = repository.parent / "other"

    async def work(state: Coordination) -> None:
        await Host(state, "one/", str(repository)).edit("a.py")
        two = Host(state, "two/", str(other))
        first, again = await two.edit("a.py"), await two.edit("a.py")
        assert not first.reason and "another worktree" in first.context
        assert again == Verdict()

    run(tmp_path / "data", work)
    assert repository_of.worktrees(str(other)) == sorted([str(repository), str(other)])


def test_the_stash_is_counted_for_all_worktrees(repository: Path) -> None:
    other = repository.parent / "other"
    assert repository_of.stash_entries(str(other)) == []
    (repository / "a.py").write_text("2\n")
    git("stash", cwd=repository)
    assert repository_of.stash_entries(str(other)) == repository_of.stash_entries(str(repository))


@shared
async def test_what_was_changed_counts_until_git_shows_it_clean(state: Coordination) -> None:
    one, two = Host(state, "one/"), Host(state, "two/")
    await one.edit("a.py")
    await one.edit("b.py")
    await two.edit("c.py")
    await one.leave()
    reader, (a, b) = state.store.reader, (f"{TREE}/a.py", f"{TREE}/b.py")
    assert claims.beside(reader, two.caller) == {a: "one", b: "one"}
    assert claims.own_files(reader, two.caller) == [f"{TREE}/c.py"]
    await state.change(one.caller, claims.forget_clean, [a])
    assert claims.beside(reader, two.caller) == {b: "one"}


@shared
async def test_what_two_edit_is_stashed_by_neither(state: Coordination) -> None:
    """Also while the other is only about to write, and git shows the file clean."""
    one, two = Host(state, "one/"), Host(state, "two/")
    path, reader = f"{TREE}/a.py", state.store.reader
    await one.edit("a.py", "warn")
    await two.edit("a.py", "warn")
    await state.change(one.caller, claims.forget_clean, [path])
    await one.wrote("a.py")
    assert claims.beside(reader, one.caller, taking=True) == {path: "two"}
    assert claims.beside(reader, one.caller) == {}
    assert claims.own_files(reader, one.caller) == [path]
    await two.leave()
    await state.change(one.caller, claims.forget_clean, [path])
    assert claims.beside(reader, one.caller, taking=True) == {}


@shared
async def test_who_has_committed_a_file_leaves_it_to_others(state: Coordination) -> None:
    """Though its last call is lost; what it is about to write, and its siblings', stays."""
    one, sibling, two = (Host(state, who) for who in ("one/a", "one/b", "two/"))
    for path in ("a.py", "dirty.py", "next.py"):
        await one.edit(path)
    await sibling.edit("b.py")
    for host, path in ((one, "a.py"), (one, "dirty.py"), (sibling, "b.py")):
        await host.wrote(path)
    clean = [f"{TREE}/{name}.py" for name in ("a", "b", "next")]
    await state.change(one.caller, claims.forget_clean, clean, "one/a")
    denied = [bool((await two.edit(f"{each}.py")).reason) for each in ("a", "dirty", "next", "b")]
    assert denied == [False, True, True, True]


def test_those_who_work_in_the_places_alone_are_named(tmp_path: Path) -> None:
    """A file, a folder and what lies in it; not a file whose name begins alike."""
    names = ["src", "src-x/a.py", "src/a.py", "src/a.py-x", "src/in/b.py", "srcs"]

    async def work(state: Coordination) -> None:
        one, two, reader = Host(state, "one/"), Host(state, "two/"), state.store.reader
        for name in names:
            await one.edit(name)
        await one.wrote("src/a.py")
        for left in (False, True):
            for place, found in (
                ("src/a.py", {"src/a.py"}),
                ("src", {"src", "src/a.py", "src/a.py-x", "src/in/b.py"}),
                ("src/in", {"src/in/b.py"}),
                ("none", set[str]()),
                (".", set(names)),
            ):
                places = [str(Path(TREE, place))]
                theirs = claims.beside(reader, two.caller, TREE, places)
                assert theirs == {f"{TREE}/{name}": "one" for name in found}, (left, place)
                own = claims.own_files(reader, one.caller, TREE, places)
                assert set(own) == theirs.keys()
            await one.leave()  # its work is not committed

    run(tmp_path, work)
