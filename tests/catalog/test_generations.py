"""Which generation is current? The last one at once, the next when built, the old if it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestr8_index.catalog.build_lines import BuildLine
from orchestr8_index.catalog.generations import Refresh
from orchestr8_index.catalog.index import Index
from orchestr8_index.catalog.worker import BuildChild, Builder
from orchestr8_index.errors import BuildFailed

from ..trees import MakeTree, agent
from .children import GOOD, KILLED, settings_of

MakeRefresh = Callable[..., Refresh]


@pytest.fixture
def refresh(make_tree: MakeTree, tmp_path: Path) -> MakeRefresh:
    """A server's view of a tree with one agent; each call is a new start on the same data."""
    settings = settings_of(make_tree({"agents/a.md": agent("alpha")}), tmp_path / "data")

    def start(command: tuple[str, ...] = GOOD) -> Refresh:
        return Refresh(settings, Builder(settings, command=command), clock=lambda: 42.0)

    return start


async def begun(refresh: Refresh) -> Index:
    refresh.open_last()
    return await refresh.begin()


def counts(refresh: Refresh) -> tuple[int, int]:
    assert refresh.index
    return refresh.index.generation, refresh.index.manifest.counts["agent"]


def test_a_cold_start_builds_the_first_generation(refresh: MakeRefresh) -> None:
    cold = refresh()
    swapped: list[Index] = []
    cold.followers.append(swapped.append)
    asyncio.run(begun(cold))
    assert counts(cold) == (1, 1)
    assert swapped == [cold.index]
    assert (cold.failure, cold.checked_at, cold.progress.total) == ("", 42.0, 1)


def test_what_is_let_go_while_it_is_built_is_not_kept(refresh: MakeRefresh) -> None:
    """A folder after the other named in a header left ten open files each, of no use to anybody."""
    cold = refresh()

    async def work() -> None:
        building = cold.wake()
        cold.sleep()
        assert (await building).manifest.counts["agent"] == 1 and cold.index is None
        assert (await cold.wake()) is cold.index

    asyncio.run(work())


def test_a_generation_is_readied_before_it_is_served(refresh: MakeRefresh) -> None:
    cold = refresh()
    readied: list[Index] = []

    async def ready(index: Index) -> None:
        assert cold.index is None
        await asyncio.sleep(0)
        readied.append(index)

    cold.prepare = ready
    asyncio.run(begun(cold))
    assert readied == [cold.index]


def test_a_warm_start_serves_the_last_generation_at_once(refresh: MakeRefresh) -> None:
    asyncio.run(begun(refresh()))
    warm = refresh()
    warm.open_last()
    assert counts(warm) == (1, 1)
    warm.followers.append(lambda index: pytest.fail("nothing changed"))

    async def check() -> None:
        await warm.begin()

    asyncio.run(check())
    assert warm.generations.numbers() == [1]
    assert warm.checked_at == 42.0


def test_a_warm_start_sees_what_changed(refresh: MakeRefresh, make_tree: MakeTree) -> None:
    asyncio.run(begun(refresh()))
    make_tree({"agents/b.md": agent("beta")})
    warm = refresh()
    asyncio.run(begun(warm))
    assert counts(warm) == (2, 2)


def test_a_warm_start_remembers_hostile_files(refresh: MakeRefresh, make_tree: MakeTree) -> None:
    make_tree({"agents/killer.md": agent("killer")})
    asyncio.run(begun(refresh(KILLED)))
    make_tree({"agents/b.md": agent("beta")})
    warm = refresh(KILLED)
    warm.builder.on_failure = lambda failure: pytest.fail(str(failure))
    asyncio.run(begun(warm))
    assert counts(warm) == (2, 2)


def test_a_reindex_makes_a_generation_even_if_nothing_changed(refresh: MakeRefresh) -> None:
    async def twice(served: Refresh) -> list[int]:
        return [(await served.reindex()).generation for _ in range(2)]

    assert asyncio.run(twice(refresh())) == [1, 2]


def test_calls_that_meet_share_builds(refresh: MakeRefresh) -> None:
    async def together(served: Refresh) -> list[int]:
        indexes = await asyncio.gather(*(served.reindex() for _ in range(5)))
        return [index.generation for index in indexes]

    served = refresh()
    assert asyncio.run(together(served)) == [1, 1, 1, 1, 1]
    assert served.generations.numbers() == [1]


def test_a_call_sees_what_changed_before_it(refresh: MakeRefresh, make_tree: MakeTree) -> None:
    async def change_between(served: Refresh) -> int:
        first = asyncio.create_task(served.reindex())
        await asyncio.sleep(0)
        make_tree({"agents/b.md": agent("beta")})
        index = await served.reindex()
        await first
        return index.manifest.counts["agent"]

    assert asyncio.run(change_between(refresh())) == 2


