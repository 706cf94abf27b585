"""Does the demonstration of a team show what it says?"""

from __future__ import annotations

import os
import subprocess
import sys

from orchestr8_index.config import REPOSITORY

from .engines import find

DEMO = REPOSITORY / "scripts" / "demo-team"
SHOWN = (
    "coder     has the lock task:42, from server-a",
    "tester    is refused by server-b: coder has it. It waits",
    "coder     has let the lock go",
    "tester    has the lock now, from server-b",
    "tester    reads what coder wrote: The function is renamed: please test it.",
    "tester    reads task/42: {'state': 'coded'}",
    "stranger  of another project sees nothing, and gets a lock task:42 of its own",
    "demo      all that was started has ended",
)


def test_the_demo_solves_a_conflict_and_leaves_nothing_behind() -> None:
    find("postgres")
    command = [sys.executable, str(DEMO)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = [line[9:] for line in done.stdout.splitlines()]
    logged = [line.split(maxsplit=2)[2] for line in told if line.startswith("log")]
    assert [line for line in SHOWN if line not in told] == []
    for agent in ("coder", "tester"):
        assert logged.index(f"grant task:42 of {agent}") < logged.index(f"put task/42 of {agent}")
    assert not any("stranger" in line for line in logged)


def test_without_postgres_it_says_what_to_install() -> None:
    code = f"""
import glob, runpy, shutil
glob.glob, shutil.which = lambda pattern: [], lambda program: None
runpy.run_path({str(DEMO)!r}, run_name="__main__")
"""
    command, env = [sys.executable, "-c", code], {**os.environ, "TEAM_TESTS": ""}
    done = subprocess.run(command, env=env, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "postgres is missing: apt-get install postgresql\n"
