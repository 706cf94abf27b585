"""How do the tests look at the page? In a real browser that may ask nobody but the server."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2 as httpx
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
NEEDED = "PAGE_TESTS"  # set where the tests must not be left out
MISSING = "needs a browser: apt-get install chromium, and pip install -r requirements-browser.lock"
SEEN_MS = 10_000


@contextmanager
def browsing() -> Iterator[Browser]:
    """One headless browser; without one the test is skipped, or fails where it is needed."""
    if os.environ.get(NEEDED) == "skipped":
        pytest.skip("left out of the plain run: PAGE_TESTS=required scripts/test has it")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None or find_spec("playwright") is None:
        if os.environ.get(NEEDED):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def expect(found: Any) -> Any:
    """Playwright's assertions, which wait; loaded by the tests that have a browser."""
    from playwright.sync_api import expect as expecting

    return expecting(found)


@contextmanager
def looking(browser: Browser, base: str, **options: Any) -> Iterator[Page]:
    """A tab of its own. Fails if the page asked another machine, or something in it broke."""
    context = browser.new_context(ignore_https_errors=True, **options)
    page = context.new_page()
    page.set_default_timeout(SEEN_MS)
    strange: list[str] = []
    page.on("request", lambda r: None if r.url.startswith(f"{base}/") else strange.append(r.url))
    page.on("pageerror", lambda error: strange.append(str(error)))
    page.on("console", lambda said: strange.append(said.text) if _is_fault(said.text) else None)
    page.goto(f"{base}/")
    yield page
    context.close()
    assert strange == []


def _is_fault(text: str) -> bool:
    """The browser itself says when a server is away or refuses; that is no fault of the page."""
    return "Failed to load resource" not in text and "net::ERR" not in text


def see(page: Page, view: str) -> None:
    """Open the view, and wait until it stands: until then the one before would be used."""
    from playwright.sync_api import expect

    page.get_by_role("navigation").get_by_role("link", name=view, exact=True).click()
    expect(page).to_have_title(f"{view} · Orchestr8 Index", timeout=SEEN_MS)


def rpc(port: int, method: str, agent: str = "", **params: Any) -> Any:
    """The result of one call, of an agent of that name."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {"X-Agent": agent} if agent else {}
    reply = httpx.post(f"http://127.0.0.1:{port}/", json=body, headers=headers, timeout=60)
    return reply.json()["result"]


def write_agent(root: Path, name: str, description: str) -> Path:
    """A file of the index's tree, as an editor would save it."""
    path = root / "plugins" / "studio" / "agents" / f"{name.split()[0].strip('<')}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    said = json.dumps(description)
    path.write_text(f"---\nname: {json.dumps(name)}\ndescription: {said}\n---\nA text: {name}.\n")
    return path
