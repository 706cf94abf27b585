"""What do eight agents lose in one repository in a day? Without hooks, with `warn`, with `deny`.

Stand-ins with real files and a real git repository of two working trees: each takes a task, edits
files one after another (reads, and writes minutes later), sometimes stashes, and commits, by habit
with `git add -A`. Some die in the middle, and their last call is lost. The day is drawn from a
seed, its clock is moved by hand. With hooks every tool call goes through the plugin's payloads, and
tasks come from a queue; without, from a list that all read.
"""

import asyncio
import json
import os
import random
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.clock import Clock
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.serve.hooks.claims import ClaimHooks, caller_of
from orchestr8_index.serve.hooks.payloads import PAYLOAD
from orchestr8_index.sharing import ReadInbox, SendMessage
from orchestr8_index.tokens import estimate_tokens

from .harness import Run, progress

AGENTS, FILES, STEP_S, PROJECT = 8, 60, 60, "collide"
HABITS = ("git add -A && git commit -qm {}", "git commit -qam {}", "git add . && git commit -qm {}")
TRIES, PATIENCE = 5, 30  # commands tried in a row; steps for which a file is waited for
DIES, STASHES, LOST_STOP = 0.02, 0.15, 0.1
LINE = re.compile(r"^\+(task\d+) (s\d)$", re.M)
Figures = dict[str, Any]


