"""Does a host get a skill as it is on the disk, and nothing else from there?"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PaginatedRequestParams

from orchestr8_index.catalog.skill_files import Unfit
from orchestr8_index.serve.mcp.server import make_server
from orchestr8_index.serve.mcp.skills import (
    MOST_READ,
    DirectoryParams,
    SkillParams,
    Skills,
    read_fields,
)
from orchestr8_index.serve.state import State

from ...trees import Files, MakeTree, build_tree
from ..asking import settings_of, state_of

HEADER = (
    "---\nname: knots\ndescription: Ties knots.\nmetadata:\n  date: 2026-01-02\n  on: yes\n---\n"
)
FILES: Files = {
    "skills/knots/SKILL.md": HEADER + "\nTie.\n",
    "skills/knots/references/bowline knot.md": "# Bowline\r\n",
    "skills/knots/assets/rope.bin": b"\xff\x00\xfe",
}
ROOT = "skill://tree/knots"
MakeSkills = Callable[[Files], tuple[Skills, Path]]


@pytest.fixture
def make_skills(tmp_path: Path, make_tree: MakeTree) -> MakeSkills:
    def make(files: Files) -> tuple[Skills, Path]:
        root = make_tree(files)
        index = build_tree(root, data_dir=tmp_path / "data").index
        return Skills(state_of(settings_of(tmp_path / "data", root), index)), root

    return make


def run(result: Any) -> Any:
    return asyncio.run(result)


def listed(skills: Skills) -> list[dict[str, Any]]:
    told = run(skills.listed(None, PaginatedRequestParams()))  # type: ignore[arg-type]
    return list(told["skills"])


def test_an_entry_names_every_file_with_digest_and_size(make_skills: MakeSkills) -> None:
    skills, root = make_skills(FILES)
    (entry,) = listed(skills)
    assert entry["uri"] == f"{ROOT}/SKILL.md"
    for resource in entry["resources"]:
        path = resource["uri"].removeprefix(f"{ROOT}/").replace("%20", " ")
        data = (root / "skills/knots" / path).read_bytes()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert (resource["digest"], resource["size"]) == (digest, len(data))
    assert len(entry["resources"]) == 3


def test_the_header_is_told_as_it_is_written(make_skills: MakeSkills) -> None:
    (entry,) = listed(make_skills(FILES)[0])
    metadata = {"date": "2026-01-02", "on": "yes"}
    assert entry["frontmatter"] == {
        "name": "knots",
        "description": "Ties knots.",
        "metadata": metadata,
    }


def test_one_entry_is_the_same_as_in_the_list(make_skills: MakeSkills) -> None:
    skills, _ = make_skills(FILES)
    params = SkillParams(uri=f"{ROOT}/SKILL.md")
    assert run(skills.get(None, params))["skill"] == listed(skills)[0]  # type: ignore[arg-type]


def test_every_file_is_read_to_the_byte(make_skills: MakeSkills) -> None:
    skills, _ = make_skills(FILES)
    for resource in listed(skills)[0]["resources"]:
        (told,) = run(skills.read(resource["uri"])).contents
        data = told.text.encode() if hasattr(told, "text") else base64.b64decode(told.blob)
        assert len(data) == resource["size"]
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == resource["digest"]


def test_a_folder_lists_its_direct_children(make_skills: MakeSkills) -> None:
    skills, _ = make_skills(FILES)
    told = run(skills.directory(None, DirectoryParams(uri=ROOT)))["resources"]  # type: ignore[arg-type]
    assert {child["name"]: child["mimeType"] for child in told} == {
        "SKILL.md": "text/markdown",
        "assets": "inode/directory",
        "references": "inode/directory",
    }
    below = DirectoryParams(uri=f"{ROOT}/references")
    (child,) = run(skills.directory(None, below))["resources"]  # type: ignore[arg-type]
    assert child["uri"] == f"{ROOT}/references/bowline%20knot.md"


@pytest.mark.parametrize(
    "uri",
    [f"{ROOT}/SKILL.md", f"{ROOT}/moon", "skill://tree/nothing", "skill://", "orchestr8://index"]
    + [f"{ROOT}/..", f"{ROOT}/../.."],
)
def test_what_is_no_folder_is_refused(make_skills: MakeSkills, uri: str) -> None:
    with pytest.raises(MCPError) as caught:
        run(make_skills(FILES)[0].directory(None, DirectoryParams(uri=uri)))  # type: ignore[arg-type]
    assert caught.value.code == -32602


@pytest.mark.parametrize(
    "path", ["../../secret.md", "%2e%2e/%2e%2e/secret.md", "/etc/passwd", "", ".", "SKILL.md/"]
)
def test_nothing_outside_of_the_folder_is_read(make_skills: MakeSkills, path: str) -> None:
    skills, root = make_skills(FILES)
    (root / "secret.md").write_text("secret")
    with pytest.raises(MCPError):
        run(skills.read(f"{ROOT}/{path}"))


def test_links_are_not_followed(make_skills: MakeSkills) -> None:
    skills, root = make_skills(FILES)
    (root / "secret.md").write_text("secret")
    os.symlink(root / "secret.md", root / "skills/knots/linked.md")
    os.symlink(root, root / "skills/knots/up")
    assert len(listed(skills)[0]["resources"]) == 3
    with pytest.raises(MCPError):
        run(skills.read(f"{ROOT}/linked.md"))


@pytest.mark.parametrize(
    "files",
    [
        {"skills/knots.md": HEADER},  # no folder
        {"skills/knots/SKILL.md": "No header at all."},
        {"skills/knots/SKILL.md": "---\nname: knots\ndescription: a: b: c\n---\nx"},  # mended
        {"skills/knots/SKILL.md": "---\nname: Big Knots\ndescription: x\n---\nx"},
        {"skills/knots/SKILL.md": "---\nname: knots\n---\nNo description."},
        {"skills/knots/SKILL.md": "---\nname: knots\ndescription: &a [*a]\n---\nx"},
    ],
)
def test_what_is_no_skill_by_the_format_is_not_listed(
    make_skills: MakeSkills, files: Files
) -> None:
    assert listed(make_skills(files)[0]) == []


def test_a_skill_that_is_gone_is_refused(make_skills: MakeSkills) -> None:
    skills, root = make_skills(FILES)
    (root / "skills/knots/SKILL.md").unlink()
    assert listed(skills) == []
    with pytest.raises(MCPError):
        run(skills.get(None, SkillParams(uri=f"{ROOT}/SKILL.md")))  # type: ignore[arg-type]


def test_a_key_is_neither_listed_nor_read(make_skills: MakeSkills) -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkq\n" * 12
    below = "skills/knots/references"
    skills, _ = make_skills({**FILES, f"{below}/.env": "A=1", f"{below}/old.txt": key})
    assert len(listed(skills)[0]["resources"]) == 3
    for name in (".env", "old.txt"):
        with pytest.raises(MCPError):
            run(skills.read(f"{ROOT}/references/{name}"))


def test_a_large_file_is_told_by_size_digest_and_path(make_skills: MakeSkills) -> None:
    data = b"\0" * (MOST_READ + 1)
    skills, _ = make_skills({**FILES, "skills/knots/assets/big.bin": data})
    (told,) = run(skills.read(f"{ROOT}/assets/big.bin")).contents
    assert json.loads(told.text) == {
        "size": len(data),
        "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "path": "skills/knots/assets/big.bin",
    }


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        ("a: 1\nb: 2.5\nc: true\nd: null", {"a": 1, "b": 2.5, "c": True, "d": None}),
        ("a: 1_000\nb: 012\nc: 1:30\nd: no", {"a": "1_000", "b": 12, "c": "1:30", "d": "no"}),
        ("a: [x, 1e3]\nb: {c: ~}", {"a": ["x", 1000.0], "b": {"c": None}}),
    ],
)
def test_yaml_is_read_as_json_can_say_it(block: str, fields: dict[str, Any]) -> None:
    told = read_fields(f"---\nname: n\ndescription: d\n{block}\n---\n".encode())
    assert told == {"name": "n", "description": "d", **fields}


@pytest.mark.parametrize("block", ["a: .inf", "? [x]\n: y", "a: !!python/object:os.x {}", "a: &x"])
def test_no_yaml_ends_in_a_defect(block: str) -> None:
    try:
        read_fields(f"---\nname: n\ndescription: d\n{block}\n---\n".encode())
    except Unfit:
        pass


def test_a_host_sees_the_extension(state: State) -> None:
    async def capabilities() -> Any:
        async with Client(make_server(state)) as client:
            return client.server_capabilities.extensions

    assert run(capabilities()) == {"io.modelcontextprotocol/skills": {"directoryRead": True}}
