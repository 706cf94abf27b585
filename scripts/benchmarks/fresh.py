"""How soon a saved file answers, under a steady load of questions.

The tree is copied (or, with --entries, made of the words of the tree's own files) into a temporary
folder. Live is: a question with a word that no file had before finds the edited entry; after a
deletion: no longer finds it. The load asks distinct questions at a fixed rate meanwhile.
"""

import asyncio
import itertools
import random
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .harness import Run
from .load import Seen, open_loop
from .servers import KINDS, Client, Server, beside, rpc
from .texts import questions, synthetic

MOST, QUIET, PATIENCE = 60.0, 5.0, 0.05  # seconds


def load(port: int, texts: list[str], rate: float, seen: Seen, stop: threading.Event) -> None:
    """Distinct questions over one connection, until told to stop."""
    bodies = (
        rpc(method, {name: text})
        for text, (method, name) in zip(
            itertools.cycle(texts), itertools.cycle(KINDS), strict=False
        )
    )
    loop = open_loop(port, bodies, rate, lambda _: stop.is_set(), wires=1, patience=PATIENCE)
    seen.add(asyncio.run(loop))


def live_after(client: Client, word: str, wanted: bool, save: Callable[[], object]) -> float:
    """Milliseconds from the save until the word finds an entry, or finds none."""
    save()
    started = time.perf_counter()
    while time.perf_counter() < started + MOST:
        reply, _ = client.call("queryAgents", {"context": word, "min_confidence": 0})
        found = reply.get("result", {}).get("agents")  # none when it refuses
        if found is not None and bool(found) == wanted:
            return (time.perf_counter() - started) * 1000
        time.sleep(0.005)
    raise SystemExit(f"The change was not live after {MOST:g} s.")


def changes(client: Client, folder: Path, rounds: int, pause: float) -> dict[str, list[float]]:
    """Each round: an edit in place, a save by rename, a new file, and its deletion."""
    found, draw = defaultdict[str, list[float]](list), random.Random(11)

    def measure(name: str, word: str, wanted: bool, save: Callable[[], object]) -> None:
        time.sleep(pause)
        found[name].append(live_after(client, word, wanted, save))

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


def main(arguments: list[str]) -> None:
    options = {"entries": 0, "rounds": 20, "pause": 1.0, "load": 100.0}
    with Run(__doc__, arguments, **options) as run, tempfile.TemporaryDirectory() as folder:
        given, tree = run.given, Path(folder, "tree")
        if given.entries:
            synthetic(run.root, given.entries, tree)
        else:
            shutil.copytree(run.root, tree, symlinks=True)
        with Server(tree) as server:
            run.row("cold start", server.ready_s, "s", **server.get("/health")[1]["indexes"])
            of = (server.port, questions(run.root, 5000), given.load)
            quiet, busy = Seen(), Seen()
            with beside(partial(load, *of, quiet)):
                time.sleep(QUIET)
            with beside(partial(load, *of, busy)):
                found = changes(Client(server.port), tree, given.rounds, given.pause)
            for name, spent in found.items():
                run.times(f"{name}, live after", spent)
            for name, seen in (("no change", quiet), ("changes", busy)):
                run.row("load", name)
                seen.tell(run)
            run.row("memory of the server", server.memory_mb, "MB")
