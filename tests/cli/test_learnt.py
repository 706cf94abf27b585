"""learned, patterns, verify, replay, export, import, forget, backup, restore."""

from __future__ import annotations

import builtins
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestr8_index.config import read_settings
from orchestr8_index.coordinate.mend import layout
from orchestr8_index.coordinate.statements import NAME as SHARED
from orchestr8_index.daemon.pidfile import PidFile
from orchestr8_index.learn.outcomes import Outcomes
from orchestr8_index.serve.projectlist import KnownProject, write_projects
from orchestr8_index.store.backup import backup
from orchestr8_index.store.database import NAME, connect
from orchestr8_index.store.store import Store

from ..learn.reporting import report_of, with_outcomes
from ..processes import Running, call
from .conftest import ROOT, Run

AGENT = "studio:docs-writer"
GOAL = "rotate the TLS certs of the gateway"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store as a server leaves it: seven tasks of one agent, five of them failed, and one."""

    async def fill(outcomes: Outcomes) -> None:
        for number in range(8):
            text = GOAL if number < 7 else "cure the zebra"
            result = "success" if number in (0, 1, 7) else "failure"
            report = report_of(f"t{number}", text, agents_used=[AGENT], result=result)
            moment = f"2026-01-0{number + 1}T00:00:00.000+00:00"
            await outcomes.report(report, lambda kind, name: name, moment)
        await outcomes.checkpoint()

    with_outcomes(tmp_path / "data", fill)
    return tmp_path / "data"


def change(data: Path, sql: str) -> None:
    with contextlib.closing(connect(data / NAME)) as connection:
        connection.execute(sql)


# --- what was learnt ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["learned", "patterns", "verify", "export"])
def test_before_anything_was_learnt_a_sentence_says_so(run: Run, command: str) -> None:
    said = run(command)
    assert (said.status, "Nothing has been learnt yet" in said.err) == (1, True)


def test_learned_shows_entries_and_patterns(run: Run, data: Path) -> None:
    said = run("learned")
    assert said.out.startswith("8 decisions\n")
    assert f"{AGENT}  3 won, 3 failed" in said.out
    assert "1 retired (`orchestr8-index patterns --retired`)" in said.out


def test_whose_past_it_is_is_said_as_it_may_be_no_project_of_this_folder(
    run: Run, data: Path, tmp_path: Path
) -> None:
    """The last server's roots were named, so its project is meant from every folder."""
    (tmp_path / "all.jsonl").write_text(run("export").out)
    owner = PidFile(data / "mcp.pid")
    owner.acquire()
    owner.write(pid=1, roots=["/trees"], explicit=True, project="k1")
    owner.release()
    write_projects(data, [KnownProject("trees", "k1")])
    imported = run("import", str(tmp_path / "all.jsonl"))
    forgotten = run("forget", "--task", "t1", "--yes")
    for said in (imported, run("learned"), run("patterns"), forgotten):
        assert (said.status, said.err) == (0, "(no server asked; project trees)\n")


def test_who_asks_a_server_loads_nothing_that_counts() -> None:
    """Each start of `learned`, `import`, `forget` and `backup` paid for what a server has."""
    code = "import sys, orchestr8_index.cli.learnt, orchestr8_index.cli.admin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "orchestr8_index.cli.admin" in loaded
    assert not {"orchestr8_index.learn", "orchestr8_index.store.store"} & set(loaded.split())


def test_learned_as_json(run: Run, data: Path) -> None:
    told = run("learned", "--json").json
    assert (told["decisions"], told["entries"][0]["entry"]) == (8, AGENT)


def test_without_a_server_explain_counts_what_was_learnt_here_and_lent(
    run: Run, data: Path
) -> None:
    asked = "explain", "cure the zebra", AGENT, "--root", ROOT, "--json"
    here = run(*asked).json
    assert here["place"] == 1 and here["lines"][-1]["term"] == "experience: what was learnt"
    change(data, "INSERT INTO adopted (project) VALUES ('lender')")
    assert run(*asked).json["place"] == 0
    own = KnownProject("own", read_settings((ROOT,)).project_key, learns_from=("lender",))
    write_projects(data, [own, KnownProject("other", "lender")])
    assert run(*asked).json["score"] == here["score"]


