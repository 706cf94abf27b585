"""What a host's hook waits for beside many claims, over HTTP, and what a model reads of it.

Agents have claimed all files of a repository; the events of their tools come one after the other
over one connection, as a host sends them. Beside it: this machine's fsync, and the tokens of the
tools and instructions at /mcp/coordinate.
"""

import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestr8_index.tokens import ESTIMATE, estimate_tokens, read_tokenizer

from .coordinate import fsync_ms
from .harness import Run
from .mcp import Session
from .servers import JSON, Client, Server
from .tokens import carried_with

AGENTS = 10


class Host:
    """The hooks of several sessions in one tree; `said` is all that a model was told."""

    def __init__(self, client: Client, tree: Path) -> None:
        self._client, self._tree, self._calls = client, tree, itertools.count()
        self.said: list[str] = []

    def send(self, event: str, agent: int, tool: str, **given: Any) -> None:
        number = next(self._calls)
        fields = {"hook_event_name": event, "session_id": f"session-{agent}", "tool_name": tool}
        use = {"tool_use_id": f"t{number}", "tool_input": given, "cwd": str(self._tree)}
        body = json.dumps({**fields, **use}).encode()
        answer = self._client.send("POST", "/hooks/claude", body, JSON)
        assert answer.status == 200, answer.body
        output = json.loads(answer.body).get("hookSpecificOutput", {})
        self.said += [output[key] for key in output if key != "hookEventName"]

    def edit(self, agent: int, number: int, event: str = "PreToolUse") -> None:
        self.send(event, agent, "Edit", file_path=str(self._tree / name_of(number)))


def name_of(number: int) -> str:
    return f"part{number % 100}/f{number}.py"


def make_tree(folder: Path, files: int) -> Path:
    tree = (folder / "tree").resolve()
    for path in (tree / name_of(number) for number in range(files)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    for command in (("init", "-q"), ("add", "-A")):
        subprocess.run(["git", *command], cwd=tree, check=True)
    return tree


def claim_all(port: int, tree: Path, claims: int) -> None:
    """Every agent claims its part, all at once."""

    def claim(agent: int) -> None:
        host = Host(Client(port), tree)
        for number in range(agent, claims, AGENTS):
            host.edit(agent, number)

    with ThreadPoolExecutor(AGENTS) as pool:
        list(pool.map(claim, range(AGENTS)))


def measure_hooks(run: Run, claims: int, calls: int) -> None:
    """The events of ordinary work, each asked for in turn."""
    with tempfile.TemporaryDirectory() as made, Server(run.root) as server:
        tree = make_tree(Path(made), claims + calls + 1)
        run.row("load and fsync", load=os.getloadavg()[0], fsync_p50_ms=fsync_ms(Path(made)))
        claim_all(server.port, tree, claims)
        host = Host(Client(server.port), tree)
        own = lambda n: f"git add {name_of(n)} && git commit -m x -- {name_of(n)}"  # noqa: E731

        def bash(event: str, n: int, command: str = "make test") -> None:
            host.send(event, n % AGENTS, "Bash", command=command)

        ways: dict[str, Callable[[int], object]] = {
            "first edit of a file": lambda n: host.edit(n % AGENTS, claims + n),
            "after it": lambda n: host.edit(n % AGENTS, claims + n, "PostToolUse"),
            "an edit again": lambda n: host.edit(n % AGENTS, n),
            "before a command": lambda n: bash("PreToolUse", n),
            "after it, too": lambda n: bash("PostToolUse", n),
            "before git of own files": lambda n: bash("PreToolUse", n, own(n)),
            "after it, as well": lambda n: bash("PostToolUse", n, own(n)),
            "after any other tool": lambda n: host.send("PostToolUse", n % AGENTS, "Read"),
        }
        run.in_turn(ways, calls)
        run.row("said where nothing is wrong", estimate_tokens("".join(host.said)), "tokens")


def measure_tokens(run: Run) -> None:
    with Server(run.root) as server:
        session = Session(Client(server.port), "/mcp/coordinate")
        tokens = read_tokenizer(run.given.tokenizer)
        carried_with(run, session, tokens)


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, claims=10_000, calls=300, tokenizer=ESTIMATE) as run:
        measure_tokens(run)
        measure_hooks(run, run.given.claims, run.given.calls)
