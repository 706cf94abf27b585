"""Who plays a role? Registries read, references resolved, dangling ones told."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr8_index.catalog.roles import Directory, dangling, read_registry, resolve
from orchestr8_index.records import Finding, Role

REGISTRY = """roles:
  writer:
    primary: studio:docs-writer
    fallbacks: [editor]
    capabilities: [docs]
    model: sonnet
    use_when: "Words & *stars* are wanted."
"""


def read(tmp_path: Path, text: str | bytes) -> tuple[list[Role], list[Finding]]:
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / "agent-registry.yml").write_bytes(data)
    return read_registry(str(tmp_path), "agent-registry.yml")


def test_a_role_is_read_with_its_line(tmp_path: Path) -> None:
    ((role,), wrong) = read(tmp_path, REGISTRY)
    assert wrong == []
    assert (role.name, role.primary, role.fallbacks) == (
        "writer",
        "studio:docs-writer",
        ("editor",),
    )
    assert (role.capabilities, role.model, role.line) == (("docs",), "sonnet", 2)


def test_marks_that_look_like_aliases_are_text(tmp_path: Path) -> None:
    # an ampersand and a star anywhere once cost all roles
    ((role,), _) = read(tmp_path, REGISTRY)
    assert role.use_when == "Words & *stars* are wanted."


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("roles: [", "cannot be read", 1),
        ("- a", "no `roles:` mapping", 1),
        ("roles: [a]", "no `roles:` mapping", 1),
        ("x: &a [*a]", "alias inside of its own anchor", 1),
        ("roles: !!python/name:os.system", "hostile: a tag", 1),
        ("roles: " + "[" * 100_000, "nest too deep", None),
        ("#" * 1_000_001, "over 1,000,000 bytes", None),
        ("roles: \0", "cannot be read", None),
    ],
)
def test_a_registry_that_cannot_be_read_is_a_finding(
    tmp_path: Path, text: str, message: str, line: int | None
) -> None:
    roles, (finding,) = read(tmp_path, text)
    assert roles == []
    assert message in finding.message
    assert (finding.rule, finding.severity, finding.line) == ("registry", "error", line)


def test_a_registry_that_vanishes_is_a_finding(tmp_path: Path) -> None:
    _, (finding,) = read_registry(str(tmp_path), "gone.yml")
    assert "cannot be read: No such file" in finding.message


@pytest.mark.parametrize("body", ["{}", "null", "text", "{primary: null, model: x}"])
def test_a_role_without_a_primary_agent_is_a_finding(tmp_path: Path, body: str) -> None:
    roles, (finding,) = read(tmp_path, f"roles:\n  \n  odd: {body}\n")
    assert roles == []
    assert (finding.message, finding.line) == ("role odd has no primary agent", 3)


def test_a_role_may_have_fallbacks_only(tmp_path: Path) -> None:
    (role,), (finding,) = read(tmp_path, "roles:\n  odd:\n    fallbacks: x, y\n")
    assert role.fallbacks == ("x", "y")
    assert finding.severity == "error"


AGENTS = Directory(
    [
        ("one", "Code Reviewer", "code-reviewer"),
        ("two", "code-reviewer", "cr"),
        ("two", "x", "solo"),
    ]
)


@pytest.mark.parametrize(
    ("reference", "place"),
    [
        ("one:code-reviewer", 0),
        ("two:code_reviewer", 1),
        ("code-reviewer", 0),
        ("two:cr", 1),
        ("cr", 1),
        ("solo", 2),
        ("one:solo", None),
        ("three:code-reviewer", None),
        ("nobody", None),
    ],
)
def test_references_are_found_bare_or_qualified(reference: str, place: int | None) -> None:
    assert AGENTS.find(reference) == place


def test_a_role_resolves_to_those_that_exist() -> None:
    role = Role("r", "gone", ("two:cr", "solo", "solo", "also-gone"), line=3, path="r.yml")
    resolved = resolve(role, AGENTS)
    assert (resolved.agents, resolved.missing) == ((1, 2), ("gone", "also-gone"))


def test_a_dangling_fallback_is_a_warning_while_somebody_is_there() -> None:
    role = Role("r", "gone", ("solo", "also-gone"), line=3, path="r.yml")
    first, second = dangling(resolve(role, AGENTS))
    assert (first.severity, first.line, first.path) == ("warning", 3, "r.yml")
    assert first.message == "role r: its primary agent gone does not exist"
    assert second.message == "role r: its fallback also-gone does not exist"


def test_a_role_that_nobody_plays_is_an_error() -> None:
    (finding,) = dangling(resolve(Role("r", "gone"), AGENTS))
    assert finding.severity == "error"
