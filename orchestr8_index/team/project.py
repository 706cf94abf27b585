"""The team's project of a folder: that of its repository, wherever it was cloned to, or one that is
named on each machine.
"""

from __future__ import annotations

import functools
import os
import subprocess

from ..config import Settings
from ..coordinate.repository import git_environment

GIT_SECONDS = 5.0


def team_project(settings: Settings) -> str:
    """Its given name, else its first commit; a folder without both is known by its path, on this
    machine. Asks git, once for each repository: not for the event loop."""
    known = settings.known_as
    if known is None:
        return settings.repository_key
    return known.name or first_commit(known.repository) or settings.repository_key


def learning_project(settings: Settings) -> str:
    """As `team_project`, but each project within a repository learns for itself."""
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
