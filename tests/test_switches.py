"""What a user has switched off in a host's own settings is not offered for that host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from orchestr8_index.catalog.findings import of_reports
from orchestr8_index.catalog.index import Index, open_index
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import Settings, read_settings
from orchestr8_index.places import call_of, hosts_of
from orchestr8_index.queries import SkillQuery
from orchestr8_index.records import Entry, FileReport
from orchestr8_index.search.answer import answer_skills
from orchestr8_index.text import Terms

from .serve.asking import Here
from .trees import Files, agent, write_tree


def skill(name: str) -> str:
    return f"---\nname: {name}\ndescription: Paints the {name} fence.\n---\nPaint it.\n"


def settings_over(base: Path, files: Files, env: Mapping[str, str] | None = None) -> Settings:
    """Those of somebody who stands in `base/shop`, with a home beside it."""
    home = write_tree(base / "home", {})
    write_tree(base, {"shop/.git/HEAD": "", **files})
    return read_settings((), 0, str(base / "data"), environ=env or {}, cwd=base / "shop", home=home)


def built(settings: Settings) -> tuple[Index, tuple[FileReport, ...]]:
    line = Here(settings).run()
    generations = Generations(settings.data_dir, settings.roots_digest)
    index = open_index(generations, line.generation)
    return index, generations.files(index.generation).files


def entries(index: Index) -> dict[str, Entry]:
    found = (s.entry(place) for s in index.segments.values() for place in range(s.size))
    return {entry.name: entry for entry in found}


CODEX = '[[skills.config]]\n{} = "{}"\nenabled = false\n'
OFF = {
    "claude, the user's": (
        ".claude/skills/red/SKILL.md",
        "home/.claude/settings.json",
        '{"skillOverrides": {"red": "off"}}',
    ),
    "claude, the project's": (
        ".claude/skills/red/SKILL.md",
        "shop/.claude/settings.local.json",
        '{"skillOverrides": {"red": "off"}}',
    ),
    "codex, by name": (
        ".codex/skills/red/SKILL.md",
        "home/.codex/config.toml",
        CODEX.format("name", "red"),
    ),
    "codex, by path": (
        ".agents/skills/red/SKILL.md",
        "home/.codex/config.toml",
        CODEX.format("path", "{shop}/.agents/skills/red/SKILL.md"),
    ),
    "gemini": (
        ".gemini/skills/red/SKILL.md",
        "home/.gemini/settings.json",
        '{"skills": {"disabled": ["red"]}}',
    ),
    "opencode, by a pattern": (
        ".opencode/skill/red/SKILL.md",
        "shop/opencode.jsonc",
        '{// ours\n"permission": {"skill": {"*": "allow", "r*": "deny",}}}',
    ),
}


@pytest.mark.parametrize("which", OFF)
def test_a_skill_that_its_only_host_does_not_load_is_no_entry(which: str, tmp_path: Path) -> None:
    path, file, said = OFF[which]
    said = said.replace("{shop}", str(tmp_path / "shop"))
    blue = path.replace("red", "blue")
    files = {f"shop/{path}": skill("red"), f"shop/{blue}": skill("blue"), file: said}
    index, reports = built(settings_over(tmp_path, files))
    assert list(entries(index)) == ["blue"]
    [told] = [report for report in reports if report.outcome == "skipped"]
    assert told.reason.startswith("switched off: ") and str(tmp_path / file) in told.reason
    [finding] = of_reports([told], {})  # as its owner wanted it
    assert (finding.rule, finding.severity) == ("switched-off", "info")


AGENTS = {
    "claude": (
        ".claude/agents/red.md",
        ".claude/settings.json",
        '{"permissions": {"deny": ["Agent(red)", "Bash(rm *)"]}}',
    ),
    "gemini": (
        ".gemini/agents/red.md",
        ".gemini/settings.json",
        '{"agents": {"overrides": {"red": {"enabled": false}}}}',
    ),
    "opencode": (
        ".opencode/agent/red.md",
        "opencode.json",
        '{"agent": {"red": {"disable": true}}}',
    ),
}


@pytest.mark.parametrize("host", AGENTS)
def test_so_is_an_agent(host: str, tmp_path: Path) -> None:
    path, file, said = AGENTS[host]
    blue = path.replace("red", "blue")
    files = {path: agent("red"), blue: agent("blue"), file: said}
    settings = settings_over(tmp_path, {f"shop/{name}": text for name, text in files.items()})
    assert list(entries(built(settings)[0])) == ["blue"]


def test_a_header_switches_an_agent_of_opencode_off(tmp_path: Path) -> None:
    text = "---\ndescription: Paints.\ndisable: true\n---\nPaint.\n"
    files = {"shop/.opencode/agent/red.md": text, "shop/.claude/agents/blue.md": agent("blue")}
    index, reports = built(settings_over(tmp_path, files))
    assert list(entries(index)) == ["blue"]
    assert "disable: true" in next(r.reason for r in reports if r.outcome == "skipped")


def test_what_another_host_that_is_here_loads_is_an_entry_for_that_one(tmp_path: Path) -> None:
    files = {
        "shop/.claude/skills/red/SKILL.md": skill("red"),
        "home/.claude/settings.json": '{"skillOverrides": {"red": "off"}}',
        "home/.cursor/mcp.json": "{}",
    }
    index, _ = built(settings_over(tmp_path, files))
    red = entries(index)["red"]
    assert "claude" not in hosts_of(red) and "cursor" in hosts_of(red)
    for host, found in (("claude", []), (None, []), ("cursor", ["red"])):
        asked = msgspec.convert({"context": "paint the red fence", "host": host}, SkillQuery)
        assert [row.name for row in answer_skills(index, asked, Terms()).rows] == found


def test_what_only_a_person_may_start_by_the_settings_is_marked(tmp_path: Path) -> None:
    files = {
        f"shop/.claude/skills/{name}/SKILL.md": skill(name) for name in ("red", "blue", "green")
    }
    said = {
        "skillOverrides": {"red": "user-invocable-only"},
        "permissions": {"deny": ["Skill(blue *)"]},
    }
    files["shop/.claude/settings.json"] = json.dumps(said)
    found = entries(built(settings_over(tmp_path, files))[0])
    assert {name: entry.for_people for name, entry in found.items()} == {
        "red": True,
        "blue": True,
        "green": False,
    }


def test_the_project_s_word_goes_before_the_user_s(tmp_path: Path) -> None:
    files = {
        "home/.claude/skills/red/SKILL.md": skill("red"),
        "shop/.claude/skills/blue/SKILL.md": skill("blue"),
        "home/.claude/settings.json": '{"skillOverrides": {"red": "off"}}',
        "shop/.claude/settings.json": '{"skillOverrides": {"red": "on"}}',
    }
    assert set(entries(built(settings_over(tmp_path, files))[0])) == {"red", "blue"}


def test_a_changed_setting_is_seen_at_the_next_look(tmp_path: Path) -> None:
    files = {f"shop/.codex/skills/{name}/SKILL.md": skill(name) for name in ("red", "blue")}
    settings = settings_over(tmp_path, files)
    index, _ = built(settings)
    assert Here(settings).run(index.manifest.digest).fresh
    write_tree(tmp_path, {"home/.codex/config.toml": CODEX.format("name", "red")})
    assert not Here(settings).run(index.manifest.digest).fresh
    assert list(entries(built(settings)[0])) == ["blue"]


SILENT = {
    "a number": b"[[skills.config]]\nname = 3\n",
    "no table": b"skills = 1",
    "broken": b"[",
    "no text": b"\xff",
}


def test_a_name_that_is_no_text_says_nothing(tmp_path: Path) -> None:
    said = '{"agent": {"\\ud800": {"prompt": "x"}}}'
    files = {"shop/.opencode/agent/red.md": agent("red"), "shop/opencode.json": said}
    assert list(entries(built(settings_over(tmp_path, files))[0])) == ["red"]


@pytest.mark.parametrize("which", SILENT)
def test_settings_that_say_nothing_switch_nothing(which: str, tmp_path: Path) -> None:
    files = {"shop/.codex/skills/red/SKILL.md": skill("red")}
    write_tree(tmp_path, {"home/.codex/config.toml": SILENT[which]})
    assert list(entries(built(settings_over(tmp_path, files))[0])) == ["red"]


DECLARED = {
    "agent": {
        "red": {"description": "Paints.", "prompt": "{file:./red.md}"},
        "sub/blue": {"model": "a/b"},
        "filed": {"prompt": "Paint."},
        "off": {"prompt": "Paint.", "disable": True},
        "build": {"prompt": "Build."},
    },
    "command": {"tidy": {"template": "Tidy $ARGUMENTS."}, "filed": {"template": "Paint."}},
}


@pytest.mark.parametrize(
    ("file", "where"),
    [
        ("shop/opencode.json", ".opencode/"),
        ("shop/.opencode/opencode.jsonc", ".opencode/"),
        ("home/.config/opencode/opencode.json", "{base}/home/.config/opencode/"),
    ],
)
def test_what_stands_in_the_settings_alone_is_named(file: str, where: str, tmp_path: Path) -> None:
    files = {
        "shop/.opencode/agent/filed.md": agent("filed"),
        "shop/.opencode/command/filed.md": "Paint it.",
        file: "// ours\n" + json.dumps(DECLARED),
    }
    _, reports = built(settings_over(tmp_path, files))
    told = {
        (r.kind, r.name): (f"{r.root}/{r.path}", r.cure) for r in reports if r.outcome == "skipped"
    }
    assert {(f.rule, f.severity) for f in of_reports(reports, {})} >= {("declared", "warning")}
    folder, at = where.format(base=tmp_path), str(tmp_path / file)
    assert told == {
        ("agent", "red"): (at, f"Write it as {folder}agent/red.md."),
        ("agent", "sub/blue"): (at, f"Write it as {folder}agent/sub/blue.md."),
        ("workflow", "tidy"): (at, f"Write it as {folder}command/tidy.md."),
    }


def test_written_as_files_they_are_entries_and_named_no_more(tmp_path: Path) -> None:
    files = {"shop/.claude/agents/blue.md": agent("blue")}
    settings = settings_over(tmp_path, {**files, "shop/opencode.json": json.dumps(DECLARED)})
    index, reports = built(settings)
    assert list(entries(index)) == ["blue"]
    assert {"red", "sub/blue", "filed", "tidy"} <= {report.name for report in reports}
    moved = {f".opencode/agent/{name}.md": agent("a") for name in ("red", "sub/blue", "filed")}
    moved |= {f".opencode/command/{name}.md": "Do it." for name in ("tidy", "filed")}
    shop = {f"shop/{path}": text for path, text in moved.items()}
    _, reports = built(settings_over(tmp_path, {**files, **shop}))
    assert not [report for report in reports if report.reason.startswith("declared")]


def test_settings_of_opencode_are_merged(tmp_path: Path) -> None:
    files = {
        "shop/.opencode/agent/red.md": agent("red"),
        "shop/.claude/agents/blue.md": agent("blue"),
        "home/.config/opencode/opencode.json": '{"agent": {"red": {"disable": true}}}',
        "shop/opencode.json": '{"agent": {"red": {"model": "a/b"}}}',
    }
    index, reports = built(settings_over(tmp_path, files))
    assert list(entries(index)) == ["blue"]
    assert not [report for report in reports if report.reason.startswith("declared")]


# --- folders that lie elsewhere ----------------------------------------------------------------

MOVED = {
    "CODEX_HOME": ("skills/red/SKILL.md", "codex", "$red"),
    "CLAUDE_CONFIG_DIR": ("skills/red/SKILL.md", "claude", "red"),
    "COPILOT_HOME": ("agents/red.agent.md", "copilot", "red"),
    "OPENCODE_CONFIG_DIR": ("agent/red.md", "opencode", "red"),
    "XDG_CONFIG_HOME": ("opencode/agent/red.md", "opencode", "red"),
    "GEMINI_CLI_HOME": (".gemini/skills/red/SKILL.md", "gemini", "red"),
}


@pytest.mark.parametrize("variable", MOVED)
def test_what_lies_in_a_moved_folder_is_its_host_s(variable: str, tmp_path: Path) -> None:
    path, host, call = MOVED[variable]
    files = {f"moved/{path}": skill("red")}
    settings = settings_over(tmp_path, files, {variable: str(tmp_path / "moved")})
    red = entries(built(settings)[0])["red"]
    assert host in hosts_of(red) and call_of(red, host) == call
    assert (call_of(red, "claude") == "") == (host != "claude")


@pytest.mark.parametrize(
    "path", [".gemini/commands/red.toml", ".gemini/commands/git/red.toml", ".codex/agents/red.toml"]
)
def test_a_user_s_file_of_toml_is_an_entry(path: str, tmp_path: Path) -> None:
    text = 'name = "red"\ndescription = "Paints."\nprompt = "Paint."\n'
    found = entries(built(settings_over(tmp_path, {f"home/{path}": text}))[0])
    assert [name.rpartition(":")[2] for name in found] == ["red"]