def test_retired_patterns_are_listed_apart(run: Run, data: Path) -> None:
    assert run("patterns").out == "No patterns.\n"
    said = run("patterns", "--retired")
    assert f"{AGENT}  29% of 7" in said.out and GOAL in said.out


def test_verify_says_that_everything_agrees(run: Run, data: Path) -> None:
    said = run("verify")
    assert said.status == 0
    assert said.out.startswith("8 decisions and 2 ") and "everything agrees" in said.out


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "UPDATE decision_history SET caller = CAST(X'FE' AS TEXT) WHERE id = 3",
            "decision 3 was altered on the disk",
        ),
        ("UPDATE orchestration_patterns SET success_count = 9 WHERE id = 1", "differs from"),
    ],
)
def test_verify_names_what_is_wrong(run: Run, data: Path, sql: str, said: str) -> None:
    change(data, sql)
    told = run("verify")
    assert (told.status, said in told.out) == (1, True)
    assert run("verify", "--json").status == 1


def test_a_database_that_cannot_be_read_is_a_sentence(run: Run, data: Path) -> None:
    (data / NAME).write_bytes(b"\x5a" * 9000)
    said = run("verify")
    assert (said.status, "cannot be read" in said.err) == (1, True)


# --- replay ------------------------------------------------------------------------------------


def test_replay_compares_with_and_without(run: Run, data: Path) -> None:
    told = run("replay", "--root", ROOT, "--json").json
    assert told["tasks"] == 3
    assert 0 <= told["hit1_without"] <= told["hit1_with"] <= 1
    assert told["points"][-1]["tasks"] == 3


def test_replay_says_it_in_a_sentence(run: Run, data: Path) -> None:
    assert "over 3 past tasks, each asked before it was learnt" in run("replay", "--root", ROOT).out


def test_replay_of_nothing_says_so(run: Run, data: Path) -> None:
    change(data, "UPDATE decision_history SET agents_used = '[\"gone:x\"]'")
    assert "nothing to replay" in run("replay", "--root", ROOT).out


def test_a_plot_is_a_png_or_an_svg(run: Run, data: Path) -> None:
    said = run("replay", "--root", ROOT, "--plot", "curve.pdf")
    assert (said.status, "neither a .png nor an .svg" in said.err) == (1, True)


