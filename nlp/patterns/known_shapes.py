"""Shapes of patterns, read once per user: to read those of one language takes a process a second or more."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from lexveil.nlp import letters
from lexveil.nlp.cache import cache_folder, mark_used, write_cached
from lexveil.nlp.patterns import frequencies, shapes, syntax
from lexveil.nlp.patterns.shapes import Shape, Trigger, read_shape
from lexveil.nlp.patterns.syntax import parse

_DIGEST = 64  # characters
# Fewer patterns are read as fast as a file, and would leave many small ones.
_FEWEST = 8


def read_shapes(patterns: Sequence[tuple[str, int]]) -> list[Shape]:
    """Return the shapes of regular expressions, from the user's cache if they are there.

    A damaged file would keep rules from finding what they should, so that its digest is checked.

    Args:
        patterns: source and flags of each.

    Raises:
        re.error: one is no regular expression.
    """
    if len(patterns) < _FEWEST:
        return _read_anew(patterns)
    path = cache_folder() / f"shapes-{_compute_key(patterns)}.json"
    with suppress(OSError, ValueError, TypeError):
        found = unpack_shapes(path.read_bytes())
        mark_used(path)
        return found
    found = _read_anew(patterns)
    with suppress(OSError):  # without a writable cache, every process reads them
        write_cached(path, pack_shapes(found))
    return found


def _read_anew(patterns: Sequence[tuple[str, int]]) -> list[Shape]:
    return [read_pattern(source, int(flags)) for source, flags in patterns]


@lru_cache(maxsize=1 << 12)
def read_pattern(source: str, flags: int) -> Shape:
    """Return the shape of a regular expression.

    The sets of several languages share most patterns: a process reads each once.

    Raises:
        re.error: it is no regular expression.
    """
    return read_shape(parse(source, flags))


def pack_shapes(found: Sequence[Shape]) -> bytes:
    """Return shapes as the content of a file, with its digest."""
    content = json.dumps([_to_json(shape) for shape in found]).encode()
    return hashlib.sha256(content).hexdigest().encode() + content


def unpack_shapes(packed: bytes) -> list[Shape]:
    """Return the shapes of a file's content.

    Raises:
        ValueError: it is damaged.
    """
    content = packed[_DIGEST:]
    if hashlib.sha256(content).hexdigest().encode() != packed[:_DIGEST]:
        raise ValueError("damaged")
    return [_from_json(shape) for shape in json.loads(content)]


def _to_json(shape: Shape) -> dict[str, Any]:
    trigger = shape.trigger and {**shape.trigger._asdict(), "strings": sorted(shape.trigger.strings)}
    strings = None if shape.strings is None else sorted(shape.strings)
    return {**shape._asdict(), "strings": strings, "trigger": trigger}


def _from_json(told: dict[str, Any]) -> Shape:
    shape, trigger = dict(told), told["trigger"]
    if shape["strings"] is not None:
        shape["strings"] = frozenset(shape["strings"])
    if trigger is not None:
        own: dict[str, Any] = {**trigger, "strings": frozenset(trigger["strings"])}
        shape["trigger"] = Trigger(**own)
    return Shape(**shape)


def _compute_key(patterns: Sequence[tuple[str, int]]) -> str:
    content = repr((_compute_code_key(), [(source, int(flags)) for source, flags in patterns]))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@cache
def _compute_code_key() -> str:
    """Return a digest of what decides on the shape of a pattern: the code, and the parser of this Python."""
    digest = hashlib.sha256(sys.version.encode())
    for module in (letters, frequencies, shapes, syntax, sys.modules[__name__]):
        assert module.__file__ is not None
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()
