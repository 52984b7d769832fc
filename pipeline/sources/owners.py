"""Names of owners in records: an owner stays one owner, however programs spell the name.

A spreadsheet makes 7.0 of 7, a Mac decomposes letters, forms add spaces. Earlier versions took these for
several owners, so what a workspace knows under such a spelling keeps its id.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from lexveil.pipeline.sources.fields import read_words

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_DECIMAL = re.compile(r"[+-]?[0-9]+\.0+")
_MISSING = frozenset({"nan", "NaN", "<NA>"})  # what programs write for a number that is not there


def read_owner_names(record: Mapping[str, Any], name: str | None) -> tuple[str, ...]:
    """Read one owner or a list of owners; none if one is missing, since nothing would protect that one."""
    words = [None if word is None else normalize_owner(word) for word in read_words(record, name)]
    owners = {word for word in words if word}
    return () if len(owners) < len(set(words)) else tuple(sorted(owners))


def read_spelled_names(record: Mapping[str, Any], name: str | None) -> tuple[str, ...]:
    """Read the owners as they are spelled, where `normalize_owner` changes that."""
    words = {word for word in read_words(record, name) if word}
    return tuple(sorted(word for word in words if normalize_owner(word) != word))


def normalize_owner(name: str) -> str:
    """Return the one spelling of an owner's name; "" if it stands for a missing value.

    Letters are composed, invisible characters dropped, white space folded; a whole number has no decimals.
    """
    folded = " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", name)).split())
    if _DECIMAL.fullmatch(folded):
        return folded.partition(".")[0]
    return "" if folded in _MISSING else folded


def list_spellings(name: str) -> list[str]:
    """List other spellings by which an earlier version may know a normalized name."""
    spellings = [unicodedata.normalize("NFD", name)]
    if name.removeprefix("-").isdecimal() and name.isascii():
        spellings.append(f"{name}.0")
    return [spelling for spelling in spellings if spelling != name]
