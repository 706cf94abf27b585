"""What is sent as the page, and to whom? Without a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import REPOSITORY, Door, fixture_root
from orchestr8_index.page.files import FOLDER, names
from orchestr8_index.serve.http import make_web

from ..serve.asking import ask, settings_of, state_of

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN = [path for path in FOLDER.iterdir() if path.suffix in (".js", ".css", ".html")]


@pytest.fixture
def app(tmp_path: Path, shipped_index: Index) -> ASGIApp:
    """A server that asks for keys."""
    settings = settings_of(tmp_path / "data", fixture_root(), door=Door(require_keys=True))
    return make_web(state_of(settings, shipped_index))


def test_a_browser_gets_the_page_without_a_key_under_a_strict_policy(app: ASGIApp) -> None:
    reply = ask(app, "GET", "/", headers=BROWSER)
    policy = reply.headers["content-security-policy"]
    assert (reply.status_code, "<main" in reply.text) == (200, True)
    assert policy.startswith("default-src 'none'; script-src 'self'") and "unsafe" not in policy
    assert ask(app, "POST", "/", json={}, headers=BROWSER).status_code == 401


@pytest.mark.parametrize("accept", ["application/json", "*/*", ""])
def test_programs_get_what_they_got(app: ASGIApp, accept: str) -> None:
    reply = ask(app, "GET", "/", headers={"accept": accept})
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert reply.json()["error"]["message"] == "This address does not take that verb."


def test_an_unchanged_file_is_not_sent_again(app: ASGIApp) -> None:
    tag = ask(app, "GET", "/page/app.js").headers["etag"]
    reply = ask(app, "GET", "/page/app.js", headers={"if-none-match": tag})
    assert (reply.status_code, reply.content) == (304, b"")


@pytest.mark.parametrize("name", ["none.js", "../files.py", "%2e%2e/files.py", "vendor", "app.py"])
def test_nothing_else_is_a_file_of_the_page(app: ASGIApp, name: str) -> None:
    assert ask(app, "GET", f"/page/{name}").status_code in (401, 404)


def test_the_page_is_small_and_names_no_other_machine() -> None:
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in OWN)
    assert lines <= 1_613  # grown by the views of usage and servers
    text = "".join(path.read_text("utf-8") for path in OWN)
    assert set(re.findall(r"https?://[\w.]+", text)) == {"http://www.w3.org"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)
    assert len(OWN) + 3 == len(names())


def test_what_others_wrote_is_what_was_pinned() -> None:
    command = [sys.executable, str(REPOSITORY / "scripts" / "vendor"), "--check"]
    subprocess.run(command, check=True)
    files = (FOLDER / "vendor").iterdir()
    assert sum(path.stat().st_size for path in files) <= 150_000


def test_the_page_is_loaded_with_its_first_request(tmp_path: Path) -> None:
    code = "import sys, orchestr8_index.serve.http; print('orchestr8_index.page' in sys.modules)"
    done: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"


ELEMENTS = """
class Element {
  kids = []; attributes = {};
  append(...kids) { this.kids.push(...kids); }
  replaceChildren(...kids) { this.kids = kids; }
  setAttribute(name, value) { this.attributes[name] = value; }
}
globalThis.document = { createElement: () => new Element() };
const { fill, h } = await import(process.argv[1]);
const said = JSON.parse(process.argv[2]);
const made = h('p', { title: said }, said, [[said]], 5);
console.log(JSON.stringify([made, fill(new Element(), said)]));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_no_text_of_a_stranger_turns_around_what_stands_beside_it() -> None:
    """A lock's name did, in the question whether to break it."""
    said = "a\u202eb\u2066c\u200f<i>é"
    command = ["node", "--input-type=module", "-e", ELEMENTS, str(FOLDER / "dom.js")]
    done = subprocess.run([*command, json.dumps(said)], capture_output=True, check=True)
    made, filled = json.loads(done.stdout)
    assert made["kids"] == ["abc<i>é", "abc<i>é", 5] and filled["kids"] == ["abc<i>é"]
    assert made["attributes"] == {"title": "abc<i>é"}
