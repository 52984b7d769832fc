r"""JSON Lines: one JSON object per line, split at "\n" only (texts have Unicode separators)."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError, replace_surrogates
from lexveil.nlp.readers.records_json_form import UTF_8, Form, iter_text


def iter_lines(
    raw: BinaryIO, codec: str | None, limits: Limits, offset: int, form: Form = UTF_8
) -> Iterator[tuple[int, bytes | Reason]]:
    """Iterate over the lines from byte `offset` of the decompressed content on, without blank ones.

    Yields:
        Offset of the first byte in the decompressed content, and the line. A line longer than
        `limits.max_text_bytes` is Reason.over_size and is never held in memory. If the stream breaks off, one
        last Reason represents the line where it broke and everything after.
    """
    start = offset
    parts: list[bytes] = []
    size = 0
    try:
        for block in iter_text(raw, codec, limits, form, offset):
            first, *rest = block.split(b"\n")
            size += len(first)
            if size <= limits.max_text_bytes:
                parts.append(first)
            else:
                parts.clear()
            for part in rest:
                if line := _join_line(parts, size, limits):
                    yield start, line
                start += size + 1
                parts, size = [part], len(part)
    except UnreadableError as unreadable:
        yield start, unreadable.reason
        return
    if line := _join_line(parts, size, limits):
        yield start, line


def _join_line(parts: list[bytes], size: int, limits: Limits) -> bytes | Reason | None:
    """Return the line, Reason.over_size, or None for a blank line."""
    if size > limits.max_text_bytes:
        return Reason.over_size
    line = b"".join(parts)
    return line if line.strip() and line.strip() != BOM_UTF8 else None


def parse_record(line: bytes, form: Form = UTF_8) -> Mapping[str, object] | Reason:
    """Parse the object in a line. Reason.broken if it is not JSON, in no known encoding, or not an object."""
    try:
        value = json.loads(_decode(line.removeprefix(BOM_UTF8), form))
    except (ValueError, RecursionError):
        return Reason.broken
    except MemoryError:  # a process of little memory reads it
        return Reason.over_memory
    if not isinstance(value, dict):
        return Reason.broken
    # In UTF-8, only an escape can represent a lone surrogate.
    if b"\\ud" in line or b"\\uD" in line:
        value = _replace_surrogates(value)
    return cast("dict[str, object]", value)


def _decode(line: bytes, form: Form) -> str:
    """Decode a line.

    Raises:
        UnicodeDecodeError: it is not in the file's encoding.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode(form.guess_encoding(line))


def _replace_surrogates(value: object) -> object:
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return {replace_surrogates(key): _replace_surrogates(inner) for key, inner in pairs}
    if isinstance(value, list):
        return [_replace_surrogates(inner) for inner in cast("list[object]", value)]
    return value
