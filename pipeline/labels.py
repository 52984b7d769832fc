"""Labels of documents: one class, or several.

Tables store a label as one string: the class itself or, for a document with any number of classes, the JSON
array of them. A source may use either form, so a CSV file can name several classes too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast


def encode_label(value: object) -> str | None:
    """Return the label that tables store for a record's field; None where the value cannot be a label."""
    if isinstance(value, list | tuple):
        names = [encode_label(part) for part in cast("Iterable[object]", value)]
        return _to_array(name for name in names if name is not None)
    if isinstance(value, bool | int | float | str) and str(value).strip():
        word = str(value).strip()
        names = _parse_array(word)
        return word if names is None else _to_array(names)
    return None


def is_multilabel(label: str | None) -> bool:
    """Return True if the label is an array, of however many classes."""
    return label is not None and _parse_array(label) is not None


def parse_classes(label: str | None) -> tuple[str, ...]:
    """Return the classes of a label, sorted; none for None."""
    if label is None:
        return ()
    names = _parse_array(label)
    return (label,) if names is None else names


def _to_array(names: Iterable[str]) -> str:
    return json.dumps(sorted(set(names)), ensure_ascii=False)


def _parse_array(word: str) -> tuple[str, ...] | None:
    if not word.startswith("["):
        return None
    try:
        value: Any = json.loads(word)
    except ValueError:
        return None
    return tuple(value) if all(isinstance(name, str) for name in value) else None
