"""How soon is the page drawn, an answer shown, an event on it; what does it cost?

In headless chromium, on the root's entries; the map on 2,000 made ones. Each median of ten, but for
the idle minute. Needs `pip install -r requirements-browser.lock` and Debian's chromium.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .harness import Run
from .servers import Client, Server
from .texts import synthetic

TIMES, IDLE_SECONDS = 10, 30.0
WHEN_SHOWN = """(text) => new Promise((done) => {
  const look = () => document.querySelector('main').innerText.includes(text);
  if (look()) done(performance.timeOrigin + performance.now());
  new MutationObserver(() => look() && done(performance.timeOrigin + performance.now()))
    .observe(document.querySelector('main'), {subtree: true, childList: true, characterData: true});
})"""
DRAWN = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SPENT = """() => new Promise((done) => {
  const box = document.querySelector('input[type=search]');
  new PerformanceObserver((list) => {
    const [call] = list.getEntries().filter((each) => each.initiatorType === 'fetch').slice(-1);
    if (!call) return;
    const look = () => document.querySelector('li.hit')
      ? done(performance.now() - call.responseEnd) : setTimeout(look, 0);
    look();
  }).observe({type: 'resource'});
  box.value = 'write tests for the login';
  box.dispatchEvent(new Event('input', {bubbles: true}));
})"""


def main(arguments: list[str]) -> None:
    from playwright.sync_api import sync_playwright

    with (
        Run(__doc__, arguments) as run,
        Server(run.root) as server,
        sync_playwright() as player,
    ):
        path = shutil.which("chromium")
        browser = player.chromium.launch(executable_path=path, args=["--no-sandbox"])
        base, before = f"http://127.0.0.1:{server.port}", server.memory_mb
        page = browser.new_page()
        page.goto(base)
        page.wait_for_selector(".empty")
        time.sleep(1)
        run.row("server's memory", unit="MB", before=before, with_the_page=server.memory_mb)
        run.row("first drawn", ten(lambda: fresh(browser, base, lambda p: p.evaluate(DRAWN))), "ms")
        shown = ten(lambda: fresh(browser, base, lambda p: p.evaluate(SPENT)))
        run.row("answer shown after the server's", shown, "ms")
        page.goto(f"{base}/#/now")
        page.wait_for_selector("text=Nobody holds a lock")
        run.row("event on the page after its commit", ten(lambda: locked(page, server.port)), "ms")
        run.row("idle page, its renderer", idle(browser, page), "% of a core")
        with tempfile.TemporaryDirectory() as folder:
            synthetic(run.root, 2000, Path(folder))
            with Server(folder) as large:
                at = f"http://127.0.0.1:{large.port}"
                run.row("map of 2,000 entries", ten(lambda: fresh(browser, at, mapped)), "ms")
        browser.close()


def ten(once: Callable[[], float]) -> float:
    return round(statistics.median(once() for _ in range(TIMES)), 1)


def fresh(browser: Any, base: str, look: Callable[[Any], float]) -> float:
    page = browser.new_page()
    page.goto(base)
    page.wait_for_selector(".empty")
    found = look(page)
    page.close()
    return found


def mapped(page: Any) -> float:
    page.wait_for_selector("canvas[aria-label^='Map of 2,000']")
    return float(page.evaluate("performance.now()"))


def locked(page: Any, port: int) -> float:
    client, name = Client(port), f"port:{time.monotonic_ns() % 60000 + 1}"
    page.evaluate(f"globalThis.shown = ({WHEN_SHOWN})('{name}'); 0")
    params = {"action": "acquire", "resources": [name]}
    told, _ = client.call("lockResources", params)
    committed = time.time() * 1000
    spent = float(page.evaluate("globalThis.shown")) - committed
    client.call("lockResources", {"action": "release", "token": told["result"]["token"]})
    return spent


def idle(browser: Any, page: Any) -> float:
    """The processor time that the page's own process spends, in percent of a core."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        told = session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in told if each["name"] == "TaskDuration"))

    before = spent()
    time.sleep(IDLE_SECONDS)
    return round((spent() - before) / IDLE_SECONDS * 100, 2)
