"""Which project of the team is this folder's? Its repository's, wherever that was cloned to."""

from __future__ import annotations

import functools
import os
import subprocess

from ..config import Settings

GIT_SECONDS = 5.0


def team_project(settings: Settings) -> str:
    """Known by its first commit; a folder without one is known by its path, on this machine."""
    if settings.project is None:
        return settings.repository_key
    return first_commit(settings.project.repository) or settings.repository_key


def learning_project(settings: Settings) -> str:
    """As `team_project`, but each project within a repository learns for itself."""
    name = team_project(settings)
    if settings.project is None:
        return settings.project_key
    within = os.path.relpath(settings.project.folder, settings.project.repository)
    return name if within == "." else f"{name}:{within}"


@functools.lru_cache(256)
def first_commit(folder: str) -> str:
    """The first 16 digits of the oldest commit without a parent; "" where there is none."""
    command = ["git", "-C", folder, "rev-list", "--max-parents=0", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.split()[-1][:16] if done.returncode == 0 and done.stdout.strip() else ""
