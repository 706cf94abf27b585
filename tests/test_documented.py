"""Are the documents true? Methods are named, links are alive, and what is exported exists."""

from __future__ import annotations

import ast
import re

import pytest

import orchestr8_index
from orchestr8_index.cli import COMMANDS
from orchestr8_index.config import REPOSITORY, ReadLimits
from orchestr8_index.methods import METHODS
from orchestr8_index.variables import Variable, variables

from .source import modules

DOCUMENTS = [
    name
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/errors.md")
    if (REPOSITORY / name).exists()
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:\./)?[\w.-]+(?:/[\w.-]+)*/?)`")
TOP = {path.name for path in REPOSITORY.iterdir()} | {
    path.name for path in (REPOSITORY / "orchestr8_index").iterdir()
}
SCRIPTS = ["init.sh", "stop.sh", "status.sh"]


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_in_the_readme(method: str) -> None:
    assert f"`{method}`" in text_of("README.md") or f'"{method}"' in text_of("README.md")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"\b{command}\b", text_of("README.md"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_is_alive(name: str) -> None:
    local = [link for link in LINK.findall(text_of(name)) if not link.startswith(("http", "#"))]
    dead = [link for link in local if not (REPOSITORY / link.split("#")[0]).exists()]
    assert dead == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_to_a_heading_has_its_heading(name: str) -> None:
    text = text_of(name)
    headings = {anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}
    wanted = {link[1:] for link in LINK.findall(text) if link.startswith("#")}
    assert wanted <= headings


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_that_is_mentioned_exists(name: str) -> None:
    """Paths in backticks that begin in this repository or in the package."""
    mentioned = {path.removeprefix("./") for path in PATH.findall(text_of(name))}
    ours = {path for path in mentioned if "/" in path.rstrip("/") and path.split("/")[0] in TOP}
    assert {path for path in ours if not exists(path)} == set()


def exists(path: str) -> bool:
    places = (REPOSITORY, REPOSITORY / "orchestr8_index")
    return any((place / path).exists() for place in places)


@pytest.mark.parametrize("module", modules())
def test_every_exported_name_exists_and_is_public(module: str) -> None:
    exported = exports(modules()[module])
    assert len(exported) == len(set(exported))
    found = __import__(module, fromlist=["_"]) if exported else None
    assert [name for name in exported if not hasattr(found, name)] == []


def exports(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_are_short(script: str) -> None:
    assert len(text_of(script).splitlines()) <= 40


@pytest.mark.parametrize("module", modules())
def test_every_module_says_what_it_answers(module: str) -> None:
    assert ast.get_docstring(modules()[module])


def test_the_version_stands_in_the_changelog() -> None:
    text = text_of("CHANGELOG.md")
    assert orchestr8_index.__version__ in text or "Unreleased" in text


@pytest.mark.parametrize("limit", variables(ReadLimits), ids=lambda each: each.name)
def test_every_limit_of_reading_is_on_the_page_on_security(limit: Variable) -> None:
    assert f"`{limit.name}`" in text_of("docs/security.md")