class Day:
    """One day of one repository; `policy` "" is a day without hooks."""

    def __init__(self, folder: Path, policy: str, seed: int) -> None:
        self.draw, self.now, self.policy = random.Random(seed), 0.0, policy
        self.seed = seed
        self.trees = [folder / "main", folder / "beside"]
        clock = Clock(wall=lambda: 1.7e9 + self.now, monotonic=lambda: 1e6 + self.now)
        self.shared = Coordination(folder / "data", sync="fast", clock=clock)
        self.hooks, self.calls = ClaimHooks(policy), count()
        self.counts: Counter[str] = Counter()
        self.overwritten = set[str]()  # lines that an edit wrote over
        self.written: list[tuple[Path, str, str]] = []  # tree, file, line
        self.open_tasks = [f"task{n}" for n in range(10_000)]
        _make_repository(*self.trees)

    # --- what a host does ------------------------------------------------------------------------

    async def hook(self, event: str, who: str, tree: Path, **fields: Any) -> str:
        session, _, agent = who.partition("/")
        place = {"session_id": session, "agent_id": agent, "agent_type": "coder", "cwd": str(tree)}
        body = json.dumps({"hook_event_name": event, **place, **fields})
        said = PAYLOAD.decode(body)
        caller = caller_of(said, PROJECT)
        if event == "PreToolUse":
            told = await self.hooks.before(self.shared, caller, said)
        elif event == "PostToolUse":
            told = await self.hooks.after(self.shared, caller, said)
        else:
            await self.hooks.leave(self.shared, caller, said)
            told = ""
        self.counts["tokens"] += estimate_tokens(told) if told else 0
        return told

    async def tool(self, event: str, who: str, tree: Path, tool: str, **given: Any) -> str:
        if not self.policy:
            return ""
        number = next(self.calls) if event == "PreToolUse" else self.counts["tool"]
        self.counts["tool"] = number
        named = {"tool_name": tool, "tool_use_id": f"{who}{number}", "tool_input": given}
        return await self.hook(event, who, tree, **named)

    async def shell(self, who: str, tree: Path, command: str) -> str:
        """ "" when it ran; else why it was refused."""
        if refused := await self.tool("PreToolUse", who, tree, "Bash", command=command):
            return refused
        _run(command, tree, who.partition("/")[0])
        await self.tool("PostToolUse", who, tree, "Bash", command=command)
        return ""

    # --- what an agent does; each yield is a minute ----------------------------------------------

    async def agent(self, session: str, tree: Path) -> AsyncIterator[None]:
        for number in count():
            who, patience = f"{session}/{number}", PATIENCE
            task, message, left, name = await self.begin(session, who, tree)
            while (left or name) and patience:
                name = name or await self.claim_one(who, tree, left)
                if not name:
                    self.counts["waited"] += 1
                    patience -= 1
                    if patience % 3 == 2:  # keep nothing while it waits
                        await self.commit(who, tree, task)
                    yield
                    continue
                async for _ in self.write(who, tree, name, f"{task} {session}"):
                    yield
                name = ""
                if self.draw.random() < DIES:  # and the session's next agent goes on
                    self.counts["died"] += 1
                    who = f"{session}/{number}-{next(self.calls)}"
            if self.draw.random() < STASHES:
                await self.command(who, tree, f"git stash push -qm {task}")
                try:
                    yield
                finally:  # the day does not end within it
                    await self.command(who, tree, "git stash pop -q")
            yield
            self.counts["given_up"] += len(left)
            await self.commit(who, tree, task)
            await self.finish(task, session, message)
            yield

    async def begin(self, session: str, who: str, tree: Path) -> tuple[str, str, list[str], str]:
        """A task, its message, its files, and the one that is claimed. A task whose files others
        have all is left to whoever comes next, as each denial says: work on something else."""
        aside = list[tuple[str, str]]()
        for _ in range(TRIES):
            task, message = await self.take(session)
            files = random.Random(f"{self.seed} {task}")
            left = files.sample(_names(), files.randint(1, 3))
            if name := await self.claim_one(who, tree, left):
                break
            aside.append((task, message))
        for task_left, taken in aside if name else aside[:-1]:
            again = SendMessage(to=["queue:work"], body=task_left, priority=2)
            await self.shared.send_message(_named(session), again)
            await self.shared.read_inbox(_named(session), ReadInbox(peek=True, ack=[taken]))
        return task, message, left, name

    async def claim_one(self, who: str, tree: Path, left: list[str]) -> str:
        """The first file that nobody has, as each denial comes at once; "" where all are taken."""
        for name in left:
            if not await self.tool("PreToolUse", who, tree, "Edit", file_path=str(tree / name)):
                left.remove(name)
                return name
        return ""

    async def write(self, who: str, tree: Path, name: str, line: str) -> AsyncIterator[None]:
        path = tree / name
        before = path.read_text()
        for _ in range(self.draw.randint(1, 3)):
            yield
        gone = {*path.read_text().split("\n")} - {*before.split("\n")}
        self.overwritten |= {f"{tree} {name} {each}" for each in gone}
        path.write_text(f"{before}{line}\n")
        self.written.append((tree, name, line))
        await self.tool("PostToolUse", who, tree, "Edit", file_path=str(path))

    async def commit(self, who: str, tree: Path, task: str) -> None:
        """And the agent stops; its last call may be lost."""
        await self.command(who, tree, self.draw.choice(HABITS).format(task), task)
        if self.policy and self.draw.random() > LOST_STOP:
            await self.hook("SubagentStop", who, tree)

    async def command(self, who: str, tree: Path, command: str, task: str = "") -> None:
        """As it is meant, or as the refusal says."""
        for _ in range(TRIES):
            refused = await self.shell(who, tree, command)
            if not refused:
                return
            self.counts["refused"] += 1
            if "Instead: `" not in refused:
                break
            command = refused.partition("Instead: `")[2].rpartition("`")[0]
            if task and "commit" not in command:
                command += f" && git commit -qm {task} -- {command.partition('add ')[2]}"
        self.counts["left_uncommitted" if task else "left_out"] += 1

    async def take(self, session: str) -> tuple[str, str]:
        if not self.policy:
            return self.draw.choice(self.open_tasks[:12]), ""
        params = ReadInbox(limit=1, queue="work", take_s=3600)
        [message] = (await self.shared.read_inbox(_named(session), params))["messages"]
        return message["body"], message["id"]

    async def finish(self, task: str, session: str, message: str) -> None:
        self.counts["finished"] += 1
        self.counts["duplicates"] += task not in self.open_tasks
        if task in self.open_tasks:
            self.open_tasks.remove(task)
        if message:
            await self.shared.read_inbox(_named(session), ReadInbox(peek=True, ack=[message]))

    # --- the day ---------------------------------------------------------------------------------

    async def run(self, hours: float) -> Figures:
        await asyncio.to_thread(self.shared.open)
        self.shared.start()
        for start in range(0, 1000 if self.policy else 0, 50):
            for task in self.open_tasks[start : start + 50]:
                await self.shared.send_message(
                    _named("boss"), SendMessage(to=["queue:work"], body=task)
                )
        agents = [self.agent(f"s{n}", self.trees[n % 2]) for n in range(AGENTS)]
        for step in range(int(hours * 3600 / STEP_S)):
            for agent in self.draw.sample(agents, len(agents)):
                await anext(agent)
            self.now += STEP_S
            progress(f"{self.policy or 'without'}: minute {step}")
        for agent in agents:
            await agent.aclose()
        await self.shared.close()
        return self.told(hours)

    def told(self, hours: float) -> Figures:
        present = {tree: {name: _lines(tree, name) for name in _names()} for tree in self.trees}
        lost = {f"{t} {f} {line}" for t, f, line in self.written if line not in present[t][f]}
        foreign, shared = _foreign(self.trees[0], self.overwritten)
        keep = ("finished", "duplicates", "refused", "tokens", "died", "given_up")
        waited = self.counts["waited"] * STEP_S / 60
        return {
            "lost_by_git": len(lost - self.overwritten),
            "lost_by_edits": len(lost & self.overwritten),
            "foreign_by_git": foreign - shared,
            "foreign_in_a_shared_file": shared,
            "minutes_waited": waited,
            "share_waited": waited / (AGENTS * hours * 60) * 100,
            **{name: self.counts[name] for name in keep},
        }


