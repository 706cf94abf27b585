"""What does a person see? Tests act through the server's methods, and look at what is drawn."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest

from orchestr8_index.config import REPOSITORY

from ..processes import Running, World, wait_for
from ..serve.hooks import events
from .looking import expect, looking, rpc, see, write_agent

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VIEWS = {  # each with what it has once it is drawn
    "Ask": "li.hit",
    "Catalogue": ".long .row",
    "Learned": "section:nth-of-type(2) :is(.empty, table)",
    "Now": "section:nth-of-type(2) :is(.empty, table)",
    "Health": ".figures dd",
}
SLOW = "our database queries are slow"
TLS = REPOSITORY / "tests" / "end_to_end"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


def asked(server: Running) -> Any:
    return rpc(server.port, "getMetrics")["queries"]["total"]


def box(page: Page) -> Any:
    return page.get_by_role("searchbox")


def hit(page: Page, name: str) -> Any:
    return page.locator("li.hit", has=page.get_by_role("button", name=f"{name} of", exact=False))


def locked(page: Page, resource: str) -> Any:
    return page.get_by_role("region", name="Locks").get_by_role("row", name=re.compile(resource))


def lock(server: Running, resource: str) -> str:
    held = rpc(server.port, "lockResources", "ada", action="acquire", resources=[resource])
    return str(held["token"])


# --- asking ------------------------------------------------------------------------------------


def test_a_question_is_answered_while_one_types_and_explained(page: Page) -> None:
    box(page).press_sequentially(SLOW, delay=5)
    first = hit(page, "postgres-tuner")
    expect(first).to_contain_text("build-and-ship")
    first.get_by_role("button", name="Why").click()
    numbers = first.locator("tbody td.number")
    expect(numbers.first).to_be_visible()
    lines, whole = numbers.all_inner_texts(), first.locator("tfoot td.number").inner_text()
    assert sum(map(float, lines)) == pytest.approx(float(whole), abs=0.004)
    expect(page.get_by_role("img", name=re.compile("found: .*postgres-tuner"))).to_be_visible()


def test_half_a_question_leaves_no_trace_and_enter_counts_it(page: Page, server: Running) -> None:
    before, log = asked(server), server.world.data / "logs" / "mcp.log"
    box(page).fill("unfinished zebra rel")
    expect(page.locator("p.said")).to_contain_text("found")
    written = log.read_text()
    assert asked(server) == before and "tryQuestion" not in written and "zebra" not in written
    box(page).fill("write release notes")
    box(page).press("Enter")
    expect(page).to_have_url(re.compile("q=write%20release%20notes"))
    expect(hit(page, "release-notes")).to_be_visible()
    assert asked(server) == before + 4  # three kinds, and what worked before
    page.reload()
    expect(hit(page, "release-notes")).to_be_visible()


def test_a_report_changes_the_next_answer(page: Page) -> None:
    box(page).fill("make numbers understandable")
    box(page).press("Enter")
    second = page.get_by_role("region", name="Agents").locator("li.hit").nth(1)
    name = second.locator("button.name").inner_text()
    before = float(second.locator(".score").inner_text())
    second.get_by_role("button", name=f"This one did it: {name}").click()
    expect(page.locator("p.said")).to_contain_text(f"Kept. {name}")
    assert float(hit(page, name).locator(".score").inner_text()) > before
    see(page, "Learned")
    expect(page.get_by_role("listitem").first).to_contain_text("make numbers understandable")
    expect(page.locator("table.records")).to_contain_text(name)


def test_a_skill_that_did_it_needs_no_agent_and_can_be_forgotten(page: Page) -> None:
    page.goto(f"{page.url}#/ask?q=clean%20a%20messy%20csv")
    hit(page, "csv-cleanup").get_by_role("button", name="Not this one: csv-cleanup").click()
    expect(page.locator("p.said")).to_contain_text("Kept. csv-cleanup")
    see(page, "Learned")
    curve = page.get_by_role("region", name="Was the first answer right?")
    expect(curve).not_to_contain_text("a few seconds")  # then nothing moves below the pointer
    row = page.get_by_role("listitem").filter(has_text="clean a messy csv")
    row.get_by_role("button", name="Forget").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    expect(row).to_have_count(0)


def test_a_row_stays_in_hand_while_others_come(page: Page, server: Running) -> None:
    report: dict[str, Any] = {
        "task_id": "w",
        "task_description": "plan the winter menu",
        "agents_used": ["postgres-tuner"],
        "result": "success",
    }
    rpc(server.port, "cacheDecision", **report)
    see(page, "Learned")
    menu, later = (page.get_by_role("listitem").filter(has_text=of) for of in ("winter", "spring"))
    forget = menu.get_by_role("button", name="Forget").element_handle()
    forget.focus()
    rpc(
        server.port,
        "cacheDecision",
        **report | {"task_id": "s", "task_description": "plan the spring menu"},
    )
    expect(later).to_be_visible()
    assert forget.evaluate("node => node === document.activeElement")


def test_nothing_to_ask_says_what_to_do_next(page: Page) -> None:
    expect(page.locator(".empty")).to_contain_text("Write what is to be done")
    page.get_by_role("link", name="write release notes").click()
    expect(hit(page, "release-notes")).to_be_visible()


# --- what happens ------------------------------------------------------------------------------


def test_a_saved_file_appears(page: Page, tree: Path) -> None:
    see(page, "Catalogue")
    expect(page.locator("p.said")).to_contain_text("entries of")
    box(page).fill("zither")
    expect(page.locator(".empty")).to_contain_text("No entry fits")
    write_agent(tree, "zither-tuner", "Tunes zithers before each concert.")
    saved = page.get_by_role("button", name="zither-tuner")
    expect(saved).to_be_visible(timeout=30_000)  # a busy machine builds it in a while


def test_a_lock_appears_and_goes_and_is_broken_with_a_reason(page: Page, server: Running) -> None:
    see(page, "Now")
    expect(page.get_by_role("region", name="Locks")).to_contain_text("Nobody holds a lock")
    token = lock(server, "port:3000")
    row = locked(page, "port:3000")
    expect(row).to_contain_text("ada")
    rpc(server.port, "lockResources", "ada", action="release", token=token)
    expect(row).to_have_count(0)
    lock(server, "port:4000")
    page.get_by_role("button", name="Break the lock on port:4000").click()
    page.get_by_label("Why").fill("its holder is gone")
    page.get_by_role("button", name="Break", exact=True).click()
    expect(page.get_by_role("region", name="Locks")).to_contain_text("Nobody holds a lock")


def test_a_message_and_a_delegated_task_appear(page: Page, server: Running) -> None:
    see(page, "Now")
    work = page.get_by_role("region", name="Delegated tasks")
    expect(work).to_contain_text("No task was delegated yet")
    hooked = f"http://127.0.0.1:{server.port}/hooks/claude"
    httpx.post(hooked, json={**events.completed(), "hook_event_name": "PreToolUse"})
    expect(work.get_by_role("row").nth(1)).to_contain_text("running")
    httpx.post(hooked, json=events.completed())
    expect(work.get_by_role("row").nth(1)).to_contain_text("success")
    rpc(server.port, "sendMessage", "ada", to=["bob"], body="The parser is ready.")
    expect(page.get_by_role("region", name="Messages")).to_contain_text("The parser is ready.")


def test_the_stream_goes_on_after_a_restart(browser: Browser, tree: Path, tmp_path: Path) -> None:
    with World(tmp_path) as world:
        server = world.serve("--root", str(tree))
        with looking(browser, f"http://127.0.0.1:{server.port}") as page:
            status = page.locator("#status")
            expect(status).to_contain_text("Live")
            see(page, "Now")
            server.stop()
            expect(status).to_contain_text("Not connected")
            world.serve("--root", str(tree), "--port", str(server.port))
            expect(status).to_contain_text("Live")
            lock(server, "port:5000")
            expect(locked(page, "port:5000")).to_be_visible()


# --- who may look, and what is drawn -----------------------------------------------------------


def test_under_tls_and_keys_a_wrong_key_shows_nothing(browser: Browser, tmp_path: Path) -> None:
    with World(tmp_path) as world:
        key = world.run("key", "add", "ada", "--scope", "read").stdout.strip()
        secure = ("--tls-cert", str(TLS / "tls-cert.pem"), "--tls-key", str(TLS / "tls-key.pem"))
        server = world.serve("--require-keys", *secure)
        with looking(browser, f"https://127.0.0.1:{server.port}") as page:
            given = page.get_by_role("textbox", name="Key")
            given.fill("wrong")
            given.press("Enter")
            expect(page.get_by_role("dialog")).to_contain_text("not known")
            expect(page.locator("#status")).not_to_contain_text("entries")
            given.fill(key)
            given.press("Enter")
            expect(page.locator("#status")).to_contain_text("Live")
            see(page, "Catalogue")
            expect(page.locator("p.said")).to_contain_text("entries of")
            assert page.evaluate("localStorage.length") == 0 and key not in page.url


def test_markup_in_names_tasks_and_messages_is_text(
    page: Page, tree: Path, server: Running
) -> None:
    evil = "<img src=x onerror=document.title='owned'>"
    write_agent(tree, f"a {evil}", f"Paints quinces. {evil}")
    wait_for(lambda: bool(rpc(server.port, "queryAgents", context="quinces")["agents"]))
    page.reload()
    see(page, "Catalogue")
    box(page).fill("quinces")
    page.get_by_role("button", name=re.compile("<img")).click()
    expect(page.locator("pre")).to_contain_text(evil)
    report = {"task_id": "t-evil", "task_description": evil, "result": "success"}
    rpc(server.port, "cacheDecision", agents_used=[f"studio:a {evil}"], **report)
    see(page, "Learned")
    expect(page.get_by_role("listitem").first).to_contain_text(evil)
    see(page, "Now")
    expect(page.get_by_role("region", name="Messages")).to_contain_text("No message")
    rpc(server.port, "sendMessage", "ada", to=["bob"], body=evil, subject=evil)
    expect(page.get_by_role("region", name="Messages")).to_contain_text(evil)
    assert page.locator("img[src]").count() == 0 and page.title() == "Now · Orchestr8 Index"


def test_it_works_without_a_mouse(page: Page) -> None:
    expect(box(page)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("write release notes")
    page.keyboard.press("Enter")
    expect(hit(page, "release-notes")).to_be_visible()
    page.keyboard.press("ArrowDown")
    name = page.evaluate("document.activeElement.innerText")
    page.keyboard.press("Enter")
    expect(page.locator(".entry h2")).to_be_focused()
    expect(page.locator(".entry pre")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.innerText") == name
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("table.why").first).to_be_visible()
    page.get_by_role("link", name="Health").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".state")).to_contain_text("Healthy")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_who_cannot_see_or_point(tab: Callable[..., Page], scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core: scripts/vendor --tests")
    page = tab(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    page.goto(f"{page.url}#/ask?q=write%20release%20notes")
    page.locator("li.hit").first.get_by_role("button", name="Why").click()
    expect(page.locator("table.why")).to_be_visible()
    for view, whole in VIEWS.items():
        if view != "Ask":
            see(page, view)
        expect(page.locator(whole).first).to_be_attached()
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate("axe.run()")["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        named = [(each["id"], [n["html"][:120] for n in each["nodes"][:3]]) for each in serious]
        assert named == [], view


@pytest.mark.parametrize("width", [360, 2560])
def test_nothing_is_cut_off_at_any_width(tab: Callable[..., Page], width: int) -> None:
    page = tab(viewport={"width": width, "height": 800})
    page.goto(f"{page.url}#/ask?q=write%20release%20notes")
    for view, whole in VIEWS.items():
        if view != "Ask":
            see(page, view)
        expect(page.locator(whole).first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


# --- servers and usage -------------------------------------------------------------------------


def test_what_is_asked_is_counted_by_tool_and_caller(page: Page, server: Running) -> None:
    rpc(server.port, "queryAgents", agent="usage-tester", context="a zebra")
    see(page, "Usage")
    expect(page.get_by_role("region", name="Callers")).to_contain_text("usage-tester")
    row = page.get_by_role("region", name="Tools").get_by_role("row", name="queryAgents")
    expect(row).to_be_visible()
    page.get_by_label("Last 7 days").check()
    expect(row).to_be_visible()


def test_a_server_alone_says_so(page: Page) -> None:
    see(page, "Servers")
    expect(page.get_by_role("status").last).to_contain_text("One server")
    table = page.get_by_role("region", name="Servers", exact=True)
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table).to_contain_text("sqlite")
