"""Are the documents true? Methods are named, links are alive, and what is exported exists."""

from __future__ import annotations

import ast
import re
import runpy
from importlib import import_module

import pytest

import orchestr8_index
from orchestr8_index.config import REPOSITORY, ReadLimits
from orchestr8_index.variables import Variable, variables

from .source import modules

DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
DOCUMENTS += sorted(str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("docs/**/*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:\./)?[\w.-]+(?:/[\w.-]+)*/?)`")
TOP = {path.name for path in REPOSITORY.iterdir()} | {
    path.name for path in (REPOSITORY / "orchestr8_index").iterdir()
}
SCRIPTS = ["init.sh", "stop.sh", "status.sh"]


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text("utf-8")


def test_the_documents_have_what_the_tables_say() -> None:
    """Mend them with `scripts/pages`."""
    pages = runpy.run_path(str(REPOSITORY / "scripts" / "pages"))
    texts = {name: text_of(name) for name in DOCUMENTS}
    assert {name for name, text in texts.items() if pages["filled"](text) != text} == set()
    parts = [part for text in texts.values() for _, part, _ in pages["PLACE"].findall(text)]
    assert sorted(parts) == sorted(pages["PARTS"])


@pytest.mark.parametrize(("name", "most"), [("README.md", 9_000), ("ARCHITECTURE.md", 12_000)])
def test_the_first_documents_are_short(name: str, most: int) -> None:
    assert len(text_of(name).encode()) <= most


def test_every_document_is_reached_from_the_readme() -> None:
    linked = {link.split("#")[0] for link in LINK.findall(text_of("README.md"))}
    assert set(DOCUMENTS) - {"README.md"} <= linked


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_is_alive(name: str) -> None:
    local = [link for link in LINK.findall(text_of(name)) if not link.startswith(("http", "#"))]
    here = (REPOSITORY / name).parent
    dead = [link for link in local if not (here / link.split("#")[0]).exists()]
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


def test_every_exported_name_exists() -> None:
    exported = {module: exports(tree) for module, tree in modules().items()}
    assert [module for module, names in exported.items() if len(names) != len(set(names))] == []
    assert [
        f"{module}.{name}"
        for module, names in exported.items()
        for name in names
        if not hasattr(import_module(module), name)
    ] == []


def exports(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_are_short(script: str) -> None:
    assert len(text_of(script).splitlines()) <= 40


def test_every_module_says_what_it_answers() -> None:
    assert [name for name, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_the_version_stands_in_the_changelog() -> None:
    text = text_of("CHANGELOG.md")
    assert orchestr8_index.__version__ in text or "Unreleased" in text


@pytest.mark.parametrize("limit", variables(ReadLimits), ids=lambda each: each.name)
def test_every_limit_of_reading_is_on_the_page_on_security(limit: Variable) -> None:
    assert f"`{limit.name}`" in text_of("docs/security.md")
