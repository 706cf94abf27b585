"""The name of a project in a team: the same on all machines with a clone of its repository."""

from __future__ import annotations

import functools
import os
import subprocess

from ..config import Settings
from ..coordinate.repository import git_environment

GIT_SECONDS = 5.0


def team_project(settings: Settings) -> str:
    """Its given name, else its first commit, else its path on this machine. Runs git once for each
    repository, so it blocks."""
    known = settings.known_as
    if known is None:
        return settings.repository_key
    return known.name or first_commit(known.repository) or settings.repository_key


def learning_project(settings: Settings) -> str:
    """As `team_project`, but with a name of its own for each project within a repository."""
    name, known = team_project(settings), settings.known_as
    within = os.path.relpath(known.folder, known.repository) if known else "."
    return name if within == "." else f"{name}:{within}"


@functools.lru_cache(256)
def first_commit(folder: str) -> str:
    """The first 16 digits of the oldest commit without a parent; "" where there is none."""
    command = ["git", "-C", folder, "rev-list", "--max-parents=0", "HEAD"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GIT_SECONDS, env=git_environment()
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.split()[-1][:16] if done.returncode == 0 and done.stdout.strip() else ""
