"""How often does a goal in other words get the pattern that worked for it, and a strange one none?

plans.txt beside this file has goals, each with the same in other words, and below the line goals
that nobody ever worked for. Each goal is taught to a sequence of agents of its own, twice.
"""

from collections import Counter
from itertools import combinations, islice
from pathlib import Path
from typing import Any

from .harness import Run
from .servers import Client, Server, agents_of

AGENTS, TIMES = 3, 2
AGENTS_OF = "software data security design writing support deployment tests"


def goals() -> tuple[list[tuple[str, str]], list[str]]:
    """(goal, the same in other words), and the strange ones."""
    text = Path(__file__).with_name("plans.txt").read_text("utf-8")
    known, _, strange = text.partition("\n--\n")
    pairs = [line.split(" | ") for line in known.splitlines()]
    return [(goal, again) for goal, again in pairs], strange.splitlines()


def teach(client: Client, pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Each goal's sequence of agents."""
    sequences = islice(combinations(agents_of(client, AGENTS_OF.split()), AGENTS), 0, None, 7)
    taught = {goal: list(next(sequences)) for goal, _ in pairs}
    for goal, agents in taught.items():
        for number in range(TIMES):
            report = {
                "task_id": f"{goal}:{number}"[-100:],
                "task_description": goal,
                "agents_used": agents,
                "parallel_groups": [[agent] for agent in agents],
                "result": "success",
            }
            client.call("cacheDecision", report)
    return taught


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments) as run, Server(run.root) as server:
        client, (pairs, strange) = Client(server.port), goals()
        taught = teach(client, pairs)

        def found(goal: str) -> dict[str, Any]:
            return client.call("getOrchestrationPattern", {"goal": goal})[0]["result"] or {}

        told = [(goal, again, found(again)) for goal, again in pairs]
        right = [p.get("pattern", {}).get("agent_sequence") == taught[goal] for goal, _, p in told]
        wrong = [
            (again, p["pattern"]["goal"])
            for (_, again, p), r in zip(told, right, strict=True)
            if p and not r
        ]
        by = Counter(p["matched_by"] for _, _, p in told if p)
        any_at_all = [(goal, p["pattern"]["goal"]) for goal in strange if (p := found(goal))]
        run.row("in other words", goals=len(pairs), get_theirs=sum(right) / len(pairs), **by)
        run.row("  another's", number=len(wrong), such_as=wrong[:4])
        run.row("strange", goals=len(strange), get_any=len(any_at_all) / len(strange))
        run.row("  such as", any_at_all[:4])
