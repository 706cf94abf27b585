"""Do ten thousand entries and ten thousand decisions scroll?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestr8_index.records import Decision
from orchestr8_index.store.database import NAME, connect, transaction
from orchestr8_index.store.ledger import insert_decision, now
from orchestr8_index.store.schema import migrate

from ..processes import Running, World
from .looking import expect, looking, see

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MANY = 10_000


@pytest.fixture(scope="module")
def crowd(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("crowd")
    (root / "agents").mkdir()
    for number in range(MANY):
        text = f"---\nname: agent-{number:05}\ndescription: Knows matter {number}.\n---\nText."
        (root / "agents" / f"agent-{number:05}.md").write_text(text)
    with World(tmp_path_factory.mktemp("world")) as world:
        fill(world.data)
        yield world.serve("--root", str(root))


def fill(data: Path) -> None:
    """In one transaction: reports wait for the disk."""
    data.mkdir(mode=0o700)
    with contextlib.closing(connect(data / NAME)) as connection:
        migrate(connection)
        with transaction(connection):
            for number in range(MANY):
                insert_decision(connection, decision(number))


def decision(number: int) -> Decision:
    return Decision(
        task_id=f"t-{number}",
        task_description=f"task {number}",
        agents_used=(f"agent-{number % 50:05}",),
        result="failure",
        duration_ms=None,
        tokens_saved=None,
        timestamp=now(),
    )


def drawn(page: Page) -> int:
    return int(page.locator(".long .row").count())


def scroll_to_end(page: Page) -> None:
    page.locator(".long").evaluate("node => { node.scrollTop = node.scrollHeight; }")


def test_entries_scroll_to_the_last(browser: Browser, crowd: Running) -> None:
    with looking(browser, f"http://127.0.0.1:{crowd.port}") as page:
        see(page, "Catalogue")
        expect(page.locator("p.said")).to_contain_text("10,000 entries of", timeout=20_000)
        expect(page.get_by_role("button", name="agent-00000")).to_be_visible()
        scroll_to_end(page)
        expect(page.get_by_role("button", name="agent-09999")).to_be_visible()
        assert drawn(page) < 100


def test_decisions_scroll_to_the_first(browser: Browser, crowd: Running) -> None:
    with looking(browser, f"http://127.0.0.1:{crowd.port}") as page:
        see(page, "Learned")
        newest = page.get_by_role("listitem").first
        expect(newest).to_contain_text("task 9999")
        for place in range(500, MANY + 1, 500):
            expect(page.locator(f"[aria-label='Decisions'][data-known='{place}']")).to_be_attached()
            scroll_to_end(page)
        expect(page.locator(".row").last).to_contain_text("task 0")
        assert drawn(page) < 100
