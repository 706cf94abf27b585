"""What must be read, what is refused and why, and has anything changed?"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from orchestr8_index.catalog.scan import Scan, scan
from orchestr8_index.config import USUAL
from orchestr8_index.records import Poison

from ..trees import MakeTree


def scanned(*roots: Path) -> Scan:
    return scan(tuple(str(root) for root in roots))


def refusals(found: Scan) -> dict[str, str]:
    return {report.path: report.reason for report in found.reports}


def test_entries_become_sources_and_the_rest_is_reported(make_tree: MakeTree) -> None:
    found = scanned(make_tree({"agents/a.md": "", "agents/README.md": ""}))
    (source,) = found.sources
    assert (source.path, source.kind, source.stem, source.plugin) == (
        "agents/a.md",
        "agent",
        "a",
        "tree",
    )
    assert refusals(found) == {"agents/README.md": "not an entry: a README"}


def test_a_file_over_the_limit_is_refused(make_tree: MakeTree) -> None:
    found = scanned(
        make_tree(
            {
                "agents/a.md": b"x" * (USUAL.max_file_bytes + 1),
                "agents/b.md": b"x" * USUAL.max_file_bytes,
            }
        )
    )
    assert refusals(found) == {"agents/a.md": "too large: 1,000,001 bytes, the limit is 1,000,000"}
    assert [source.path for source in found.sources] == ["agents/b.md"]


def test_a_folder_named_like_a_file_is_reported(make_tree: MakeTree) -> None:
    (report,) = scanned(make_tree({"agents/a.md/x.txt": ""})).reports
    assert (report.path, report.is_entry) == ("agents/a.md", False)


def test_what_cannot_be_read_is_reported(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": ""})
    os.mkfifo(root / "agents/pipe.md")
    (report,) = scanned(root).reports
    assert (report.path, report.reason) == ("agents/pipe.md", "not a regular file")
    assert report.cure


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_locked_folder_is_reported(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": ""})
    (root / "agents").chmod(0)
    reasons = refusals(scanned(root))
    (root / "agents").chmod(0o700)
    assert reasons["agents"].startswith("the folder cannot be read")


# --- links -------------------------------------------------------------------------------------


def test_a_link_inside_the_roots_is_one_file(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": ""})
    (root / "agents/b.md").symlink_to("a.md")
    found = scanned(root)
    assert [source.path for source in found.sources] == ["agents/a.md"]
    assert refusals(found) == {"agents/b.md": "duplicate: a link to a file that is indexed already"}


def test_a_link_gives_an_entry_to_a_file_that_is_none(make_tree: MakeTree) -> None:
    root = make_tree({"docs/a.md": "", "agents/x.md": ""})
    (root / "agents/a.md").symlink_to("../docs/a.md")
    assert [source.path for source in scanned(root).sources] == ["agents/x.md", "agents/a.md"]


def test_a_linked_folder_is_followed_once(make_tree: MakeTree) -> None:
    root = make_tree({"store/a.md": "", "agents/x.md": ""})
    (root / "agents/one").symlink_to("../store")
    (root / "agents/two").symlink_to("../store")
    found = scanned(root)
    assert [source.path for source in found.sources] == ["agents/x.md", "agents/one/a.md"]
    assert refusals(found)["agents/two/a.md"].startswith("duplicate")


def test_a_linked_file_may_lie_in_another_root(make_tree: MakeTree) -> None:
    one, two = make_tree({"agents/x.md": ""}, "one"), make_tree({"agents/y.md": ""}, "two")
    (one / "agents/link.md").symlink_to(two / "agents/y.md")
    assert refusals(scanned(one, two))["agents/link.md"].startswith("duplicate: a link")


@pytest.mark.parametrize("target", ["/etc", "../outside", "../outside/a.md"])
def test_a_link_out_of_the_roots_is_not_followed(make_tree: MakeTree, target: str) -> None:
    make_tree({"a.md": ""}, "outside")
    root = make_tree({"agents/x.md": ""})
    (root / "agents/out.md").symlink_to(root / target)
    found = scanned(root)
    assert refusals(found)["agents/out.md"].startswith("outside: ")
    assert [source.path for source in found.sources] == ["agents/x.md"]


def test_a_root_beside_is_not_inside(make_tree: MakeTree) -> None:
    make_tree({"a.md": ""}, "tree-of-another")
    root = make_tree({"agents/x.md": ""}, "tree")
    (root / "agents/out").symlink_to(root.parent / "tree-of-another")
    assert refusals(scanned(root))["agents/out"].startswith("outside: ")


def test_links_that_lead_in_a_circle_end(make_tree: MakeTree) -> None:
    root = make_tree({"agents/x.md": ""})
    (root / "agents/one.md").symlink_to("two.md")
    (root / "agents/two.md").symlink_to("one.md")
    (root / "agents/up").symlink_to("..")
    found = scanned(root)
    assert [source.path for source in found.sources] == ["agents/x.md"]
    assert refusals(found)["agents/one.md"] == "loop: links that lead in a circle"


def test_a_dead_link_is_reported(make_tree: MakeTree) -> None:
    root = make_tree({"agents/x.md": ""})
    (root / "agents/dead.md").symlink_to("nowhere.md")
    assert refusals(scanned(root)) == {"agents/dead.md": "the link leads nowhere"}


def test_a_link_to_no_markdown_is_reported(make_tree: MakeTree) -> None:
    # it was dropped without a word
    root = make_tree({"agents/x.md": "", "notes.txt": ""})
    (root / "agents/notes.md").symlink_to("../notes.txt")
    assert "something else" in refusals(scanned(root))["agents/notes.md"]


def test_roots_that_overlap_give_each_file_once(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": ""})
    found = scanned(root, root / "agents")
    assert [(source.root, source.path) for source in found.sources] == [(0, "agents/a.md")]
    assert refusals(found)["a.md"].startswith("duplicate: the same file")


# --- names -------------------------------------------------------------------------------------


def test_undecodable_names_can_be_written_as_json(make_tree: MakeTree) -> None:
    root = make_tree({"plugins/p/agents/x.md": ""})
    try:
        os.rename(root / "plugins/p", os.fsencode(root) + b"/plugins/p\xff")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (source,) = scanned(root).sources
    assert source.plugin == "p\ufffd"


def test_troubles_carry_no_control_characters(make_tree: MakeTree) -> None:
    said = '{"name": "p", "agents": "../\\u001b[31m\\ud800"}'
    ((_, _, message),) = scanned(make_tree({".claude-plugin/plugin.json": said})).troubles
    message.encode()
    assert message.startswith("../ leads out")


# --- poison ------------------------------------------------------------------------------------


def poison_of(root: Path, path: str) -> Poison:
    status = (root / path).stat()
    return Poison(str(root), path, status.st_size, status.st_mtime_ns, "hostile: it hung")


def test_a_poisoned_file_is_left_out_until_it_changes(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": "", "agents/b.md": ""})
    poison = poison_of(root, "agents/a.md")
    assert refusals(scan((str(root),), [poison])) == {"agents/a.md": "hostile: it hung"}
    (root / "agents/a.md").write_text("changed")
    assert len(scan((str(root),), [poison]).sources) == 2


def test_a_poisoned_file_with_an_undecodable_name_is_left_out(make_tree: MakeTree) -> None:
    root = make_tree({"agents/x.md": ""})
    try:
        os.rename(root / "agents/x.md", os.fsencode(root) + b"/agents/\xff.md")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (source,) = scanned(root).sources
    noted = Poison(str(root), "agents/\ufffd.md", source.size, source.mtime_ns, "it killed")
    assert scan((str(root),), [noted]).sources == []


# --- the digest --------------------------------------------------------------------------------


def test_the_digest_stays_while_nothing_changes(make_tree: MakeTree) -> None:
    root = make_tree({"agents/a.md": "x"})
    assert scanned(root).digest == scanned(root).digest


@pytest.mark.parametrize(
    "path", ["agents/a.md", "agents/new.md", "agent-registry.yml", ".claude-plugin/plugin.json"]
)
def test_the_digest_follows_every_input(make_tree: MakeTree, path: str) -> None:
    root = make_tree({"agents/a.md": "x"})
    before = scanned(root).digest
    make_tree({path: "changed"})
    assert scanned(root).digest != before


def test_the_digest_follows_a_link_that_is_turned(make_tree: MakeTree) -> None:
    root = make_tree({"docs/a.md": "", "docs/b.md": "", "agents/x.md": ""})
    (root / "agents/l.md").symlink_to("../docs/a.md")
    before = scanned(root).digest
    (root / "agents/l.md").unlink()
    (root / "agents/l.md").symlink_to("../docs/b.md")
    assert scanned(root).digest != before


def test_the_digest_follows_a_linked_file_that_no_walk_passes(make_tree: MakeTree) -> None:
    # a link into node_modules was indexed, and its changes were never seen
    root = make_tree({"node_modules/p/a.md": "x", "agents/x.md": ""})
    (root / "agents/l").symlink_to("../node_modules/p")
    before = scanned(root).digest
    (root / "node_modules/p/a.md").write_text("changed")
    assert scanned(root).digest != before


def test_a_link_that_becomes_a_file_meanwhile_stops_no_build(
    make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever swaps it again and again had no index made of all roots."""
    root = make_tree({"agents/a.md": ""})
    (root / "agents/b.md").symlink_to("a.md")
    real = os.path.realpath

    def swapped(path: str, **given: bool) -> str:
        if path.endswith("b.md") and not given:
            raise OSError(errno.EINVAL, "it is no link any more")
        return real(path, **given)

    monkeypatch.setattr("os.path.realpath", swapped)
    found = scanned(root)
    assert [source.path for source in found.sources] == ["agents/a.md"] and found.digest