def test_without_matplotlib_the_plot_says_what_to_install(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    said = run("replay", "--root", ROOT, "--plot", "curve.svg")
    assert (said.status, "pip install matplotlib" in said.err) == (1, True)


# --- export and import -------------------------------------------------------------------------


def lines_of(text: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in text.splitlines()]


def test_what_is_exported_can_be_imported_elsewhere(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run("export")
    (tmp_path / "all.jsonl").write_text(said.out)
    learned = run("learned", "--json").json
    monkeypatch.setenv("MCP_DATA_DIR", str(tmp_path / "other"))
    assert run("import", str(tmp_path / "all.jsonl")).out == (
        "8 decisions imported, 0 known already.\n"
    )
    assert lines_of(run("export").out) == lines_of(said.out)
    assert run("learned", "--json").json["entries"] == learned["entries"]
    assert run("verify").status == 0


def test_importing_again_changes_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text(run("export").out)
    said = run("import", str(tmp_path / "all.jsonl"))
    assert said.out == "0 decisions imported, 8 known already.\n"


def test_a_line_that_is_none_imports_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text(run("export").out + '{"task_id": 5}\n')
    change(data, "DELETE FROM decision_history")
    said = run("import", str(tmp_path / "all.jsonl"))
    assert (said.status, "Line 9 is not a decision: " in said.err) == (1, True)
    assert "`" not in said.err
    assert run("export").out == ""


def test_export_goes_to_a_file(run: Run, data: Path, tmp_path: Path) -> None:
    said = run("export", str(tmp_path / "out.jsonl"))
    assert (said.out, said.err) == ("", "8 decisions of this project exported.\n")
    assert len(lines_of((tmp_path / "out.jsonl").read_text())) == 8


# --- forget ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "count"),
    [
        ("--task", "t7", "1 decision"),
        ("--before", "2026-01-03", "2 decisions"),
        ("--agent", AGENT, "8 decisions"),
        ("--agent", "studio:nobody", "0 decisions"),
    ],
)
def test_forgetting_says_how_many_and_is_sound(
    run: Run, data: Path, option: str, value: str, count: str
) -> None:
    assert run("forget", "--yes", option, value).out == f"{count} forgotten.\n"
    assert run("verify").status == 0
    assert run("forget", "--yes", option, value).out == "0 decisions forgotten.\n"


@pytest.mark.parametrize("given", [(), ("--task", "t1", "--agent", "a")])
def test_forget_needs_exactly_one_choice(run: Run, data: Path, given: tuple[str, ...]) -> None:
    said = run("forget", *given)
    assert (said.status, "Give one of --task, --before, --agent" in said.err) == (2, True)


def test_nothing_is_forgotten_unasked(run: Run, data: Path) -> None:
    said = run("forget", "--agent", AGENT)
    assert (said.status, "say --yes" in said.err) == (2, True)
    assert len(lines_of(run("export").out)) == 8


def test_a_date_that_is_none_is_a_sentence(run: Run, data: Path) -> None:
    said = run("forget", "--yes", "--before", "soon")
    assert said.status == 1
    assert said.err.endswith("Error: before: soon is not a date like 2026-01-31.\n")


@pytest.mark.parametrize("option", [("--agent", "x" * 201), ("--before", "x")])
def test_a_choice_that_nothing_can_match_is_a_sentence(
    run: Run, data: Path, option: tuple[str, str]
) -> None:
    """It ended in a traceback."""
    said = run("forget", "--yes", *option)
    assert (said.status, f"{option[0][2:]}: must have at " in said.err) == (1, True)


def test_an_imported_line_may_leave_out_what_a_report_may_and_no_more(
    run: Run, data: Path, tmp_path: Path
) -> None:
    """`duration_ms` was demanded, and a line that credits nobody was taken."""
    line = {"task_id": "new", "task_description": "x", "result": "success"}
    line["timestamp"] = "2026-01-31"
    (tmp_path / "all.jsonl").write_text(json.dumps({**line, "agents_used": ["a"]}))
    assert run("import", str(tmp_path / "all.jsonl")).out.startswith("1 decision imported")
    (tmp_path / "all.jsonl").write_text(json.dumps({**line, "agents_used": []}))
    said = run("import", str(tmp_path / "all.jsonl"))
    assert said.status == 1 and "decision: agents_used: must not be empty." in said.err


def test_a_line_that_nests_without_end_imports_nothing(
    run: Run, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "all.jsonl").write_text(run("export").out + '{"a":' + "[" * 50_000)
    said = run("import", str(tmp_path / "all.jsonl"))
    assert (said.status, "Line 9 is not a decision: it nests too deep" in said.err) == (1, True)


def test_a_file_in_another_encoding_imports_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_bytes(b'{"task_id": "\xff"}\n')
    said = run("import", str(tmp_path / "all.jsonl"))
    assert (said.status, "The file is not UTF-8" in said.err) == (1, True)


def test_a_line_with_a_strange_time_imports_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    first = json.loads(run("export").out.splitlines()[0])
    (tmp_path / "all.jsonl").write_text(json.dumps({**first, "timestamp": "soon"}))
    said = run("import", str(tmp_path / "all.jsonl"))
    assert (said.status, "Line 1 is not a decision: timestamp is no" in said.err) == (1, True)


def test_a_time_of_another_zone_is_kept_as_the_stores_own(
    run: Run, data: Path, tmp_path: Path
) -> None:
    """`forget --before` compares the texts."""
    first = json.loads(run("export").out.splitlines()[0])
    (tmp_path / "all.jsonl").write_text(
        json.dumps({**first, "task_id": "old", "timestamp": "2020-01-02T04:04:05.678+01:00"})
    )
    assert run("import", str(tmp_path / "all.jsonl")).status == 0
    assert '"timestamp":"2020-01-02T03:04:05.678+00:00"' in run("export").out


def test_what_the_server_would_refuse_is_not_imported(run: Run, data: Path, tmp_path: Path) -> None:
    first = json.loads(run("export").out.splitlines()[0])
    (tmp_path / "all.jsonl").write_text(json.dumps({**first, "task_description": "x" * 1001}))
    said = run("import", str(tmp_path / "all.jsonl"))
    assert (said.status, "task_description must have at most 1000" in said.err) == (1, True)


def test_nothing_is_changed_while_a_server_starts(run: Run, data: Path) -> None:
    lock = PidFile(data / "mcp.pid")
    assert lock.acquire()
    said = run("forget", "--yes", "--task", "t1")
    lock.release()
    assert (said.status, "A server is starting on this data directory" in said.err) == (1, True)


# --- backup and restore ------------------------------------------------------------------------


def test_a_backup_is_restored(run: Run, data: Path) -> None:
    made = Path(run("backup").out.strip())
    run("forget", "--yes", "--task", "t1")
    said = run("restore")
    assert said.out.startswith(f"Restored {made.name}. The database before is kept as mcp.db.")
    assert len(lines_of(run("export").out)) == 8
    assert run("verify").status == 0


def test_a_backup_without_a_database_is_a_sentence(run: Run) -> None:
    said = run("backup")
    assert (said.status, "Is there a database" in said.err) == (1, True)


def test_without_a_backup_there_is_nothing_to_restore(run: Run, data: Path) -> None:
    said = run("restore")
    assert (said.status, said.err) == (1, "Error: There is no backup. Name a file.\n")


def test_a_bad_backup_is_not_restored(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_text("no database")
    said = run("restore", str(tmp_path / "bad.db"))
    assert (said.status, "not a good backup" in said.err) == (1, True)
    assert run("verify").status == 0


def test_nothing_is_restored_while_somebody_else_has_the_directory(run: Run, data: Path) -> None:
    """A server that was starting, which no port told of, had its database replaced."""
    run("backup")
    lock = PidFile(data / "mcp.pid")
    assert lock.acquire()
    said = run("restore")
    lock.release()
    assert (said.status, "A server is starting on this data directory" in said.err) == (1, True)
    assert not list(data.glob("mcp.db.replaced-*"))


def test_a_backup_of_what_agents_share_takes_its_own_place(run: Run, data: Path) -> None:
    """It took that of what was learnt, with which no server could begin."""
    shared = Store(data, layout=layout("full"))
    shared.open()
    shared.close()
    made = backup(data, name=SHARED)
    before = (data / NAME).read_bytes()
    said = run("restore", made.name)
    assert said.out.startswith(f"Restored {made.name}. The database before is kept as {SHARED}.")
    assert (data / NAME).read_bytes() == before and run("verify").status == 0
    said = run("restore", "coordinate-none.db")
    assert (said.status, said.err) == (1, "Error: There is no such backup. Name a file.\n")


# --- beside a running server -------------------------------------------------------------------


def test_restore_refuses_while_a_server_runs(online: Run) -> None:
    said = online("restore")
    assert (said.status, said.err) == (
        1,
        "Error: The server is running. Stop it first: `orchestr8-index down`.\n",
    )


def test_through_the_server_a_decision_keeps_its_time(online: Run, tmp_path: Path) -> None:
    """It was dated by its import."""
    made: dict[str, Any] = {"task_id": "old", "task_description": GOAL, "agents_used": [AGENT]}
    made |= {"duration_ms": None, "tokens_saved": None, "result": "success"}
    for timestamp in ("2020-01-02T03:04:05.678+00:00", "2020-01-02T04:04:05.678+01:00"):
        (tmp_path / "all.jsonl").write_text(json.dumps({**made, "timestamp": timestamp}))
        assert online("import", str(tmp_path / "all.jsonl")).out.startswith("1 decision imported")
        assert '"timestamp":"2020-01-02T03:04:05.678+00:00"' in online("export").out
        assert online("forget", "--yes", "--before", "2020-02-01").out == "1 decision forgotten.\n"


def test_the_server_imports_and_forgets(
    online: Run, server: Running, tmp_path: Path, run: Run
) -> None:
    params = {"task_id": "on1", "task_description": GOAL, "agents_used": ["docs-writer"]}
    call(server.port, "cacheDecision", {**params, "result": "success"})
    exported = online("export").out
    (tmp_path / "all.jsonl").write_text(exported)
    assert online("forget", "--yes", "--task", "on1").out == "1 decision forgotten.\n"
    assert online("import", str(tmp_path / "all.jsonl")).out.startswith("1 decision imported")
    assert Path(online("backup").out.strip()).exists()
    assert online("verify").status == 0
    assert online("forget", "--yes", "--agent", AGENT).out == "1 decision forgotten.\n"


# --- learn --from-history ----------------------------------------------------------------------


def write_transcript(folder: Path) -> None:
    given = {"description": "Rotate", "prompt": GOAL, "subagent_type": "docs-writer"}
    call = {"type": "tool_use", "id": "c1", "name": "Task", "input": given}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "Done."}
    lines = [
        {"type": kind, "sessionId": "s", "cwd": "/away", "message": {"content": [part]}}
        for kind, part in (("assistant", call), ("user", result))
    ]
    place = folder / "projects" / "-away" / "s.jsonl"
    place.parent.mkdir(parents=True)
    place.write_text("\n".join(map(json.dumps, lines)), "utf-8")


def test_history_is_shown_first_and_kept_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_transcript(tmp_path / "claude")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    asked = ("learn", "--from-history", "--all", "--root", str(ROOT))
    shown = run(*asked)
    assert AGENT in shown.out and "Nothing is kept yet" in shown.out
    assert "1 decision learnt, 0 known" in run(*asked, "--yes").out
    assert "0 decisions learnt, 1 known" in run(*asked, "--yes").out
    assert "All of it is known already" in run(*asked).out


def test_history_of_another_project_is_left(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_transcript(tmp_path / "claude")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    told = run("learn", "--from-history", "--root", str(ROOT)).out
    assert AGENT not in told and "--all reads those of all folders" in told


# --- what could go -----------------------------------------------------------------------------


def test_unused_names_what_never_won_with_its_cost(run: Run, data: Path) -> None:
    rows = json.loads(run("learned", "--unused", "--json").out)
    named = {row["entry"]: row for row in rows}
    assert AGENT not in named
    assert named["studio:release-notes"]["why"] == "never won"
    assert all(row["tokens"] > 0 for row in rows)
    few = "8 decisions alone: who never won says little before 50."
    assert few in run("learned", "--unused").out
    assert [row["tokens"] for row in rows] == sorted((r["tokens"] for r in rows), reverse=True)


def test_a_twin_that_comes_after_another_could_go_before_anything_was_learnt(
    run: Run, tmp_path: Path
) -> None:
    text = "---\nname: sorter\ndescription: Sorts letters by street.\n---\nSort them well.\n"
    for plugin in ("one", "two"):
        place = tmp_path / "twins" / "plugins" / plugin / "agents"
        place.mkdir(parents=True)
        (place / "sorter.md").write_text(text)
    said = run("learned", "--unused", "--json", "--root", str(tmp_path / "twins"))
    (row,) = json.loads(said.out)
    assert (row["entry"], row["why"]) == ("two:sorter", "its twin one:sorter always comes first")


def test_learned_explains_what_it_counts(run: Run, data: Path) -> None:
    assert "A partial result counts for neither" in run("learned").out