def _named(session: str) -> Caller:
    return Caller(session, project=PROJECT)


def _run(command: str, tree: Path, who: str) -> str:
    named = {
        f"GIT_{role}_{what}": who for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        command, shell=True, cwd=tree, env={**os.environ, **named}, capture_output=True, text=True
    )
    return done.stdout


def _names() -> list[str]:
    return [f"f{n:02}.txt" for n in range(FILES)]


def _make_repository(main: Path, beside: Path) -> None:
    main.mkdir(parents=True)
    for name in _names():
        (main / name).write_text("first\n")
    _run(
        f"git init -q && git add -A && git commit -qm first && git worktree add -q {beside}",
        main,
        "boss",
    )


def _lines(tree: Path, name: str) -> set[str]:
    return {
        *_run(f"git show HEAD:{name}", tree, "boss").split("\n"),
        *(tree / name).read_text().split("\n"),
    }


def _foreign(tree: Path, overwritten: set[str]) -> tuple[int, int]:
    """Lines that came into the history by another's commit: at all, and in a file that the
    committer had edited at the same time, as both were told."""
    found, shared = 0, 0
    edited = {(each.split()[1], each.split()[-1]) for each in overwritten}
    for commit in _run("git log --all -p --format=%x00%an", tree, "boss").split("\0")[1:]:
        author, _, patch = commit.partition("\n")
        for part in patch.split("diff --git")[1:]:
            name, authors = part.split()[0][2:], [session for _, session in LINE.findall(part)]
            foreign = sum(session != author for session in authors)
            found += foreign
            shared += foreign if author in authors or (name, author) in edited else 0
    return found, shared


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, seed=7, hours=8.0) as run:
        for policy in ("", "warn", "deny"):
            with tempfile.TemporaryDirectory() as made:
                day = Day(Path(made).resolve(), policy, run.given.seed)
                run.row(policy or "without hooks", **asyncio.run(day.run(run.given.hours)))
