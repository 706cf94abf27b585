"""Time and quality of an answer beside other libraries, in process, over the same texts.

Against bm25s, rank-bm25, scikit-learn's TF-IDF with cosine, SQLite's FTS5 and rapidfuzz, each in a
process of its own and in an environment that is made for them (`--env`). `--set FOLDER` has
corpus.jsonl[.gz] and queries.jsonl and gives nDCG@10 beside the time; `--sizes` are catalogues made
of the tree's words, which give the time alone. Ours is a whole answer with rows and reasoning.
"""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .harness import REPOSITORY, Run, apart
from .libraries import LIBRARIES, TOP, measure
from .scale import entries, mixed, opened, write
from .texts import lines, questions

PACKAGES = ("bm25s", "rank-bm25", "scikit-learn", "rapidfuzz", "PyStemmer")
HERE = Path(__file__).with_name("libraries.py")


def environment(folder: Path) -> str:
    """The Python of the other libraries' environment, made where there is none."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


def of_set(folder: Path) -> tuple[list[Any], dict[str, Any]]:
    """(entries with their bodies, the questions with what is relevant)"""
    from orchestr8_index.records import Entry

    corpus, made = list(lines(folder / "corpus.jsonl")), []
    for number, each in enumerate(corpus):
        plugin, path = f"p{number:06d}", f"{number}.md"
        about, tags = each.get("description") or "", tuple(each.get("tags") or ())
        entry = Entry("skill", plugin, each["name"], each["name"], about, 0, path, "0", tags=tags)
        made.append((entry, each.get("body") or ""))
    place = {each["id"]: number for number, each in enumerate(corpus)}
    asked = [each for each in lines(folder / "queries.jsonl") if each.get("relevant")]
    relevant = [[place[name] for name in each["relevant"] if name in place] for each in asked]
    return made, {"questions": [each["query"][:500] for each in asked], "relevant": relevant}


def ours(given: dict[str, Any], folder: Path) -> dict[str, float]:
    from orchestr8_index.queries import SkillQuery
    from orchestr8_index.search.answer import answer_skills
    from orchestr8_index.text import Terms

    index, terms = opened(folder), Terms()
    places = index.segments["skill"].position

    def ask(question: str) -> list[int]:
        query = SkillQuery(context=question, limit=TOP, min_confidence=0.0)
        answer = answer_skills(index, query, terms)
        return [places[f"{row.plugin}:{row.name}"] for row in answer.rows]

    return measure(ask, given["questions"], given["relevant"])


def contest(run: Run, name: str, made: list[Any], asked: dict[str, Any], python: str) -> None:
    texts = [f"{e.name} {e.description} {' '.join(e.tags)} {body}" for e, body in made]
    given = {"texts": texts, "names": [f"{e.name} {e.description}" for e, _ in made], **asked}
    with tempfile.TemporaryDirectory() as folder:
        apart(write, made, Path(folder))
        mine = apart(ours, given, Path(folder))
        run.row(f"{name}: ours", **mine, times=1.0)
        path = Path(folder, "given.json")
        path.write_text(json.dumps(given))
        for rival in LIBRARIES:
            done = subprocess.run([python, HERE, rival, path], capture_output=True, text=True)
            if done.returncode:
                print(done.stderr[-500:], file=sys.stderr)
                continue
            figures = json.loads(done.stdout.splitlines()[-1])
            run.row(f"{name}: {rival}", **figures, times=figures["p50_ms"] / mine["p50_ms"])


def sizes(run: Run) -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
    for size in map(int, filter(None, run.given.sizes.split(","))):
        texts = mixed(questions(run.root, run.given.questions), run.root)
        asked = {"questions": [text[:500] for text in texts], "relevant": []}
        yield f"{size:,} entries", list(entries(run.root, size)), asked


def main(arguments: list[str]) -> None:
    options = {"set": [], "sizes": "10000", "questions": 300, "env": None}
    with Run(__doc__, arguments, **options) as run:
        python = environment(run.given.env or REPOSITORY / ".venv" / "contest")
        for folder in map(Path, run.given.set):
            contest(run, folder.name, *of_set(folder), python)
        for name, made, asked in sizes(run):
            contest(run, name, made, asked, python)
