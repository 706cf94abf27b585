"""What has `tune` made for the user's own catalogue? It lies in the data directory, or nothing.

Whatever cannot be used is passed over with a warning, and what ships is used instead.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from ..catalog.word_vectors import Words
from ..errors import SnapshotUnreadable
from .confidence_fit import SHIPPED_FIT, Fit

FOLDER, VECTORS, CONFIDENCE = "tuned", "words.vec", "confidence.json"
log = logging.getLogger(__name__)


def open_words(data_dir: Path) -> Words:
    path = data_dir / FOLDER / VECTORS
    if not path.exists():
        return Words()
    try:
        words = Words(path)
        if words.is_whole():
            return words
        why = "its content is not what was written"
    except (SnapshotUnreadable, KeyError, TypeError, ValueError) as error:
        why = str(error)
    log.warning("The tuned word vectors are passed over: %s. `tune --undo` removes them.", why)
    return Words()


def open_fit(data_dir: Path, words: Words) -> Fit:
    """The confidence fitted with these very vectors, or the shipped one."""
    path = data_dir / FOLDER / CONFIDENCE
    try:
        fit = msgspec.json.decode(path.read_bytes(), type=Fit)
    except FileNotFoundError:
        return SHIPPED_FIT
    except (OSError, msgspec.DecodeError) as error:
        log.warning("The tuned confidence is passed over: %s.", error)
        return SHIPPED_FIT
    if fit.words == words.digest and fit.can_be_used():
        return fit
    log.warning("The tuned confidence is passed over: it was fitted for something else.")
    return SHIPPED_FIT
