"""A document's label: one class, or several.

Tables hold it as one string: the class itself or, of a document with any number of classes, the JSON array of
them. A source may write either, so a CSV file can name several classes too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast


def encode_label(value: object) -> str | None:
    """What a record's field says, as tables hold it; None where it says nothing that can be a label."""
    if isinstance(value, list | tuple):
        names = [encode_label(part) for part in cast("Iterable[object]", value)]
        return _array(name for name in names if name is not None)
    if isinstance(value, bool | int | float | str) and str(value).strip():
        word = str(value).strip()
        found = _parsed(word)
        return word if found is None else _array(found)
    return None


def is_multilabel(label: str | None) -> bool:
    """Whether the label is an array, of however many classes."""
    return label is not None and _parsed(label) is not None


def parse_classes(label: str | None) -> tuple[str, ...]:
    """The classes of a label, sorted; none for None."""
    if label is None:
        return ()
    found = _parsed(label)
    return (label,) if found is None else found


def _array(names: Iterable[str]) -> str:
    return json.dumps(sorted(set(names)), ensure_ascii=False)


def _parsed(word: str) -> tuple[str, ...] | None:
    if not word.startswith("["):
        return None
    try:
        found: Any = json.loads(word)
    except ValueError:
        return None
    return tuple(found) if all(isinstance(name, str) for name in found) else None
