"""When does a prompt get a suggestion that nobody asked for, and is it right?

    scripts/bench prompts --set DIR... --root DIR... --outside FILE

A DIR of --set holds corpus.jsonl[.gz] and queries.jsonl with the right entries; --root is a tree,
FILE has questions that nobody can answer, and chatter.txt beside this file what is said to the host
alone. Prints how often the index speaks, and how often its first match, or any of them, is right.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
from orchestr8_index.catalog.build import BuildRequest, build  # noqa: E402
from orchestr8_index.catalog.index import open_newest  # noqa: E402
from orchestr8_index.catalog.snapshot import Generations  # noqa: E402
from orchestr8_index.config import digest_of_roots  # noqa: E402
from orchestr8_index.search.confidence import SURE  # noqa: E402
from orchestr8_index.serve.hooks.suggest import LEAST_WORDS, suggest  # noqa: E402
from orchestr8_index.text import Terms  # noqa: E402

NAMED = re.compile(r"^- \w+ p(\d{6}):", re.MULTILINE)


def lines(path: Path) -> Iterator[dict]:
    path = path if path.exists() else path.with_name(path.name + ".gz")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def write_tree(folder: Path, root: Path) -> list[str]:
    """The set's corpus as a tree, a plugin for each entry; returns the entries' ids in order."""
    ids = []
    for number, entry in enumerate(lines(folder / "corpus.jsonl")):
        kind = entry.get("kind", "agent")
        path = root / "plugins" / f"p{number:06d}" / f"{kind}s" / f"e{number}.md"
        path.parent.mkdir(parents=True)
        head = {key: entry[key] for key in ("name", "description", "tags") if entry.get(key)}
        header = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
        path.write_text(f"---\n{header}\n---\n\n{entry.get('body', '')}", "utf-8")
        ids.append(entry["id"])
    return ids


def state_of(root: str, data_dir: str) -> SimpleNamespace:
    build(BuildRequest((root,), data_dir), lambda line: None)
    index = open_newest(Generations(Path(data_dir), digest_of_roots((root,))))
    return SimpleNamespace(index=index, terms=Terms(), experience=None)


def silence(state: SimpleNamespace, name: str, prompts: list[str]) -> None:
    spoken = [prompt for prompt in prompts if suggest(state, prompt)]
    print(f"  {name:10} {len(spoken):4} of {len(prompts)} get a suggestion {spoken[:4]}")


def rightness(state: SimpleNamespace, folder: Path, ids: list[str]) -> None:
    asked = spoken = first = among = 0
    for query in lines(folder / "queries.jsonl"):
        asked += 1
        if said := suggest(state, query["query"]):
            right = [ids[int(number)] in query["relevant"] for number in NAMED.findall(said)]
            spoken, first, among = spoken + 1, first + right[0], among + any(right)
    shares = f"first right {first / spoken:.2f}, one of them right {among / spoken:.2f}"
    print(f"  labelled   {spoken:4} of {asked} get a suggestion ({spoken / asked:.2f}); {shares}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", type=Path, default=[])
    parser.add_argument("--root", action="append", default=[])
    parser.add_argument("--outside", type=Path)
    given = parser.parse_args()
    chatter = (HERE / "chatter.txt").read_text("utf-8").splitlines()
    outside = [row["query"] for row in lines(given.outside)] if given.outside else []
    print(f"confidence at least {SURE}, words at least {LEAST_WORDS}")
    for place in [*given.set, *given.root]:
        with tempfile.TemporaryDirectory() as home:
            ids = write_tree(place, Path(home) / "tree") if place in given.set else []
            state = state_of(f"{home}/tree" if ids else place, f"{home}/data")
            print(place)
            if ids:
                rightness(state, place, ids)
            silence(state, "chatter", chatter)
            silence(state, "outside", outside)


if __name__ == "__main__":
    main()
