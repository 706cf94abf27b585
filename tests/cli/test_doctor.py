"""Does the doctor say how every file ended, in the contract's shape?"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr8_index.daemon.pidfile import PidFile

from ..trees import MakeTree, agent
from .conftest import ROOT, Run

FILE = {"root", "path", "outcome", "kind", "name", "reason", "line", "cure"}
FINDING = {"rule", "severity", "entry", "path", "line", "message", "cure", "root"}


@pytest.fixture
def mixed(make_tree: MakeTree) -> str:
    """A tree with an entry, a repaired one, a duplicate, and files that are none."""
    files = {
        "agents/good.md": agent("good"),
        "agents/twin.md": agent("good"),
        "agents/bare.md": "No header, but a text.",
        "README.md": "# Read me",
    }
    return str(make_tree(files))


def test_the_shape_is_the_contracts(run: Run, mixed: str) -> None:
    told = run("doctor", "--root", mixed, "--json").json
    assert set(told) == {"files", "findings", "counts", "hosts"}
    assert [set(file) for file in told["files"]] == [FILE] * 3
    assert told["findings"] and all(set(finding) == FINDING for finding in told["findings"])


def test_every_outcome_is_told(run: Run, mixed: str) -> None:
    told = run("doctor", "--root", mixed, "--json").json
    outcomes = {file["path"]: file["outcome"] for file in told["files"]}
    assert outcomes == {
        "agents/good.md": "indexed",
        "agents/twin.md": "skipped",
        "agents/bare.md": "repaired",
    }
    assert all(file["root"] == mixed for file in told["files"])
    assert all(file["reason"] for file in told["files"] if file["outcome"] != "indexed")


def test_of_several_roots_the_whole_path_is_told(
    run: Run, make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    roots = [str(make_tree({"agents/x.md": "A text."}, name)) for name in ("one", "two")]
    said = run("doctor", "--root", roots[0], "--root", roots[1]).out
    assert "  ~/one/agents/x.md:1  " in said and "  ~/two/agents/x.md:1  " in said


def test_counts_add_up(run: Run, mixed: str) -> None:
    counts = run("doctor", "--root", mixed, "--json").json["counts"]
    told = [counts[name] for name in ("indexed", "repaired", "skipped", "not_entries")]
    assert told == [1, 1, 1, 1]


def test_files_that_are_no_entries_are_listed_with_all(run: Run, mixed: str) -> None:
    told = run("doctor", "--root", mixed, "--json", "--all").json
    (readme,) = [file for file in told["files"] if file["path"] == "README.md"]
    assert (readme["kind"], readme["name"], readme["line"]) == (None, None, None)


def test_findings_are_no_failure(run: Run, mixed: str) -> None:
    said = run("doctor", "--root", mixed)
    assert said.status == 0
    assert said.out.startswith("1 indexed, 1 repaired, 1 skipped; 1 other markdown files")
    assert "agents/twin.md" in said.out and "README.md" not in said.out


def test_all_lists_them_for_people_too(run: Run, mixed: str) -> None:
    assert "README.md" in run("doctor", "--root", mixed, "--all").out


def test_with_a_server_its_roots_are_looked_at(online: Run) -> None:
    said = online("doctor")
    assert said.out.startswith("40 indexed, 0 repaired, 0 skipped")
    assert "the running server" in said.err


def test_named_roots_win_over_a_servers(online: Run, mixed: str) -> None:
    assert online("doctor", "--root", mixed).out.startswith("1 indexed")


def test_without_roots_what_is_found_here_is_looked_at(run: Run, mixed: str) -> None:
    Path("plugins").symlink_to(mixed)
    assert "found here" in run("doctor").err


def test_the_shipped_catalogue_is_without_findings(offline: Run) -> None:
    told = offline("doctor", "--root", ROOT, "--json").json
    assert [f for f in told["findings"] if f["severity"] == "error"] == []


def test_it_reads_by_the_limits_of_the_running_server(
    run: Run, mixed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that read the same trees otherwise would build one snapshot after the other."""
    lock = PidFile(tmp_path / "data/mcp.pid")
    assert lock.acquire()
    lock.write(pid=1, reading={"max_folder_depth": 1, "max_files": 1})
    told = run("doctor", "--root", mixed, "--json").json
    assert "the tree has more than 1 files" in [file["reason"] for file in told["files"]]
    lock.write(pid=1, reading={"max_files": "many"})
    assert run("doctor", "--root", mixed, "--json").json["counts"]["indexed"] == 1
    lock.release()


def test_it_reads_by_the_limits_of_the_environment(
    run: Run, mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_MAX_FILES", "1")
    told = run("doctor", "--root", mixed, "--json").json
    assert "the tree has more than 1 files" in [file["reason"] for file in told["files"]]
    monkeypatch.delenv("MCP_MAX_FILES")
    assert run("doctor", "--root", mixed, "--json").json["counts"]["indexed"] == 1


def test_a_bad_line_of_the_lexicon_is_told(run: Run, mixed: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "lexicon.tsv").write_text("zq\tzebra\nno tab here\n")
    findings = run("doctor", "--root", mixed, "--json").json["findings"]
    (told,) = [finding for finding in findings if finding["rule"] == "lexicon"]
    assert told["line"] == 2 and "a tab" in told["message"]
