"""Measures what users get. `scripts/bench NAME --help` has the options of one benchmark."""

import importlib
import sys

# A benchmark is a module of this package with `main(arguments)`, and a line here.
BENCHMARKS = {
    "client": "Imports, answers with and without a server, and outcomes through killed processes.",
    "collide": "What eight agents lose in one repository in a day, without hooks and with them.",
    "compare": "This working tree beside another revision, in turn.",
    "contest": "Time and quality of an answer beside other libraries, in process.",
    "coordinate": "Shared values, locks and messages: milliseconds of each, writes a second.",
    "day": "The share of a working day's answers that comes from the cache.",
    "faces": "Other products' tools: a cache, a shared context; milliseconds and memory.",
    "faults": "Kills, a full disk and damage under load: answers again, loses nothing.",
    "fresh": "How soon a saved file answers, under a steady load of questions.",
    "hooks": "What a host's hook waits for beside 10,000 claims, and what a model reads of it.",
    "idle": "Context switches and processor time of a server and its watcher at rest.",
    "mcp": "Milliseconds and memory of a call over MCP, beside JSON-RPC, and by the bridge.",
    "page": "How soon the page is drawn, an answer shown, an event on it; its cost.",
    "outcomes": "Outcomes a second, and questions over a store of many decisions and patterns.",
    "plans": "How often a goal in other words gets the pattern that worked for it.",
    "profile": "Where a question's time goes: microseconds of each part.",
    "prompts": "How often a prompt gets a suggestion, and how often it is right.",
    "ranking": "Hits of sets of questions, without each ingredient, and after past tasks.",
    "scale": "Cost and memory of a question as the catalogue grows.",
    "serve": "Start, memory, hits and misses of one server, through HTTP (the default).",
    "side": "Answers a second beside a constant reply and other servers, with ratios.",
    "soak": "Memory and latency under half of the capacity for long.",
    "team": "A team's servers on one PostgreSQL: writes a second, and how soon another one knows.",
    "tokens": "Tokens that a model carries without the index and with it.",
}


def main(arguments: list[str]) -> None:
    name, *rest = arguments or ["serve"]
    listed = "\n".join(f"  {each:10} {sentence}" for each, sentence in BENCHMARKS.items())
    if name in ("-h", "--help"):
        print(f"usage: scripts/bench [NAME] [OPTIONS]\n\n{__doc__}\n\n{listed}")
        return
    if name.startswith("-"):
        name, rest = "serve", arguments
    if name not in BENCHMARKS:
        print(f"There is no benchmark '{name}'; there are:\n{listed}", file=sys.stderr)
        sys.exit(2)
    sys.argv[0] = f"bench {name}"
    importlib.import_module(f"benchmarks.{name}").main(rest)


if __name__ == "__main__":
    main(sys.argv[1:])
