"""One file alone reads the environment, and a setting is declared in one place."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from orchestr8_index.config import REPOSITORY

from .source import NAME, modules

READERS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def readers() -> Iterator[str]:
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in READERS:
                yield name
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                if READERS & {alias.name for alias in node.names}:
                    yield name


def test_only_the_configuration_reads_the_environment() -> None:
    assert set(readers()) == {f"{NAME}.environment"}


def test_logging_is_set_up_in_one_place() -> None:
    """Never by a constructor or an import."""
    changed = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"basicConfig", "addHandler"}
    }
    assert changed == set()


# --- one place for one setting -----------------------------------------------------------------

LIMIT = '    max_colours: Annotated[int, whole(1, 9, "colours of a page")] = 3\n'
OPTION = '    tls_ca: Annotated[str, _text("trust callers of this authority", form="FILE")] = ""\n'
USES = """
import sys
from pathlib import Path
from click.testing import CliRunner
from orchestr8_index.cli.serve import serve
from orchestr8_index.config import read_settings
from orchestr8_index.daemon.supervise import arguments_of
from orchestr8_index.errors import BadSetting
given = {"MCP_MAX_COLOURS": "5", "MCP_TLS_CA": "ca.pem"}
settings = read_settings(environ=given, cwd=Path("/w"), home=Path("/h"), door={"host": "::1"})
assert (settings.limits.max_colours, settings.door.tls_ca) == (5, "/w/ca.pem")
assert settings.strangers == ()
assert arguments_of(settings)[-2:] == ["--tls-ca", "/w/ca.pem"]
named = read_settings(environ=given, cwd=Path("/w"), home=Path("/h"), door={"tls_ca": "~/a.pem"})
assert named.door.tls_ca == "/h/a.pem"
try:
    read_settings(environ={"MCP_MAX_COLOURS": "10"})
except BadSetting as error:
    assert "MCP_MAX_COLOURS=10 is not a whole number from 1 to 9" in str(error)
else:
    raise AssertionError("it is out of its range")
assert "--tls-ca FILE" in CliRunner().invoke(serve, ["--help"]).output
"""


def test_a_limit_and_a_listening_option_are_one_line_in_one_file(tmp_path: Path) -> None:
    """Read, checked, offered, passed to a server in the background and documented from there; what
    it is for is the second place."""
    for name in ("orchestr8_index", "scripts"):
        (tmp_path / name).mkdir()
        for each in (REPOSITORY / name).iterdir():
            (tmp_path / name / each.name).symlink_to(each)
    for file, field, added in (("limits", "max_batch", LIMIT), ("config", "tls_key", OPTION)):
        (changed := tmp_path / "orchestr8_index" / f"{file}.py").unlink()
        text = (REPOSITORY / "orchestr8_index" / f"{file}.py").read_text("utf-8")
        changed.write_text(text.replace(f"    {field}:", f"{added}    {field}:", 1), "utf-8")
    (pages := tmp_path / "scripts" / "pages").unlink()
    shutil.copy(REPOSITORY / "scripts" / "pages", pages)
    given = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", USES]
    done = subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, str(pages), "door", "limits"]
    written = subprocess.check_output(command, text=True)
    assert "| `MCP_MAX_COLOURS` | 3 | colours of a page (1 to 9) |" in written
    assert "also `--tls-ca` |" in written
