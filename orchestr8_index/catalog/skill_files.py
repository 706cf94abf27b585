"""Which files of a skill's folder may a host have? Its scripts, references and assets; no secrets.

Files are held back whose name begins with a dot, or whose name or content looks like a key or a
password. Where a SKILL.md lies at the top of a whole tree, or of a plugin, only what lies in
scripts/, references/ and assets/ is the skill's. Links are not followed.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from ..opening import FOLDER, open_within
from ..records import Entry, Finding
from ..text import display
from .index import Index
from .walk import IGNORED, KIND_FOLDERS

MANIFEST, OWN_FOLDERS = "SKILL.md", frozenset({"scripts", "references", "assets"})
MOST_FILES, MOST_BYTES = 1000, 16 * 1024 * 1024  # of a folder, which every host takes
MOST_SEEN, MOST_DEPTH = 10_000, 40  # with those that are not served
LOOKED_AT, MOST_TOLD = 1 << 20, 5
_OF_A_TREE = KIND_FOLDERS | {".claude-plugin"}
_DATA = (
    r"(?:\.(?:txt|json|ya?ml|toml|ini|cfg|conf|config|properties|xml|csv|tsv|db|dat|enc|j2|tmpl))"
    r"{0,2}"
)
_JSON = r"\.json(?:\.(?:enc|j2|tmpl))?"
_KEPT = re.compile(r"\.(?:bak|old|orig|save|swp|backup|copy|\d+)$|~$")
_SECRET = (
    r"id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:[-_. ](?!pub$).*)?",
    rf".*\.(?:pem|key|p12|pfx|p8|jks|keystore|kdbx?|ppk|gpg|pgp|age|ovpn|keytab|env|der|priv){_DATA}",
    rf".*\.(?:asc|bks|truststore|pvk|kbx|agekey|secring|mobileprovision|wallet){_DATA}",
    rf"(?:.*[-_. ])?(?:sa|adc|gsa|gcp[-_. ]?auth|svc[-_. ]?acc(?:oun)?t)(?:[-_. ]key)?{_JSON}",
    rf"(?:tokens|(?:oauth|auth|session|user|access|refresh|api|bearer)[-_. ]?tokens){_DATA}",
    rf".*\.(?:tfstate|tfvars|kubeconfig|keychain(?:-db)?|htpasswd|pgpass|netrc|npmrc|pypirc){_DATA}",
    rf"_?(?:netrc|htpasswd|htdigest|pgpass|kubeconfig|shadow|npmrc|pypirc|wallet|env|dotenv){_DATA}",
    r"(?:docker(?:cfg|configjson)|boto|s3cfg|git-?cookies)(?:\.cfg)?|my\.cnf|pip\.conf|nuget\.config",
    r"(?:cookies|key[34]|logins|signons)\.(?:db|sqlite|json|txt)|(?:azureprofile|auth|oauth)\.json",
    rf"(?:1password|lastpass|bitwarden|keepass)[-_. a-z0-9]*{_DATA}",
    rf"(?:.*[-_. ])?(?:creds?|gha-creds-\w+|key_?file|priv_?key\d*|rootkey|mnemonic){_DATA}",
    rf"(?:.*[-_. ])?(?:deploy|gcloud|stripe|rsa|dsa|ecdsa|ed25519|host|sops)[-_. ]keys?{_DATA}",
    rf"(?:.*[-_. ])?(?:vault[-_. ]?pass(?:word)?(?:[-_. ]?file)?|seed[-_. ]?phrase){_DATA}",
    rf".*firebase[-_]adminsdk.*{_DATA}",
    r"(?:.*\.)?(?:env|dotenv)\.(?!(?:example|sample|template|md)$).*",
    rf"(?:.*[-_. ])?(?:secrets?|credentials?|passw(?:or)?ds?|passphrases?){_DATA}",
    rf"(?:.*[-_. ])?(?:token|(?:auth|access|refresh|api|bearer)[-_. ]?tokens?){_DATA}",
    rf"(?:.*[-_. ])?(?:(?:api|access|private|signing|ssh|secret)[-_. ]?keys?){_DATA}",
    rf"(?:.*[-_. ])?(?:client[-_. ]?secrets?|service[-_. ]?account)[-_. a-z0-9]*{_DATA}",
)
_NAMED = re.compile("|".join(f"(?:{pattern})" for pattern in _SECRET))
_DOCUMENT = re.compile(r".*\.(?:md|markdown|rst|html?|py|js|mjs|ts|tsx|jsx|sh|rb|go|rs|css|svg)")
_CONTENT = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){120}"
    rb"|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1[0-9A-Z]{50}"
    rb"|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{60}|\bglpat-[A-Za-z0-9_-]{20}"
    rb"|\bxox[abprs]-[0-9]{8,}-[A-Za-z0-9-]{20}|\b(?:AKIA|ASIA)(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}\b"
    rb"|\bsk-ant-[A-Za-z0-9_-]{40}|\b[sr]k_live_[A-Za-z0-9]{24}|\bAIza[A-Za-z0-9_-]{35}"
    rb"|\bnpm_[A-Za-z0-9]{36}|\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40}|\bhf_[A-Za-z0-9]{34}"
    rb"|\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}|\bdop_v1_[0-9a-f]{64}|\bpypi-AgE[A-Za-z0-9_-]{50}"
    rb"|\bxapp-\d-[A-Z0-9]{3,}-\d{3,}-[a-f0-9]{32}|\bo8_[A-Za-z0-9_-]{43}"
    rb"|\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|\bsk-(?:or-v1-)?(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{48,64}\b"
    rb"|\bya29\.[A-Za-z0-9_-]{60}|\bGOCSPX-[A-Za-z0-9_-]{28}|\bshp(?:at|ss|ca|pa)_[a-f0-9]{32}"
    rb"|\bdckr_pat_[A-Za-z0-9_-]{27}|\bhvs\.[A-Za-z0-9_-]{90}|\bwhsec_[A-Za-z0-9+/]{32}"
    rb"|\blin_api_[A-Za-z0-9]{40}|\bgsk_[A-Za-z0-9]{50}|\bxai-[A-Za-z0-9]{70}|\br8_[A-Za-z0-9]{37}"
    rb"|\bATATT3[A-Za-z0-9_-]{100}|\btskey-[a-z]+-[A-Za-z0-9]{12,}-[A-Za-z0-9]{24}"
    rb"|(?i:aws_?secret_?access_?key|secretaccesskey)['\"]?\s*[=:]\s*['\"]?"
    rb"(?![A-Za-z0-9/+]*(?:EXAMPLE|xxx|YOUR))[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
    rb"|(?i:\b(?:access|refresh|bearer|auth|session|api)[_-]?(?:token|key)|client_?secret)[\"']\s*:\s*[\"']"
    rb"(?=[^\"']*[0-9])(?=[^\"']*[A-Za-z])(?![^\"']*(?i:example|your|xxx|\.\.\.|<))[A-Za-z0-9+/_.~=-]{32,}[\"']"
    rb"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ(?!zdWIiOiIxMjM0NTY3ODkwIi)[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{27,}"
    rb"|\b(?:AccountKey|SharedAccessKey)=(?!Eby8vdM0)[A-Za-z0-9+/]{42,}={1,2}"
    rb"|_authToken\s*=\s*[\"']?(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{30}"
    rb"|\bclient-key-data:\s*[A-Za-z0-9+/=]{100}|[\"']auth[\"']\s*:\s*[\"'][A-Za-z0-9+/]{24,}={0,2}[\"']"
)
_SIGNS = (  # a prefilter: each match of `_CONTENT` has one of them, in lower case
    rb"private key,putty-user,age-secret,ghp_,gho_,ghu_,ghs_,ghr_,github_pat_,glpat-,xox,akia,asia"
    rb",sk-,sk_live_,rk_live_,aiza,npm_,hf_,sg.,dop_v1_,pypi-age,xapp-,o8_,ya29.,gocspx-,shpat_"
    rb",shpss_,shpca_,shppa_,dckr_pat_,hvs.,whsec_,lin_api_,gsk_,xai-,r8_,atatt3,tskey-,.eyj"
    rb",secret_access,secret_key,secretaccess,secretkey,token',token"
    + b'",key\',key",secret\',secret"'
    rb",accountkey,sharedaccesskey,_authtoken,client-key,auth',auth" + b'"'
).split(b",")
_URL = re.compile(
    rb"\b(?i:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|sqlserver|clickhouse|ftps?|smtps?)"
    rb"(?:\+[a-z0-9]+)?://[^\s:/@\"'`<>{}$]{1,64}:([^\s/@\"'`<>{}$%*()]{8,128})@([A-Za-z0-9.-]+)"
)
_PUBLIC = re.compile(  # placeholders that documents use for a password
    rb"(?i)pass|pwd|secret|change|example|your|test|demo|sample|dummy|user|admin|xxx|\.\.\.|12345"
)
_NEAR_HOST = re.compile(
    rb"(?i)[^.]*|(?:.*\.)?(?:local|localhost|example(?:\.\w+)?|test|internal)|(?:0|127)\..*"
)


class Unfit(Exception):
    """The folder is no skill that can be served; the message says why."""


class HeldBack(Unfit):
    """The file holds a key."""


class SkillFile(NamedTuple):
    """`path` is relative to the skill's folder, with `/`. `held` says why it is not served."""

    path: str
    size: int
    inode: int
    held: str = ""


