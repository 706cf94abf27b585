"""How soon does a saved file answer, and does anybody notice? Edits under a steady load of queries.

scripts/bench fresh [--root DIR] [--entries N] [--rounds 20] [--pause 1.0] [--load 100]

The tree is copied (or, with --entries, made of the words of the tree's own files) into a temporary
folder. Live is: a question with a word that no file had before finds the edited entry; after a
deletion: no longer finds it. The load asks distinct questions at a fixed rate meanwhile.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from machine import Client, Server, describe, percentile, questions
from serve import FIXTURE, KINDS

PATIENCE = 60.0
FOLDERS = ("agents", "skills", "commands")


def synthetic(root: str, entries: int, into: Path) -> None:
    """Entries with descriptions of 90 and bodies of 300 characters, in 200 plugins."""
    draw, words = random.Random(7), []
    for path in sorted(Path(root).rglob("*.md"))[:2000]:
        words += re.findall(r"[A-Za-z][\w-]+", path.read_text("utf-8", "replace")[:8000])
    for number in range(entries):
        name = "-".join(word.lower() for word in draw.choices(words, k=3))[:60]
        folder = into / "plugins" / f"p{number % 200:03d}" / FOLDERS[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        said, body = (prose(draw, words, size) for size in (90, 300))
        text = f'---\nname: {name}-{number}\ndescription: "{said}"\n---\n\n{body}\n'
        (folder / f"{name}-{number}.md").write_text(text)


def prose(draw: random.Random, words: list[str], size: int) -> str:
    found = ""
    while len(found) < size:
        start = draw.randrange(len(words) - 12)
        found += " ".join(words[start : start + draw.randint(3, 12)]) + " "
    return found[:size].strip()


@dataclass
class Load:
    """One connection that asks `rate` distinct questions a second until it is stopped."""

    port: int
    texts: list[str]
    rate: float
    spent: list[float] = field(default_factory=list)
    failures: int = 0

    def __enter__(self) -> Load:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        client, number = Client(self.port), 0
        while not self._stop.wait(1 / self.rate):
            method, name = KINDS[number % len(KINDS)]
            try:
                reply, spent = client.call(method, {name: self.texts[number % len(self.texts)]})
                self.spent.append(spent)
                self.failures += "result" not in reply
            except (OSError, ValueError):
                self.failures += 1
                client = Client(self.port)
            number += 1


def live_after(client: Client, word: str, wanted: bool, save: Callable[[], object]) -> float:
    """Milliseconds from the save until the word finds an entry, or finds none."""
    save()
    started = time.perf_counter()
    while time.perf_counter() - started < PATIENCE:
        reply, _ = client.call("queryAgents", {"context": word, "min_confidence": 0})
        if bool(reply["result"]["agents"]) == wanted:
            return (time.perf_counter() - started) * 1000
        time.sleep(0.005)
    raise SystemExit(f"The change was not live after {PATIENCE:g} s.")


def changes(client: Client, folder: Path, rounds: int, pause: float) -> dict[str, list[float]]:
    """Each round: an edit in place, a save by rename, a new file, and its deletion."""
    found: dict[str, list[float]] = {}
    draw = random.Random(11)

    def measure(name: str, word: str, wanted: bool, save: Callable[[], object]) -> None:
        time.sleep(pause)
        found.setdefault(name, []).append(live_after(client, word, wanted, save))

    files = sorted(folder.rglob("agents/*.md"))
    for number in range(rounds):
        path, aside = files[number % len(files)], folder / ".aside.tmp"
        # of five letters: the search for a misspelling of a longer one is not what is measured
        one, other, third = ("".join(draw.choices("bcdfghjklmnpqrtvwxz", k=5)) for _ in range(3))
        text = path.read_text("utf-8") + "\n"
        measure("edit", one, True, lambda p=path, t=text + one: p.write_text(t))
        aside.write_text(f"{text}{other}")
        measure("save by rename", other, True, lambda p=path, a=aside: a.rename(p))
        new = path.with_name(f"new-{number}.md")
        entry = f"---\nname: new-{number}\ndescription: Knows {third}.\n---\n\nText.\n"
        measure("addition", third, True, lambda n=new, t=entry: n.write_text(t))
        measure("deletion", third, False, new.unlink)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default=str(FIXTURE))
    parser.add_argument("--entries", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pause", type=float, default=1.0)
    parser.add_argument("--load", type=float, default=100.0)
    arguments = parser.parse_args()
    print(f"machine  {describe()}\nroot     {arguments.root}")
    texts = questions(arguments.root, 5000)
    with tempfile.TemporaryDirectory() as data_dir, tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        if arguments.entries:
            synthetic(arguments.root, arguments.entries, tree)
        else:
            shutil.copytree(arguments.root, tree, symlinks=True)
        server = Server([str(tree)], data_dir)
        try:
            run(server, tree, texts, arguments)
        finally:
            server.stop()


def run(server: Server, tree: Path, texts: list[str], arguments: argparse.Namespace) -> None:
    print(f"entries  {server.get('/health')[1]['indexes']}, cold start {server.ready_s:.2f} s")
    with Load(server.port, texts, arguments.load) as quiet:
        time.sleep(5)
    with Load(server.port, texts, arguments.load) as load:
        found = changes(Client(server.port), tree, arguments.rounds, arguments.pause)
    report(found, quiet, load)
    print(f"memory of the server               {server.memory_mb():.1f} MB")


def report(found: dict[str, list[float]], quiet: Load, load: Load) -> None:
    for name, spent in found.items():
        p50, p95 = (percentile(spent, share) for share in (0.5, 0.95))
        print(f"{name:16} live after p50 {p50:6.0f}  p95 {p95:6.0f}  max {max(spent):6.0f} ms")
    for name, of in (("no change", quiet), ("changes", load)):
        p50, p99 = (percentile(of.spent, share) for share in (0.5, 0.99))
        print(
            f"load, {name:10} {len(of.spent)} questions, {of.failures} failed:"
            f" p50 {p50:.2f}  p99 {p99:.2f}  max {max(of.spent):.1f} ms"
        )


if __name__ == "__main__":
    main()
