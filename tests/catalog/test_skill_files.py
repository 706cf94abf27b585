"""Which files of a skill's folder are served, and which are held back?"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.catalog.skill_files import (
    MOST_FILES,
    SkillFolder,
    Unfit,
    held_back,
    holds_secret,
    why_held,
)

from ..trees import Files, MakeTree, build_tree

SKILL = "---\nname: knots\ndescription: Ties knots.\n---\nTie.\n"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEA\n" * 12


def index_of(make_tree: MakeTree, tmp_path: Path, files: Files) -> Index:
    return build_tree(make_tree(files), data_dir=tmp_path / "data").index


def folder_of(index: Index) -> SkillFolder:
    return SkillFolder(index, index.segments["skill"].entry(0))


def served(index: Index) -> list[str]:
    return [file.path for file in folder_of(index).files()]


HELD = (
    ".env .env.local .netrc .git .aws .DS_Store prod.env env env.production server.pem tls.key "
    "id_rsa id_ed25519 id_rsa_work ID_RSA id_rsa.bak server.key.old client.p12 a.pfx b.jks c.kdbx "
    "putty.ppk terraform.tfstate prod.tfvars credentials credentials.json aws-credentials.csv "
    "secrets.yml my_secret.txt passwords.txt db-password.ini service-account.json "
    "serviceAccountKey.json client_secret_12.apps.json apiKey.txt api-keys.json private_key.txt "
    "access_token.json token.json kubeconfig wallet.dat htpasswd secrets.json~ ｉｄ_ｒｓａ "
    "server.pem.txt prod.key.json terraform.tfvars.json kubeconfig.yaml creds.json deploy_key "
    "ssh_host_rsa_key app.env.production x-firebase-adminsdk-ab12.json vault_pass.txt keyfile "
    "prod-secrets.enc.yaml secrets.json.j2 gha-creds-12ab.json seed-phrase.txt my.cnf key4.db "
    "sa.json adc.json my-sa.json gcp-sa-key.json service-account-prod.json tokens.json "
    "oauth_tokens.json secring.asc private.gpg release.keystore app.truststore .npmrc yarn.npmrc"
).split() + ["id_rsa copy", "id_rsa\n", "\u200bid_rsa", "id_rsa "]
SERVED = (
    "SKILL.md reference.md secrets.md secret-management.md rotate_tokens.py design-tokens.json "
    "keyboard.json monkey.txt LICENSE.txt id_rsa.pub cert.crt tokenizer.json environment.yml "
    "passwords.py env.example.md rope.bin key-points.md "
    "visa.json essay.json colour-tokens.json tokens.css ascii.txt usa.json"
).split()


def test_what_looks_like_a_key_is_held_back() -> None:
    assert [name for name in HELD if not why_held(name)] == []


def test_what_a_skill_is_made_of_is_served() -> None:
    assert [name for name in SERVED if why_held(name)] == []


def test_nothing_below_a_held_folder_is_served(make_tree: MakeTree, tmp_path: Path) -> None:
    files: Files = {f"skills/knots/{path}": "x" for path in (".ssh/config", "a/.b/c.md", "a/d.md")}
    index = index_of(make_tree, tmp_path, {"skills/knots/SKILL.md": SKILL, **files})
    assert served(index) == ["SKILL.md", "a/d.md"]


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "sk-proj-" + "a1B2" * 12,
        "hf_" + "a1" * 17,
        "k: ghp_" + "a1B2" * 9,
        "AGE-SECRET-KEY-1" + "Q" * 58,
        "export AWS_SECRET_ACCESS_KEY=" + "aB3/" * 10,
        'aws_secret_access_key = "' + "aB3+" * 10 + '"',
        '{"refresh_token": "' + "a1B2c3D4" * 5 + '"}',
        "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYWRhIiwicm9sZSI6ImFkbWluIn0." + "a1B2_" * 9,
        "postgresql://app:h7Kq2mZx9w@db.prod.acme.io:5432/app",
        "mongodb+srv://app:h7Kq2mZx9w@cluster0.ab1cd.mongodb.net/app",
        "sk-" + "aB3d" * 12,
        "DefaultEndpointsProtocol=https;AccountKey=" + "aB3d" * 21 + "aB==",
        "//registry.npmjs.org/:_authToken=" + "a1b2-c3d4" * 4,
        "    client-key-data: " + "LS0tLS1C" * 16,
        '{"auths": {"registry.acme.io": {"auth": "' + "YWRhOmgx" * 4 + '"}}}',
        "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA\n" * 12,
    ],
)
def test_a_key_in_a_file_of_any_name_is_held_back(
    make_tree: MakeTree, tmp_path: Path, secret: str
) -> None:
    files: Files = {
        "skills/knots/SKILL.md": SKILL,
        "skills/knots/notes.md": f"{'x' * 70_000} {secret}",
    }
    folder = folder_of(index_of(make_tree, tmp_path, files))
    with pytest.raises(Unfit):
        list(folder.read(folder.files()[1]))


@pytest.mark.parametrize(
    "said",
    [
        "-----BEGIN PRIVATE KEY-----\n…\n---",
        "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SECRET_ACCESS_KEY=${{ secrets.AWS_SECRET_ACCESS_KEY }}",
        "DATABASE_URL=postgresql://user:password123@db.acme.io/app",
        "DATABASE_URL=postgresql://app:h7Kq2mZx9w@localhost:5432/app",
        "redis://default:${REDIS_PASSWORD}@redis.acme.io:6379",
        '{"access_token": "<your access token of thirty-two characters or 40>"}',
        '{"access_token": "your-access-token-goes-in-here-1234"}',
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0."
        "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "a task-sk-like-name-that-is-very-long-and-has-no-digits-in-it-at-all-whatever",
        "sk-your-api-key-here",
    ],
)
def test_a_document_may_speak_of_keys(said: str) -> None:
    assert not holds_secret(said.encode())


@pytest.mark.parametrize("above", ["", "plugins/ropes/"])
def test_at_the_top_of_a_tree_only_the_skills_own_folders_are_served(
    make_tree: MakeTree, tmp_path: Path, above: str
) -> None:
    paths = ("notes.txt", "src/a.py", "scripts/tie.sh", "references/r.md", "assets/x/y.png")
    files: Files = {f"{above}{path}": "x" for path in paths}
    more: Files = {f"{above}SKILL.md": SKILL, f"{above}.claude-plugin/plugin.json": '{"name": "r"}'}
    index = index_of(make_tree, tmp_path, {**files, **more})
    assert served(index) == ["SKILL.md", "assets/x/y.png", "references/r.md", "scripts/tie.sh"]
    (finding,) = held_back(index)
    assert "notes.txt" in finding.message and "src/" in finding.message


def test_doctor_is_told_what_is_held_back(make_tree: MakeTree, tmp_path: Path) -> None:
    files: Files = {f"skills/knots/{name}": "x" for name in (".env", "id_rsa", "a.md")}
    index = index_of(make_tree, tmp_path, {"skills/knots/SKILL.md": SKILL, **files})
    (finding,) = held_back(index)
    assert (finding.rule, finding.entry, finding.severity) == ("held-back", "tree:knots", "info")
    assert ".env" in finding.message and "id_rsa" in finding.message


@pytest.mark.parametrize(("more", "is_served"), [(MOST_FILES - 1, True), (MOST_FILES, False)])
def test_a_skill_has_so_many_files_and_no_more(
    make_tree: MakeTree, tmp_path: Path, more: int, is_served: bool
) -> None:
    index = index_of(make_tree, tmp_path, {"skills/knots/SKILL.md": SKILL})
    for number in range(more):
        Path(index.manifest.roots[0], f"skills/knots/{number}.txt").touch()
    try:
        assert len(served(index)) == more + 1 and is_served
    except Unfit:
        assert not is_served


@pytest.mark.parametrize("part", ["notes.md", ""])
def test_what_was_replaced_since_it_was_listed_is_not_read(
    make_tree: MakeTree, tmp_path: Path, part: str
) -> None:
    files: Files = {"skills/knots/SKILL.md": SKILL, "skills/knots/notes.md": "ours"}
    index = index_of(make_tree, tmp_path, files)
    folder, place = folder_of(index), Path(index.manifest.roots[0], "skills/knots", part)
    listed = folder.files()[1]
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.md").write_text("secret")
    place.rename(tmp_path / "away")
    place.symlink_to(tmp_path / "out" / part)
    with pytest.raises(Unfit):
        list(folder.read(listed))
