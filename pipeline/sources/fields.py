"""Fields of records: their values as words, lists of words, and classes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, cast

from lexveil.nlp.readers.records import get_field
from lexveil.pipeline.labels import encode_label


def read_word(record: Mapping[str, Any], name: str | None) -> str | None:
    """Return the value of a record's field as a word; None if the record, or the field's name, is missing."""
    return None if name is None else _to_word(get_field(record, name))


def read_words(record: Mapping[str, Any], name: str | None) -> list[str | None]:
    """Return the values of a field that may hold a list, each as a word; None for a missing one."""
    value = None if name is None else get_field(record, name)
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):  # a CSV cell; anything but a JSON array is a word
            value = json.loads(value)
    values = cast("list[object]", value if isinstance(value, list | tuple) else [value])
    return [_to_word(one) for one in values]


def read_label(record: Mapping[str, Any], name: str | None) -> str | None:
    """Return the class of a record, or its list of classes as JSON; None if it has none."""
    if name is None:
        return read_label(record, "label") or read_label(record, "labels")
    return encode_label(get_field(record, name))


def _to_word(value: object) -> str | None:
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return None
    if isinstance(value, bool | int | float | Decimal | str) and str(value).strip():
        return str(value).strip()
    return None
