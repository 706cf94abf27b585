"""What would each host load, and under which name? Small trees as users have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from orchestr8_index.config import discovered_roots
from orchestr8_index.places import TITLES, call_of, hosts_of
from orchestr8_index.queries import HostName
from orchestr8_index.records import Entry

from ..trees import Built, Files, agent, build_tree, write_tree


def entries(built: Built) -> dict[str, Entry]:
    """By kind and name, as `skill charts`."""
    segments = built.index.segments.values()
    found = (segment.entry(place) for segment in segments for place in range(segment.size))
    return {f"{entry.kind} {entry.name}": entry for entry in found}


def built(tmp_path: Path, files: Files) -> Built:
    return build_tree(write_tree(tmp_path / "tree", files), data_dir=tmp_path / "data")


def found_at_home(tmp_path: Path, files: Files, **env: str) -> Built:
    """What discovery finds for somebody in `here` whose home is `home`."""
    world = write_tree(tmp_path / "world", {"here/x.md": "", **files})
    given = {name: str(world / path) for name, path in env.items()}
    roots = discovered_roots(world / "here", world / "home", given)
    return build_tree(*map(Path, roots), data_dir=tmp_path / "data")


def skill(name: str) -> str:
    return agent(name)


RECIPE = "title: Tidy\ndescription: Does its work.\nprompt: |\n  Do it.\n"
TOML = 'description = "Does its work."\nprompt = "Do it: {{args}}"\n'


@pytest.mark.parametrize(
    ("path", "text", "name", "call"),
    [
        (".claude/commands/git/tidy.md", "Tidy.", "workflow git:tidy", "/git:tidy"),
        (".claude/agents/deep/a.md", agent("ann"), "agent ann", "ann"),
        (".codex/agents/ann.toml", 'name = "ann"\ndescription = "Does."', "agent ann", "ann"),
        (".codex/prompts/tidy.md", "Tidy it.", "workflow tidy", "/prompts:tidy"),
        (".agents/skills/s/SKILL.md", skill("s"), "skill s", "$s"),
        (".github/agents/ann.agent.md", "---\ndescription: Does.\n---\nx", "agent ann", "ann"),
        (".github/prompts/tidy.prompt.md", "Tidy it.", "workflow tidy", "/tidy"),
        (".github/chatmodes/ann.chatmode.md", "Plans things.", "agent ann", "ann"),
        (".gemini/commands/git/tidy.toml", TOML, "workflow git:tidy", "/git:tidy"),
        (".opencode/agent/ann.md", "---\nmode: subagent\n---\nDoes it.", "agent ann", "ann"),
        (".opencode/command/git/tidy.md", "Tidy it.", "workflow git:tidy", "/git/tidy"),
        (".cursor/commands/tidy.md", "Tidy it.", "workflow tidy", "/tidy"),
        (".windsurf/workflows/tidy.md", "Tidy it.", "workflow tidy", "/tidy"),
        (".agent/workflows/tidy.md", "Tidy it.", "workflow tidy", "/tidy"),
        (".firebender/commands/tidy.mdc", "Tidy it.", "workflow tidy", "/tidy"),
        (".goose/recipes/tidy.yaml", RECIPE, "workflow tidy", "tidy"),
        (".clinerules/workflows/tidy.md", "Tidy it.", "workflow tidy", "/tidy.md"),
        (".kiro/prompts/tidy.md", "Tidy it.", "workflow tidy", "@tidy"),
        (".rovodev/prompts/tidy.prompt.md", "Tidy it.", "workflow tidy", "!tidy"),
        (".tabnine/agent/commands/git/tidy.toml", TOML, "workflow git:tidy", "/git:tidy"),
        (".factory/droids/ann.md", agent("ann"), "agent ann", "ann"),
        (".kimi/skills/s/SKILL.md", skill("s"), "skill s", "s"),
        (".pi/skills/s.md", skill("s"), "skill s", "s"),
    ],
)
def test_each_host_s_own_files_are_entries_under_its_own_name(
    tmp_path: Path, path: str, text: str, name: str, call: str
) -> None:
    tree = built(tmp_path, {path: text})
    (found,) = entries(tree).items()
    assert (found[0], call_of(found[1], hosts_of(found[1])[0])) == (name, call)
    plain = not path.startswith(".claude")  # there a command without a header is mended
    assert not plain or tree.report(path).outcome == "indexed"


@pytest.mark.parametrize(
    "path",
    [
        ".cursor/rules/style.mdc",
        ".github/instructions/kotlin.instructions.md",
        "AGENTS.md",
        ".windsurf/rules/style.md",
    ],
)
def test_rules_are_named_as_what_nobody_calls(tmp_path: Path, path: str) -> None:
    tree = built(tmp_path, {path: "Be kind.", ".claude/agents/a.md": agent("a")})
    assert "not callable" in tree.report(path).reason


@pytest.mark.parametrize(
    "path",
    [".gemini/commands/a.md", "commands/a.toml", "agents/a.yaml", ".agents/skills/list.md"],
)
def test_a_file_of_an_ending_that_the_host_does_not_read_is_told(tmp_path: Path, path: str) -> None:
    tree = built(tmp_path, {path: 'prompt = "x"'})
    assert "the host reads" in tree.report(path).reason


def test_an_extension_s_skills_are_folders(tmp_path: Path) -> None:
    files = {f"skills/{name}": skill("s") for name in ("s/SKILL.md", "list.md")}
    tree = built(tmp_path, {"gemini-extension.json": '{"name": "p"}', **files})
    assert set(entries(tree)) == {"skill s"}
    assert "the host reads SKILL.md there" in tree.report("skills/list.md").reason


def test_a_recipe_that_is_no_yaml_is_refused_with_the_reason(tmp_path: Path) -> None:
    tree = built(tmp_path, {".goose/recipes/x.yaml": "title: [", ".claude/agents/a.md": agent("a")})
    assert tree.report(".goose/recipes/x.yaml").reason.startswith("not YAML: ")


def test_only_listed_skills_are_entries_and_the_rest_is_told(tmp_path: Path) -> None:
    manifest = json.dumps({"name": "p", "skills": ["./skills/a/one"]})
    files = {f"skills/a/{name}/SKILL.md": skill(name) for name in ("one", "two")}
    tree = built(tmp_path, {".claude-plugin/plugin.json": manifest, **files})
    assert set(entries(tree)) == {"skill one"}
    assert tree.report("skills/a/two/SKILL.md").reason.startswith("unlisted: ")


def test_a_listed_skill_s_papers_are_no_skills(tmp_path: Path) -> None:
    plugins = [{"name": "desk", "source": "./", "skills": ["./skills/one"]}]
    files = {"skills/one/SKILL.md": skill("one"), "skills/one/more.md": "# More"}
    tree = built(
        tmp_path, {".claude-plugin/marketplace.json": json.dumps({"plugins": plugins}), **files}
    )
    assert [entry.qualified for entry in entries(tree).values()] == ["desk:one"]


def test_namesakes_in_folders_are_entries_and_those_in_one_folder_are_not(tmp_path: Path) -> None:
    paths = ["agents/back/x.md", "agents/front/x.md", "agents/back/y.md"]
    manifest = {".claude-plugin/plugin.json": '{"name": "p"}'}
    tree = built(tmp_path, {**dict.fromkeys(paths, agent("x")), **manifest})
    calls = {call_of(entry) for entry in entries(tree).values()}
    assert [f.path for f in tree.findings if f.rule == "name-differs"] == []
    assert calls == {"p:back:x", "p:front:x"}
    assert tree.report("agents/back/y.md").reason.startswith("duplicate")


def installed(**versions: str) -> str:
    plugins = {
        f"{name}@shop": [{"scope": "user", "installPath": path}] for name, path in versions.items()
    }
    return json.dumps({"version": 2, "plugins": plugins})


def test_a_host_s_own_folder_holds_what_it_has_installed(tmp_path: Path) -> None:
    cache = "plugins/cache/shop/tool"
    files: Files = {f"{cache}/{v}/agents/a.md": agent(f"a{v}") for v in "12"}
    store = tmp_path / "tree/.claude"
    files = {f".claude/{path}": text for path, text in files.items()}
    files[".claude/plugins/installed_plugins.json"] = installed(tool=str(store / cache / "2"))
    files[".claude/plugins/marketplaces/shop/agents/b.md"] = agent("b")
    files[".claude/worktrees/w/.claude/agents/c.md"] = agent("c")
    assert [entry.qualified for entry in entries(built(tmp_path, files)).values()] == ["tool:a2"]


@pytest.mark.parametrize("where", ["home/.claude", "here/.claude"])
def test_a_plugin_that_is_switched_off_is_not_found(tmp_path: Path, where: str) -> None:
    cache = tmp_path / "world/home/.claude/plugins/cache/shop"
    files = {
        "home/.claude/plugins/installed_plugins.json": installed(
            on=str(cache / "on/1"), off=str(cache / "off/1")
        ),
        "home/.claude/plugins/cache/shop/on/1/agents/a.md": agent("a"),
        "home/.claude/plugins/cache/shop/off/1/agents/b.md": agent("b"),
        f"{where}/settings.json": '{"enabledPlugins": {"off@shop": false}}',
    }
    found = entries(found_at_home(tmp_path, files))
    assert [entry.qualified for entry in found.values()] == ["on:a"]


def test_of_a_plugin_of_codex_the_newest_version_is_loaded_by_codex_alone(tmp_path: Path) -> None:
    cache = "home/.codex/plugins/cache/shop/tool"
    versions = ("1.9", "1.10")
    files = {f"{cache}/{v}/skills/s/SKILL.md": skill(f"s{v}") for v in versions}
    files["home/.codex/config.toml"] = '[plugins."tool@shop"]\nenabled = true\n'
    (found,) = entries(found_at_home(tmp_path, files)).values()
    assert (found.name, hosts_of(found), call_of(found, "codex")) == (
        *("s1.10", ("codex",)),
        "$tool:s1.10",
    )


def test_a_plugin_without_a_manifest_is_of_the_host_that_installed_it(tmp_path: Path) -> None:
    cache = tmp_path / "world/home/.claude/plugins/cache/shop"
    files = {
        "home/.claude/plugins/installed_plugins.json": installed(tool=str(cache / "tool/1")),
        "home/.claude/plugins/cache/shop/tool/1/agents/a.md": agent("a"),
    }
    (found,) = entries(found_at_home(tmp_path, files)).values()
    assert (hosts_of(found), call_of(found)) == (("claude",), "tool:a")


@pytest.mark.parametrize(
    ("rules", "is_on"),
    [
        (["!{world}/*"], False),
        (["!{world}/*", "{world}/here/*"], True),
        (["!{world}/here"], False),
        (["!{world}"], True),
        (["!{world}/elsewhere/*"], True),
    ],
)
def test_an_extension_of_gemini_is_on_where_its_rules_say_so(
    tmp_path: Path, rules: list[str], is_on: bool
) -> None:
    place = "home/.gemini/extensions"
    overrides = [rule.format(world=tmp_path / "world") for rule in rules]
    files = {
        f"{place}/ship/gemini-extension.json": '{"name": "ship"}',
        f"{place}/ship/commands/tidy.toml": TOML,
        "here/.claude/agents/a.md": agent("a"),
        f"{place}/extension-enablement.json": json.dumps({"ship": {"overrides": overrides}}),
    }
    assert ("workflow tidy" in entries(found_at_home(tmp_path, files))) == is_on


def test_agents_that_a_host_names_by_their_path_are_apart(tmp_path: Path) -> None:
    files = {f".opencode/agent/{sub}/r.md": "Reviews the code." for sub in ("x", "y")}
    found = entries(built(tmp_path, files)).values()
    assert {call_of(entry, "opencode") for entry in found} == {"x/r", "y/r"}


def test_the_nearer_of_two_namesakes_is_the_host_s(tmp_path: Path) -> None:
    tree = found_at_home(
        tmp_path,
        {
            "here/.claude/agents/r.md": agent("r", "of the project"),
            "home/.claude/agents/r.md": agent("r", "of the user"),
            "here/.claude/skills/s/SKILL.md": agent("s", "of the project"),
            "home/.claude/skills/s/SKILL.md": agent("s", "of the user"),
            "home/.codex/agents/r.toml": 'name = "r"\ndescription = "of another host"',
        },
    )
    said = sorted(entry.description for entry in entries(tree).values())
    assert said == ["of another host", "of the project", "of the user"] or len(said) == 2
    assert sum(report.reason.startswith("hidden: ") for report in tree.reports) == 2


def test_a_link_to_a_shared_skill_makes_it_known_to_the_host(tmp_path: Path) -> None:
    home = write_tree(tmp_path / "world/home", {".agents/skills/s/SKILL.md": skill("s")})
    (home / ".claude/skills").mkdir(parents=True)
    (home / ".claude/skills/s").symlink_to("../../.agents/skills/s")
    tree = found_at_home(tmp_path, {})
    (found,) = entries(tree).values()
    assert {"claude", "codex"} <= set(hosts_of(found))
    assert "duplicate" not in {finding.rule for finding in tree.findings}


def test_the_folder_of_claude_code_may_be_elsewhere(tmp_path: Path) -> None:
    files = {"config/agents/a.md": agent("a"), "home/.claude/agents/b.md": agent("b")}
    found = entries(found_at_home(tmp_path, files, CLAUDE_CONFIG_DIR="config"))
    assert set(found) == {"agent a"}


def test_a_folder_that_is_a_plugin_is_served_as_one(tmp_path: Path) -> None:
    files = {
        "here/.codex-plugin/plugin.json": '{"name": "p"}',
        "here/skills/s/SKILL.md": skill("s"),
    }
    (found,) = entries(found_at_home(tmp_path, files)).values()
    assert (found.qualified, call_of(found, "codex")) == ("p:s", "$p:s")


@pytest.mark.parametrize(
    ("path", "text", "runs"),
    [
        ("commands/a.md", "---\ndisable-model-invocation: true\n---\nx", "user"),
        ("skills/a/SKILL.md", "---\nname: a\nuser-invocable: no\n---\nx", "model"),
        (".github/agents/a.agent.md", "---\ninfer: false\n---\nx", "user"),
        (".opencode/agents/a.md", "---\nmode: primary\n---\nx", "user"),
        (".opencode/agents/a.md", "---\nhidden: true\n---\nx", "model"),
        (".gemini/commands/a.toml", TOML, "user"),
        ("commands/a.md", "x", ""),
    ],
)
def test_a_host_s_flags_say_who_may_start_an_entry(
    tmp_path: Path, path: str, text: str, runs: str
) -> None:
    (found,) = entries(built(tmp_path, {path: text})).values()
    assert found.runs == runs


def test_codex_says_beside_a_skill_that_only_a_person_starts_it(tmp_path: Path) -> None:
    meta = "policy:\n  allow_implicit_invocation: false\n"
    files = {"skills/s/SKILL.md": skill("s"), "skills/s/agents/openai.yaml": meta}
    assert entries(built(tmp_path, files))["skill s"].runs == "user"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```markdown\n---\nname: a\ndescription: Sorts.\n---\nx\n```\n", "code fence"),
        ("~~~\n---\nname: a\ndescription: Sorts.\n---\nx\n~~~", "code fence"),
        ("Here it is:\n\n```md\n---\nname: a\ndescription: Sorts.\n---\nx\n```\n", "code fence"),
        (
            "\n```yaml\nname: a\ndescription: Sorts.\n```\n\nx\n",
            "the header stands in a code fence",
        ),
        ('"""\n---\nname: a\ndescription: Sorts.\n---\nx\n"""\n', "triple quotes"),
        ("The file:\n'''\n---\nname: a\ndescription: Sorts.\n---\nx\n'''", "triple quotes"),
        ('+++\nname = "a"\ndescription = "Sorts."\ntools = ["Read"]\n+++\nx\n', "TOML"),
        ("---\nName: a\nDESCRIPTION: Sorts.\n---\nx\n", "capitals"),
    ],
)
def test_what_a_model_wraps_or_shouts_is_mended(tmp_path: Path, text: str, said: str) -> None:
    tree = built(tmp_path, {"agents/z.md": text})
    found = entries(tree)["agent a"]
    assert (found.description, found.runs) == ("Sorts.", "")
    assert tree.report("agents/z.md").outcome == "repaired"
    assert said in tree.report("agents/z.md").reason


def test_a_header_of_toml_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    tree = built(tmp_path, {"agents/z.md": "+++\nname = bare\n+++\nSorts letters.\n"})
    assert entries(tree)["agent z"].description == "Sorts letters."
    assert "TOML that cannot be read" in tree.report("agents/z.md").reason


def test_whoever_is_in_the_table_may_be_named_as_the_host_that_asks() -> None:
    assert {*get_args(HostName)} == TITLES.keys() - {"agents"}
