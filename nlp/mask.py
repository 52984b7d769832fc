"""Spans -> masked text, and back again, byte for byte, for whoever holds the replacements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nlp.identity import cluster
from nlp.text import ENTITY_TYPES, Span


@dataclass(frozen=True, slots=True)
class Replacement:
    """A token at [start, end) of the MASKED text that stands for `original`. Secret: it undoes the mask."""

    start: int
    end: int
    original: str = field(repr=False)
    token: str
    type: str
    entity: int


@dataclass(frozen=True, slots=True)
class Masked:
    text: str = field(repr=False)
    replacements: tuple[Replacement, ...]


_TOKEN = re.compile(rf"\[({'|'.join(ENTITY_TYPES)})_([0-9]+)\]")


def mask(text: str, spans: Sequence[Span]) -> Masked:
    """Replace every span by a token such as `[PERSON_1]`.

    Numbers count the entities of a type by first appearance. A number that the text already holds in
    a token of its own is passed over, so that no reader takes the one for the other.

    Raises:
        ValueError: spans unsorted, overlapping, empty or outside of the text (indices only are named).
    """
    _check(len(text), spans)
    taken = {(kind, int(number)) for kind, number in _TOKEN.findall(text)}
    tokens: dict[int, str] = {}
    last_number: dict[str, int] = {}
    pieces: list[str] = []
    replacements: list[Replacement] = []
    length = end_of_last = 0
    for span, entity in zip(spans, cluster(text, spans), strict=True):
        if entity not in tokens:
            number = last_number.get(span.type, 0) + 1
            while (span.type, number) in taken:
                number += 1
            last_number[span.type] = number
            tokens[entity] = f"[{span.type}_{number}]"
        token = tokens[entity]
        kept = text[end_of_last : span.start]
        start = length + len(kept)
        pieces += (kept, token)
        length = start + len(token)
        replacements.append(Replacement(start, length, text[span.start : span.end], token, span.type, entity))
        end_of_last = span.end
    pieces.append(text[end_of_last:])
    return Masked("".join(pieces), tuple(replacements))


def restore(masked_text: str, replacements: Sequence[Replacement]) -> str:
    """The original text.

    Raises:
        ValueError: a replacement's token doesn't stand where it should (its index only is named).
    """
    pieces: list[str] = []
    last = 0
    for index, replacement in enumerate(replacements):
        found = masked_text[replacement.start : replacement.end]
        if replacement.start < last or found != replacement.token:
            raise ValueError(f"replacement {index} doesn't fit the masked text")
        pieces += (masked_text[last : replacement.start], replacement.original)
        last = replacement.end
    pieces.append(masked_text[last:])
    return "".join(pieces)


def _check(length: int, spans: Sequence[Span]) -> None:
    last = 0
    for index, span in enumerate(spans):
        if not last <= span.start < span.end <= length:
            raise ValueError(f"span {index} is unsorted, overlapping, empty or outside of the text")
        last = span.end
