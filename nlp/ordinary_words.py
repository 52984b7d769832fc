"""Ordinary words of English: where a capital proves nothing, they name nobody."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lexveil.nlp.vocabulary import FORM_LABELS, LEGAL_WORDS


@cache
def _load() -> frozenset[str]:
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def is_ordinary(word: str) -> bool:
    """Return True if a folded word is one of drafting, forms or everyday English, and no common name."""
    return word in LEGAL_WORDS or word in FORM_LABELS or word in _load()
