"""What does a model carry without us, and what with us? And is the answer right?

scripts/bench tokens --root DIR [--golden FILE] [--tokenizer o200k_base]

Without: a host lists every agent with its description, whole; its list of skills and commands is
cut to 1 % of the context window (8,000 characters of 200,000 tokens) where it has such a budget.
With: the list of our tools as MCP sends it and our instructions, always; then per task one answer,
and one entry when it is read. FILE has lines {"query", "expect": ["plugin:name"], "kind"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from machine import Client, Server, describe, questions, serving

from orchestr8_index.catalog.index import Index, open_newest
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import read_settings
from orchestr8_index.records import KINDS, PLURAL, Kind
from orchestr8_index.tokens import EXACT, TOKENIZERS, Tokenizer, read_tokenizer

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
LISTING_BUDGET = 8000
ASKED, READ = 200, 800
QUERIES: dict[str, tuple[str, str]] = {
    "agent": ("query_agents", "context"),
    "skill": ("query_skills", "context"),
    "workflow": ("query_workflows", "goal"),
}


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- without -----------------------------------------------------------------------------------


def listing(index: Index, kind: Kind) -> list[str]:
    segment = index.segments[kind]
    return [segment.entry(place).line for place in range(segment.size)]


def within_budget(lines: list[str]) -> str:
    """Whole lines until the budget is used up, as the hosts cut."""
    kept, used = [], 0
    for line in lines:
        used += len(line)
        if used > LISTING_BUDGET:
            break
        kept.append(line)
    return "".join(kept)


def without(index: Index, tokens: Tokenizer) -> tuple[int, int]:
    """(everything, what a host with a budget for skills and commands carries)."""
    lists = {kind: listing(index, kind) for kind in KINDS}
    whole = {kind: tokens("".join(lines)) for kind, lines in lists.items()}
    for kind in KINDS:
        print(f"  {PLURAL[kind]:10} {len(lists[kind]):6,} entries {whole[kind]:9,} tokens")
    cut = tokens(within_budget(lists["skill"] + lists["workflow"]))
    shown = within_budget(lists["skill"] + lists["workflow"]).count("\n")
    both = len(lists["skill"]) + len(lists["workflow"])
    print(f"  skills and commands within the budget: {shown} of {both} named, {cut:,} tokens")
    return sum(whole.values()), whole["agent"] + cut


# --- with --------------------------------------------------------------------------------------


async def tools_of(port: int) -> tuple[list[dict[str, Any]], str]:
    """The tool list as hosts send it on (name, description, input schema), and the instructions."""
    from mcp.client.session import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async with (
        streamable_http_client(f"http://127.0.0.1:{port}/mcp") as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        opened = await session.initialize()
        listed = await session.list_tools()
        tools = [
            {"name": t.name, "description": t.description, "input_schema": t.input_schema}
            for t in listed.tools
        ]
        return tools, opened.instructions or ""


async def answers_of(port: int, texts: list[tuple[str, str]]) -> list[str]:
    """What a model reads of one call for each (kind, text)."""
    from mcp.client.session import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    said = []
    async with (
        streamable_http_client(f"http://127.0.0.1:{port}/mcp") as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        for kind, text in texts:
            tool, field = QUERIES[kind]
            result = await session.call_tool(tool, {field: text})
            said.append(compact(result.structured_content))
    return said


def entries_of(client: Client, index: Index, tokens: Tokenizer) -> list[int]:
    """Entries as they are read, cut to a budget: every tenth one."""
    spent = []
    for kind in KINDS:
        segment = index.segments[kind]
        for place in range(0, segment.size, 10):
            entry = segment.entry(place)
            params = {"kind": kind, "plugin": entry.plugin, "name": entry.name}
            reply, _ = client.call("getEntry", {**params, "max_tokens": READ})
            spent.append(tokens(compact(reply["result"])))
    return spent


# --- right? ------------------------------------------------------------------------------------


def golden(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def recall(client: Client, asked: list[dict[str, Any]]) -> tuple[float, float]:
    """(Recall@1, Recall@5) of the default answers."""
    first = five = 0
    for question in asked:
        kind = question.get("kind", "agent")
        method = {"agent": "queryAgents", "skill": "querySkills", "workflow": "queryWorkflows"}[
            kind
        ]
        reply, _ = client.call(method, {QUERIES[kind][1]: question["query"][:500]})
        rows = [names_of(row) for row in reply["result"][f"{kind}s"]]
        expected = set(question["expect"])
        first += bool(rows and rows[0] & expected)
        five += any(names & expected for names in rows[:5])
    return first / len(asked), five / len(asked)


def names_of(row: Mapping[str, Any]) -> set[str]:
    """Bare and qualified: golden questions may expect either."""
    return {row["name"], f"{row['plugin']}:{row['name']}", *row.get("also", [])}


# --- the whole ---------------------------------------------------------------------------------


def report(server: Server, index: Index, root: str, asked: list[Any], tokens: Tokenizer) -> None:
    print(f"tokens counted by {tokens.name}\nwithout us, in every context:")
    everything, budgeted = without(index, tokens)
    tools, instructions = asyncio.run(tools_of(server.port))
    fixed = tokens(compact(tools)) + tokens(instructions)
    print(f"with us, in every context: {fixed:,} ({len(tools)} tools and the instructions)")
    texts = [(q.get("kind", "agent"), q["query"][:500]) for q in asked] or [
        ("agent", text) for text in questions(root, ASKED)
    ]
    spent = [tokens(said) for said in asyncio.run(answers_of(server.port, texts[:ASKED]))]
    read = entries_of(Client(server.port), index, tokens)
    answer, entry = statistics.mean(spent), statistics.mean(read)
    print(f"with us, a task: one answer {answer:.0f} (most {max(spent)}), one entry {entry:.0f}")
    for name, carried in (("everything", everything), ("a host with a budget", budgeted)):
        one, both = fixed + answer, fixed + answer + entry
        even = math.floor((carried - fixed) / (answer + entry))
        print(
            f"against {name}, {carried:,}: {1 - one / carried:.1%} less with one answer, "
            f"{1 - both / carried:.1%} with one entry as well; even after {even} such tasks"
        )
    if asked:
        hit, found = recall(Client(server.port), asked)
        print(f"and right: Recall@1 {hit:.3f}, Recall@5 {found:.3f} of {len(asked)} questions")
    else:
        print("and right: unknown, for there are no golden questions (--golden)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--golden", type=Path)
    parser.add_argument("--tokenizer", choices=TOKENIZERS, default=EXACT[0])
    arguments = parser.parse_args()
    tokens = read_tokenizer(arguments.tokenizer)
    print(f"machine  {describe()}\nroot     {arguments.root}")
    asked = golden(arguments.golden or Path(arguments.root, "golden.jsonl"))
    with serving([arguments.root]) as server:
        settings = read_settings((arguments.root,), 0, server.data_dir)
        index = open_newest(Generations(settings.data_dir, settings.roots_digest))
        assert index is not None
        report(server, index, arguments.root, asked, tokens)


if __name__ == "__main__":
    main()
