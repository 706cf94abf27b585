"""Which setting wins, what is refused, and which trees are found?"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from orchestr8_index import environment
from orchestr8_index.config import (
    REPOSITORY,
    Limits,
    ReadLimits,
    Settings,
    colour_wanted,
    digest_of_roots,
    discovered_roots,
    fixture_root,
    inherited_environment,
    installed_plugins,
    read_settings,
)
from orchestr8_index.errors import BadSetting
from orchestr8_index.variables import variables

Read = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """read_settings in an empty folder, of a user without files, with the given environment."""
    (tmp_path / "here").mkdir()

    def settings(
        *roots: str, port: int | None = None, data_dir: str | None = None, **env: str
    ) -> Settings:
        here, home = tmp_path / "here", tmp_path / "home"
        return read_settings(roots, port, data_dir, environ=env, cwd=here, home=home)

    return settings


def test_without_anything_the_shipped_tree_is_served(read: Read, tmp_path: Path) -> None:
    settings = read()
    assert settings.roots == (str(fixture_root()),)
    assert settings.data_dir == tmp_path / "home/.claude/mcp-server/data"
    assert (settings.port, settings.explicit_port, settings.explicit_roots) == (
        environment.DEFAULT_PORT,
        False,
        False,
    )


def test_arguments_win_over_the_environment(read: Read, tmp_path: Path) -> None:
    settings = read(port=1, data_dir="mine", MCP_PORT="2", MCP_DATA_DIR="/theirs")
    assert settings.port == 1
    assert settings.data_dir == tmp_path / "here/mine"


def test_the_environment_wins_over_the_defaults(read: Read) -> None:
    settings = read(
        MCP_PORT="0", MCP_DATA_DIR="/d", MCP_LOG_LEVEL="DEBUG", MCP_AUTO_RESTART="false"
    )
    assert (settings.port, settings.explicit_port) == (0, True)
    assert settings.data_dir == Path("/d")
    assert (settings.log_level, settings.auto_restart) == ("debug", False)


@pytest.mark.parametrize("said", ["warn", "WARN", "Warning", "warning"])
def test_a_log_level_may_be_short_and_in_capitals(read: Read, said: str) -> None:
    assert read(MCP_LOG_LEVEL=said).log_level == "warning"
    assert read(MCP_LOG_LEVEL="INFO").log_level == "info"


def test_one_cache_life_overrides_both(read: Read) -> None:
    assert (read().query_life, read().pattern_life) == (300, 600)
    settings = read(MCP_CACHE_TTL="0")
    assert (settings.query_life, settings.pattern_life) == (0, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MCP_PORT", "70000"),
        ("MCP_PORT", "-1"),
        ("MCP_PORT", "٣"),
        ("MCP_PORT", "1" * 5000),
        ("MCP_CACHE_TTL", "soon"),
        ("MCP_LOG_LEVEL", "loud"),
        ("MCP_AUTO_RESTART", "maybe"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(read: Read, name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{name}="):
        read(**{name: value})


def test_roots_are_resolved_once_each(read: Read, tmp_path: Path) -> None:
    (tmp_path / "here/real").mkdir()
    (tmp_path / "here/link").symlink_to("real")
    settings = read("real", "link", MCP_ROOTS="/ignored")
    assert settings.roots == (str((tmp_path / "here/real").resolve()),)
    assert settings.roots_from == "--root"


def test_a_root_may_stand_below_the_home_folder(read: Read, tmp_path: Path) -> None:
    (tmp_path / "home/x").mkdir(parents=True)
    assert read("~/x").roots == (str((tmp_path / "home/x").resolve()),)


def test_the_environment_may_name_several_roots(read: Read, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "here" / name).mkdir()
    settings = read(MCP_ROOTS=os.pathsep.join(("a", "", "b")))
    assert [Path(root).name for root in settings.roots] == ["a", "b"]
    assert settings.explicit_roots


@pytest.mark.parametrize("root", ["missing", "x" * 5000, "nul\0"])
def test_a_root_that_is_no_folder_is_refused(read: Read, root: str) -> None:
    with pytest.raises(BadSetting, match="is not a folder"):
        read(root)


def test_a_root_that_is_not_utf8_is_refused(read: Read, tmp_path: Path) -> None:
    try:
        os.mkdir(os.fsencode(tmp_path / "here") + b"/caf\xe9")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(BadSetting, match="is not a UTF-8 path"):
        read("caf\udce9")


@pytest.mark.parametrize("folder", ["x" * 300, "a/" * 3000])
def test_a_data_directory_that_cannot_be_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(BadSetting, match="too long for a path"):
        read_settings(data_dir=folder, environ={}, cwd=tmp_path, home=tmp_path)


@pytest.mark.parametrize("leads_to", ["/", "..", "../..", "../../home", "../../.."])
def test_no_link_of_a_project_makes_a_root_of_what_it_lies_in(
    tmp_path: Path, leads_to: str
) -> None:
    """`plugins -> /` in a tree that was cloned: all of the disk was read and watched, the server
    held for minutes."""
    here, home = tmp_path / "work/here", tmp_path / "home"
    (here / ".claude").mkdir(parents=True)
    home.mkdir()
    (here / "plugins").symlink_to(leads_to)
    assert discovered_roots(here, home) == (str(here / ".claude"),)
    (tmp_path / "kept").mkdir()
    (here / "plugins").unlink()
    (here / "plugins").symlink_to(tmp_path / "kept")
    assert discovered_roots(here, home) == (str(tmp_path / "kept"), str(here / ".claude"))


def test_trees_are_discovered_in_order(tmp_path: Path) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    skills = home / ".claude/skills"  # those of the user go before those of the project
    wanted = [skills, here / "plugins", here / ".claude", home / ".claude/agents"]
    for place in wanted:
        place.mkdir(parents=True)
    assert discovered_roots(here, home) == tuple(str(place.resolve()) for place in wanted)


def test_discovered_trees_are_used_where_none_is_named(read: Read, tmp_path: Path) -> None:
    (tmp_path / "here/plugins").mkdir()
    settings = read()
    assert [Path(root).name for root in settings.roots] == ["plugins"]
    assert settings.roots_from == "found here"


def test_in_the_repository_the_users_own_trees_are_found_and_else_the_example(
    tmp_path: Path,
) -> None:
    settings = read_settings(environ={}, cwd=REPOSITORY, home=tmp_path)
    assert settings.roots == (str(fixture_root()),)
    (tmp_path / ".claude/agents").mkdir(parents=True)
    settings = read_settings(environ={}, cwd=REPOSITORY, home=tmp_path)
    assert settings.roots == (str(tmp_path / ".claude/agents"),)


def test_installed_plugins_are_read_from_the_hosts_list(tmp_path: Path) -> None:
    listing = tmp_path / "installed_plugins.json"
    of_other = {"installPath": "/c", "scope": "project", "projectPath": "/elsewhere"}
    said = {"one@m": {"installPath": "/b"}, "many@m": [of_other, {"installPath": "/a"}]}
    listing.write_text(json.dumps({"plugins": {**said, "off@m": {"installPath": "/d"}}}))
    found = installed_plugins(listing, None, {"off@m": False})
    assert found == {"one@m": Path("/b"), "many@m": Path("/a")}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"plugins": 3}', '{"plugins": {"a": [{}]}}', "[" * 100_000]
)
def test_a_foreign_list_of_plugins_names_none(tmp_path: Path, text: str) -> None:
    listing = tmp_path / "installed_plugins.json"
    listing.write_text(text)
    assert installed_plugins(listing) == {}


def test_the_digest_of_roots_depends_on_their_order() -> None:
    assert digest_of_roots(("/a", "/b")) != digest_of_roots(("/b", "/a"))
    assert digest_of_roots(("/a", "/b")) != digest_of_roots(("/a/b",))


def test_settings_know_the_digest_of_their_roots(read: Read) -> None:
    settings = read()
    assert settings.roots_digest == digest_of_roots(settings.roots)


def test_a_child_inherits_no_start_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "noise.py")
    monkeypatch.setenv("KEPT", "1")
    inherited = inherited_environment()
    assert "PYTHONSTARTUP" not in inherited
    assert inherited["KEPT"] == "1"


def test_colour_can_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colour_wanted()
    monkeypatch.setenv("NO_COLOR", "")
    assert not colour_wanted()


# --- who may reach the server, and how much they may take --------------------------------------


def test_it_listens_on_loopback_without_keys(read: Read) -> None:
    door = read().door
    assert (door.host, door.needs_keys, door.is_loopback) == ("127.0.0.1", False, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "team.example"])
def test_beyond_loopback_it_needs_keys_and_has_a_rate(read: Read, host: str) -> None:
    settings = read(MCP_HOST=host)
    assert settings.door.needs_keys and settings.limits.rate > 0
    assert read(MCP_HOST=host, MCP_RATE="0").limits.rate == 0


def test_keys_can_be_required_on_loopback(read: Read) -> None:
    assert read(MCP_REQUIRE_KEYS="true").door.needs_keys


def test_further_names_are_listed(read: Read) -> None:
    assert read(MCP_ALLOW_HOSTS="Tools.example, b ,").door.allow_hosts == ("tools.example", "b")


def test_an_origin_is_kept_as_browsers_write_it(read: Read) -> None:
    door = read(MCP_ALLOW_ORIGINS="HTTPS://Tools.example:443,http://localhost:5173").door
    assert door.allow_origins == ("https://tools.example", "http://localhost:5173")


@pytest.mark.parametrize("named", ["*", "tools.example", "http://a/b", "http://", "file://a"])
def test_what_is_no_origin_is_refused(read: Read, named: str) -> None:
    with pytest.raises(BadSetting, match="MCP_ALLOW_ORIGINS"):
        read(MCP_ALLOW_ORIGINS=named)


@pytest.mark.parametrize("alone", ["MCP_TLS_CERT", "MCP_TLS_KEY"])
def test_a_certificate_needs_its_key(read: Read, alone: str) -> None:
    with pytest.raises(BadSetting, match="--tls-cert and --tls-key"):
        read(**{alone: "file.pem"})


@pytest.mark.parametrize("group", [Limits, ReadLimits])
def test_every_limit_has_a_variable_and_a_range(read: Read, group: type[msgspec.Struct]) -> None:
    assert {each.field for each in variables(group)} == {*group.__struct_fields__}
    for each in variables(group):
        for number in (each.low, each.high):
            settings = read(**{each.name: str(number)})
            limits = settings.limits if group is Limits else settings.reading
            assert getattr(limits, each.field) == number
        assert each.low <= each.default <= each.high
        with pytest.raises(BadSetting, match=f"{each.name}.* from {each.low} to {each.high}"):
            read(**{each.name: str(each.high + 1)})


# --- variables that nobody reads ---------------------------------------------------------------


def test_a_misspelt_variable_is_told_with_the_nearest(read: Read) -> None:
    (said,) = read(MCP_PROT="3701").strangers
    assert said == "MCP_PROT is not a setting and changes nothing. Did you mean MCP_PORT?"


def test_a_variable_like_none_of_ours_points_to_the_list(read: Read) -> None:
    (said,) = read(MCP_ZZZZZZ="1").strangers
    assert said == "MCP_ZZZZZZ is not a setting and changes nothing. docs/settings.md lists them."


def test_what_is_read_and_what_belongs_to_others_is_no_stranger(read: Read, tmp_path: Path) -> None:
    given = {"MCP_ROOTS": str(tmp_path), "MCP_DATA_DIR": "/d", "MCP_WATCH": "true", "HOME": "/"}
    assert read(str(tmp_path), port=1, data_dir="d", MCP_TIMEOUT="5", **given).strangers == ()


def test_what_an_option_overrides_is_no_stranger(tmp_path: Path) -> None:
    door = {"host": "::1", "allow_hosts": ("a",), "tls_cert": "c", "tls_key": "k"}
    named = ("HOST", "ALLOW_HOSTS", "TLS_CERT", "TLS_KEY", "REQUIRE_KEYS", "API_KEY", "MAX_BODY")
    given = {f"MCP_{name}": "" for name in named}
    assert read_settings(door=door, environ=given, cwd=tmp_path, home=tmp_path).strangers == ()


def test_an_endpoint_is_an_address(read: Read) -> None:
    assert read(MCP_OTEL_ENDPOINT="http://localhost:4318").otel_endpoint == "http://localhost:4318"
    with pytest.raises(BadSetting, match="no address of http or https"):
        read(MCP_OTEL_ENDPOINT="localhost:4318")


def test_two_data_directories_are_told_apart_without_naming_them(read: Read) -> None:
    one, other = read(data_dir="a"), read(data_dir="b")
    assert one.data_digest == read(data_dir="./a").data_digest != other.data_digest
    assert "/" not in one.data_digest
