"""Tokens that a model carries without the index and with it, and whether the answer is right.

Without: a host lists every agent with its description, whole; its list of skills and commands is
cut to 1 % of the context window (8,000 characters of 200,000 tokens) where it has such a budget.
With: the list of the tools as MCP sends it and the instructions, always; then per task one answer,
and one entry when it is read. The file of --golden has lines {"query", "expect": ["plugin:name"],
"kind"}.
"""

import json
import math
import statistics
from itertools import accumulate
from typing import Any

from orchestr8_index.catalog.index import Index, open_newest
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import read_settings
from orchestr8_index.records import KINDS, PLURAL
from orchestr8_index.tokens import EXACT, Tokenizer, read_tokenizer

from .harness import Run
from .mcp import Session
from .servers import Client, Server
from .texts import golden, lines, questions

LISTING_BUDGET = 8000  # characters
ASKED, READ = 200, 800  # questions; tokens of an entry
FIELDS = {"agent": "context", "skill": "context", "workflow": "goal"}


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def without(run: Run, index: Index, tokens: Tokenizer) -> tuple[int, int]:
    """(everything, what a host with a budget for skills and commands carries)."""
    lists, whole = dict[str, list[str]](), dict[str, int]()
    for kind in KINDS:
        segment = index.segments[kind]
        lists[kind] = [segment.entry(place).line for place in range(segment.size)]
        whole[kind] = tokens("".join(lists[kind]))
        run.row(f"without: {PLURAL[kind]}", whole[kind], "tokens", entries=segment.size)
    both = lists["skill"] + lists["workflow"]
    fitting = [used <= LISTING_BUDGET for used in accumulate(map(len, both))].count(True)
    cut = tokens("".join(both[:fitting]))
    run.row("without: skills and commands, cut", cut, "tokens", named=fitting, of=len(both))
    return sum(whole.values()), whole["agent"] + cut


def entries_of(client: Client, index: Index, tokens: Tokenizer) -> list[int]:
    """Tokens of entries as they are read, cut to a budget: every tenth one."""
    spent = []
    for kind in KINDS:
        segment = index.segments[kind]
        for entry in map(segment.entry, range(0, segment.size, 10)):
            params = {"kind": kind, "plugin": entry.plugin, "name": entry.name}
            reply, _ = client.call("getEntry", {**params, "max_tokens": READ})
            spent.append(tokens(compact(reply["result"])))
    return spent


def recall(client: Client, asked: list[dict[str, Any]]) -> tuple[float, float]:
    """(Recall@1, Recall@5) of the default answers. Names are expected bare or qualified."""
    right = []
    for question in asked:
        kind = question.get("kind", "agent")
        params = {FIELDS[kind]: question["query"][:500]}
        reply, _ = client.call(f"query{PLURAL[kind].capitalize()}", params)
        rows = reply["result"][PLURAL[kind]][:5]
        names = [{r["name"], f"{r['plugin']}:{r['name']}", *r.get("also", [])} for r in rows]
        right.append([bool(each & set(question["expect"])) for each in names])
    return sum(row[:1] == [True] for row in right) / len(asked), sum(map(any, right)) / len(asked)


def carried_with(run: Run, session: Session, tokens: Tokenizer) -> int:
    """The tools as hosts send them on (name, description, input schema) and the instructions."""
    tools = session.call("tools/list", {})["tools"]
    fields = {"name": "name", "description": "description", "input_schema": "inputSchema"}
    shown = compact([{ours: tool[wire] for ours, wire in fields.items()} for tool in tools])
    fixed = tokens(shown) + tokens(session.opening.get("instructions", ""))
    run.row("with: in every context", fixed, "tokens", tools=len(tools))
    return fixed


def answers_of(session: Session, asked: list[dict[str, Any]], tokens: Tokenizer) -> list[int]:
    """Tokens that a model reads of one call for each question."""
    spent = []
    for question in asked:
        kind = question.get("kind", "agent")
        given = {FIELDS[kind]: question["query"][:500]}
        call = {"name": f"query_{PLURAL[kind]}", "arguments": given}
        told = session.call("tools/call", call)
        spent.append(tokens(compact(told["structuredContent"])))
    return spent


def report(run: Run, client: Client, index: Index, tokens: Tokenizer) -> None:
    whole, budgeted = without(run, index, tokens)
    session = Session(client)
    fixed = carried_with(run, session, tokens)
    asked = list(lines(run.given.golden)) if run.given.golden else golden(run.root)
    texts = asked or [{"query": text} for text in questions(run.root, ASKED)]
    spent = answers_of(session, texts[:ASKED], tokens)
    answer, entry = statistics.mean(spent), statistics.mean(entries_of(client, index, tokens))
    run.row("with: one answer", answer, "tokens", most=max(spent))
    run.row("with: one entry", entry, "tokens")
    for name, carried in (("everything", whole), ("a host with a budget", budgeted)):
        one, both = (100 * (1 - (fixed + more) / carried) for more in (answer, answer + entry))
        even = math.floor((carried - fixed) / (answer + entry))
        run.row(f"less than {name}", unit="%", one_answer=one, and_one_entry=both, even_after=even)
    if asked:
        first, five = recall(client, asked)
        run.row("and right, Recall", at_1=first, at_5=five, questions=len(asked))


def main(arguments: list[str]) -> None:
    with (
        Run(__doc__, arguments, golden=None, tokenizer=EXACT[0]) as run,
        Server(run.root) as server,
    ):
        tokens = read_tokenizer(run.given.tokenizer)
        run.row("tokens counted by", tokens.name)
        settings = read_settings((run.root,), 0, server.data_dir)
        index = open_newest(Generations(settings.data_dir, settings.roots_digest))
        assert index is not None
        report(run, Client(server.port), index, tokens)