class SkillFolder:
    """The folder of one entry. Its methods raise Unfit where it is gone or is no skill's."""

    def __init__(self, index: Index, entry: Entry) -> None:
        self._roots = index.manifest.roots
        self._root, self.path = self._roots[entry.root], os.path.dirname(entry.path)

    def place(self, file: SkillFile) -> str:
        """The file's path below its root."""
        return display(f"{self.path}/{file.path}".lstrip("/"))

    def files(self) -> list[SkillFile]:
        """The files that are served, by path."""
        files, total = list[SkillFile](), 0
        for file in self.all():
            if file.held:
                continue
            files.append(file)
            total += file.size
            if len(files) > MOST_FILES or total > MOST_BYTES:
                raise Unfit("The folder holds more than hosts take.")
        if all(file.path != MANIFEST for file in files):
            raise Unfit("There is no SKILL.md any more.")
        return sorted(files)

    def all(self) -> Iterator[SkillFile]:
        try:
            fd = open_within(self._roots, self._root, self.path, folder=True)
        except (OSError, ValueError):
            raise Unfit("The folder cannot be read.") from None
        for seen, file in enumerate(_walk(fd, not self.path)):
            if seen >= MOST_SEEN:
                raise Unfit("The folder holds more than hosts take.")
            yield file

    def read(self, file: SkillFile, most: int = MOST_BYTES) -> Iterator[bytes]:
        """A file's bytes in pieces. Raises HeldBack at a key, Unfit for a larger or other file."""
        path, tail, left = f"{self.path}/{file.path}", b"", most
        try:
            fd = open_within(self._roots, self._root, path)
        except (OSError, ValueError):
            raise Unfit("The file cannot be read.") from None
        with open(fd, "rb") as opened:
            if os.fstat(fd).st_ino != file.inode:
                raise Unfit("The file was replaced.")
            while piece := opened.read(LOOKED_AT):
                left -= len(piece)
                if left < 0:
                    raise Unfit("The file is larger than hosts take.")
                if file.path != MANIFEST and holds_secret(tail + piece):
                    raise HeldBack("The file holds a key.")
                tail = piece[-4096:]
                yield piece


