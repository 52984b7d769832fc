r"""JSON Lines: one JSON object a line, in UTF-8, split on "\n" only (texts hold Unicode line separators)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

from lexveil.nlp.readers.compression import chunks
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError, replace_surrogates

_BOM = b"\xef\xbb\xbf"


def lines(
    raw: BinaryIO, codec: str | None, limits: Limits, offset: int
) -> Iterator[tuple[int, bytes | Reason]]:
    """(offset of its first byte in the decompressed content, line) from `offset` on; blank lines are none.

    A line longer than `limits.max_text_bytes` is Reason.over_size, and never held. Where the stream breaks
    off, one last Reason stands for the line it broke in and all that would follow.
    """
    start = offset
    held: list[bytes] = []
    size = 0
    try:
        for block in chunks(raw, codec, limits, offset):
            first, *rest = block.split(b"\n")
            size += len(first)
            if size <= limits.max_text_bytes:
                held.append(first)
            else:
                held.clear()
            for part in rest:
                if line := _close(held, size, limits):
                    yield start, line
                start += size + 1
                held, size = [part], len(part)
    except UnreadableError as unreadable:
        yield start, unreadable.reason
        return
    if line := _close(held, size, limits):
        yield start, line


def _close(held: list[bytes], size: int, limits: Limits) -> bytes | Reason | None:
    if size > limits.max_text_bytes:
        return Reason.over_size
    line = b"".join(held)
    return line if line.strip() and line.strip() != _BOM else None


def parse(line: bytes) -> Mapping[str, object] | Reason:
    """The object in a line, or Reason.broken: no JSON, no UTF-8, or no object."""
    try:
        value = json.loads(line.removeprefix(_BOM).decode("utf-8"))
    except (ValueError, RecursionError):
        return Reason.broken
    if not isinstance(value, dict):
        return Reason.broken
    # JSON may spell a lone surrogate only by its escape.
    if b"\\ud" in line or b"\\uD" in line:
        value = _mend(value)
    return cast("dict[str, object]", value)


def _mend(value: object) -> object:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return {replace_surrogates(key): _mend(inner) for key, inner in pairs}
    if isinstance(value, list):
        return [_mend(inner) for inner in cast("list[object]", value)]
    return value
