"""How often a prompt gets a suggestion that nobody asked for, and how often it is right.

A folder of --set holds corpus.jsonl[.gz] and queries.jsonl with the right entries; --root is a
tree, --outside a file of questions that nobody can answer; chatter.txt beside this file has what is
said to the host alone. Both options may be repeated. everyday.txt has what people type all day,
with whom plugins_fixture has for it, if anybody.
"""

import json
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace

from orchestr8_index.catalog.build import build
from orchestr8_index.catalog.build_lines import BuildRequest
from orchestr8_index.catalog.index import open_newest
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.config import digest_of_roots
from orchestr8_index.search.confidence import SPEAK
from orchestr8_index.serve.hooks.suggest import LEAST_WORDS, suggest
from orchestr8_index.text import Terms

from .harness import Run
from .texts import lines

CHATTER = re.split(r" \| |\n", Path(__file__).with_name("chatter.txt").read_text("utf-8").strip())
EVERYDAY = Path(__file__).with_name("everyday.txt")
FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
FOLDERS = {"agent": "agents", "skill": "skills", "workflow": "commands"}
NAME = re.compile(r"^- \w+ (?:\S+:)?([\w-]+)[ :]", re.MULTILINE)
NAMED = re.compile(r"^- \w+ p(\d{6}):", re.MULTILINE)


def write_tree(folder: Path, root: Path) -> list[str]:
    """The set's corpus as a tree, a plugin for each entry; returns the entries' ids in order."""
    ids = []
    for number, entry in enumerate(lines(folder / "corpus.jsonl")):
        path = root / "plugins" / f"p{number:06d}" / FOLDERS[entry.get("kind", "agent")]
        path.mkdir(parents=True)
        head = {key: entry[key] for key in ("name", "description", "tags") if entry.get(key)}
        header = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
        text = f"---\n{header}\n---\n\n{entry.get('body') or ''}"
        (path / f"e{number}.md").write_text(text, "utf-8")
        ids.append(entry["id"])
    return ids


def state_of(root: str, data_dir: str) -> SimpleNamespace:
    build(BuildRequest((root,), data_dir), lambda line: None)
    index = open_newest(Generations(Path(data_dir), digest_of_roots((root,))))
    return SimpleNamespace(index=index, terms=Terms(), experience=None)


def rightness(run: Run, state: SimpleNamespace, folder: Path, ids: list[str]) -> None:
    asked = list(lines(folder / "queries.jsonl"))
    said = [(query, suggest(state, query["query"])) for query in asked]
    right = [
        [ids[int(number)] in query["relevant"] for number in NAMED.findall(text)]
        for query, text in said
        if text
    ]
    share = len(right) / len(asked)
    run.row("  labelled", asked=len(asked), get_a_suggestion=len(right), share=share)
    if right:
        first, among = (sum(map(of, right)) / len(right) for of in (lambda row: row[0], any))
        run.row("  right", first=first, one_of_them=among)


def everyday(run: Run) -> None:
    """Of what is put into prompts: is the first right, is every row, and who hears nothing?"""
    asked = [
        line.split("\t") for line in EVERYDAY.read_text("utf-8").splitlines() if line[0] != "#"
    ]
    with tempfile.TemporaryDirectory() as home:
        state = state_of(str(FIXTURE), home)
        told = [(wanted, NAME.findall(suggest(state, prompt))) for prompt, *wanted in asked]
    spoken = [(wanted, names) for wanted, names in told if names]
    rows = [name in wanted for wanted, names in spoken for name in names]
    wanting = sum(bool(wanted) for wanted, _ in told)
    run.row("everyday", asked=len(asked), with_somebody=wanting, get_a_suggestion=len(spoken))
    right = sum(names[0] in wanted for wanted, names in spoken)
    run.row("  right", first=right / len(spoken), of_all_rows=sum(rows) / len(rows))
    found = sum(bool(wanted) for wanted, _ in spoken)
    run.row("  heard", of_those_with_somebody=found / wanting, others=len(spoken) - found)


def main(arguments: list[str]) -> None:
    with Run(__doc__, arguments, set=[], root=[], outside=None) as run:
        given = run.given
        outside = [row["query"] for row in lines(given.outside)] if given.outside else []
        run.row("speaks from", confidence=SPEAK, words=LEAST_WORDS)
        everyday(run)
        for place in [*given.set, *given.root]:
            run.row("tree", place)
            with tempfile.TemporaryDirectory() as home:
                ids = write_tree(Path(place), Path(home, "tree")) if place in given.set else []
                state = state_of(f"{home}/tree" if ids else place, f"{home}/data")
                if ids:
                    rightness(run, state, Path(place), ids)
                for name, texts in (("chatter", CHATTER), ("outside", outside)):
                    spoken = [text for text in texts if suggest(state, text)]
                    counts = {"asked": len(texts), "get_a_suggestion": len(spoken)}
                    run.row(f"  {name}", **counts, such_as=spoken[:4])