def _walk(fd: int, is_top: bool, within: str = "", depth: int = 0) -> Iterator[SkillFile]:
    """The files below the folder `fd`, which it closes, without those that vanish meanwhile."""
    try:
        items = sorted(os.scandir(fd), key=lambda item: item.name)
        is_top |= not depth and any(item.name in _OF_A_TREE for item in items)
        for item in items:
            file = _read_item(item, within, is_top)
            if file is None:
                continue
            if file.held or not file.path.endswith("/"):
                yield file
            elif depth < MOST_DEPTH:
                below = os.open(item.name, FOLDER, dir_fd=fd)
                yield from _walk(below, False, file.path, depth + 1)
    except OSError:
        return
    finally:
        os.close(fd)


def _read_item(item: os.DirEntry[str], within: str, is_top: bool) -> SkillFile | None:
    """A file, or a folder (its path ends in `/`); None for links and special files."""
    try:
        status = item.stat(follow_symlinks=False)
    except OSError:
        return None
    path, held = f"{within}{item.name}", why_held(item.name)
    if stat.S_ISDIR(status.st_mode):
        if item.name in IGNORED:
            return None
        if is_top and item.name not in OWN_FOLDERS:
            held = held or "a folder of the tree around the skill"
        return SkillFile(f"{path}/", 0, status.st_ino, held)
    if not stat.S_ISREG(status.st_mode):
        return None
    if is_top and path != MANIFEST:
        held = held or "a file of the tree around the skill"
    return SkillFile(path, status.st_size, status.st_ino, held)


def why_held(name: str) -> str:
    """Why a file or folder of that name is not served; "" where it is."""
    if name.startswith("."):
        return "its name begins with a dot"
    plain = unicodedata.normalize("NFKC", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).casefold()
    plain = "".join(each for each in plain if unicodedata.category(each)[0] != "C").strip()
    while (stripped := _KEPT.sub("", plain)) != plain:
        plain = stripped
    is_named = plain.startswith(".") or (not _DOCUMENT.fullmatch(plain) and _NAMED.fullmatch(plain))
    return "it looks like a key by its name" if is_named else ""


def holds_secret(data: bytes) -> bool:
    """Whether a key, or a token of a well-known service, stands in these bytes."""
    plain = data.replace(b"\0", b"")
    low = plain.lower()
    if any(sign in low for sign in _SIGNS) and _CONTENT.search(plain):
        return True
    return b"://" in low and any(map(_is_real, _URL.finditer(plain)))


def _is_real(url: re.Match[bytes]) -> bool:
    """Whether the password in a URL looks real, not like a document's example."""
    password, host = url.groups()
    mixed = re.search(rb"[0-9]", password) and re.search(rb"[A-Za-z]", password)
    return bool(mixed) and not _PUBLIC.search(password) and not _NEAR_HOST.fullmatch(host)


def held_back(index: Index) -> Iterator[Finding]:
    """A finding for each skill with files that are not served, by their names."""
    segment = index.segments["skill"]
    for place in range(segment.size):
        entry = segment.entry(place)
        if os.path.basename(entry.path) != MANIFEST:
            continue
        try:
            held = [file for file in SkillFolder(index, entry).all() if file.held]
        except Unfit:
            continue
        if held:
            listed = "; ".join(f"{display(file.path)}: {file.held}" for file in held[:MOST_TOLD])
            more = f"; and {len(held) - MOST_TOLD:,} more" if len(held) > MOST_TOLD else ""
            reason = f"not served as files of the skill: {listed}{more}"
            cure = "Nothing, if meant; a key belongs somewhere else."
            where = entry.qualified, entry.path, None
            root = index.manifest.roots[entry.root]
            yield Finding("held-back", "info", *where, reason, cure, root)