def test_a_call_during_the_following_build_is_followed_too(
    refresh: MakeRefresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    # it shared a build that had looked at the tree before the call
    begun_with: list[str] = []
    run = Builder.run

    def noting(self: Builder, unless: str = "", started: BuildChild | None = None) -> BuildLine:
        begun_with.append(unless)
        return run(self, unless, started)

    async def three(served: Refresh) -> None:
        calls = [asyncio.create_task(served.reindex()) for _ in range(2)]
        while len(begun_with) < 2:
            await asyncio.sleep(0)
        await asyncio.gather(served.reindex(), *calls)

    monkeypatch.setattr(Builder, "run", noting)
    asyncio.run(three(refresh()))
    assert len(begun_with) == 3


def test_a_reindex_beside_a_check_reads_every_file(refresh: MakeRefresh) -> None:
    """It was answered by another check, which makes nothing where nothing seems to have changed."""

    async def beside(served: Refresh) -> list[int]:
        first = await served.reindex()
        check = asyncio.create_task(served.check())
        await asyncio.sleep(0)
        after = await asyncio.gather(*(served.reindex() for _ in range(3)))
        return [each.generation for each in (first, await check, *after)]

    assert asyncio.run(beside(refresh())) == [1, 1, 2, 2, 2]


def test_a_failed_build_keeps_the_old_generation_and_is_remembered(refresh: MakeRefresh) -> None:
    async def scenario(served: Refresh) -> None:
        await served.reindex()
        served.builder.command = ("/nonexistent/python",)
        with pytest.raises(BuildFailed):
            await served.reindex()
        assert counts(served) == (1, 1)
        assert "cannot be started" in served.failure
        served.builder.command = GOOD
        await served.reindex()
        assert (served.failure, counts(served)) == ("", (2, 1))

    asyncio.run(scenario(refresh()))


def test_a_server_whose_child_cannot_start_serves_the_last_generation(
    refresh: MakeRefresh,
) -> None:
    # opening ended in BuildFailed, and nothing was served
    asyncio.run(begun(refresh()))
    served = refresh(("/nonexistent/python",))
    served.open_last()
    assert counts(served) == (1, 1)

    async def check() -> None:
        with pytest.raises(BuildFailed):
            await served.begin()

    asyncio.run(check())
    assert "cannot be started" in served.failure


def test_a_build_that_gives_no_generation_is_a_failure(refresh: MakeRefresh) -> None:
    served = refresh((*GOOD[:3], "print('{}')"))

    async def check() -> None:
        with pytest.raises(Exception, match="cannot be read"):
            await served.reindex()

    asyncio.run(check())
    assert served.index is None and served.failure


def test_what_the_system_refuses_is_a_failure(
    refresh: MakeRefresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = refresh()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Builder, "run", refuse)

    async def check() -> None:
        with pytest.raises(BuildFailed, match="No space left"):
            await served.reindex()

    asyncio.run(check())
    assert served.failure == "The index could not be built: No space left on device."


def test_old_generations_go(refresh: MakeRefresh) -> None:
    async def thrice(served: Refresh) -> None:
        for _ in range(3):
            await served.reindex()

    served = refresh()
    asyncio.run(thrice(served))
    assert served.generations.numbers() == [2, 3]


def test_an_abandoned_call_harms_nobody(refresh: MakeRefresh) -> None:
    async def abandon(served: Refresh) -> None:
        call = asyncio.create_task(served.reindex())
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await served.reindex()

    served = refresh()
    asyncio.run(abandon(served))
    assert counts(served)[0] >= 1


def test_stopping_ends_a_running_build(refresh: MakeRefresh) -> None:
    async def stop(served: Refresh) -> None:
        call = asyncio.create_task(served.reindex())
        await asyncio.sleep(0)
        await served.stop()
        await asyncio.gather(call, return_exceptions=True)

    asyncio.run(stop(refresh()))


def test_a_root_that_is_gone_keeps_the_old_generation(tmp_path: Path, make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": agent("a")})
    settings = settings_of(root, tmp_path / "data")
    refresh = Refresh(settings, Builder(settings, command=GOOD))

    async def lose() -> None:
        refresh.open_last()
        await refresh.begin()
        root.rename(tmp_path / "elsewhere")
        with pytest.raises(BuildFailed, match="the root tree is gone"):
            await refresh.reindex()

    asyncio.run(lose())
    assert refresh.index and refresh.index.generation == 1
    assert "is gone" in refresh.failure


def test_named_files_are_handed_to_the_next_build(
    refresh: MakeRefresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[tuple[str, ...]] = []

    def refuse(self: Builder, unless: str = "", started: BuildChild | None = None) -> BuildLine:
        named.append(self.named)
        raise BuildFailed("not today")

    async def thrice(served: Refresh) -> None:
        await begun(served)
        monkeypatch.setattr(Builder, "run", refuse)
        for paths in (["/b"], ["/a"], []):
            with pytest.raises(BuildFailed):
                await served.check(paths)

    asyncio.run(thrice(refresh()))
    assert named == [("/b",), ("/a", "/b"), ("/a", "/b")]  # a build that failed has not looked


def test_kinds_that_did_not_change_are_served_on_as_they_are(
    refresh: MakeRefresh, make_tree: MakeTree
) -> None:
    async def change(served: Refresh) -> tuple[Index, Index]:
        before = await begun(served)
        make_tree({"commands/c.md": "Do it."})
        return before, await served.check()

    before, after = asyncio.run(change(refresh()))
    assert after.segments["agent"] is before.segments["agent"]
    assert after.segments["workflow"].size == 1
