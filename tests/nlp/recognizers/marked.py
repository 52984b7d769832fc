"""Texts whose expected findings are marked: "write to ⟦a.roe@mail.example.org⟧, please"."""

from __future__ import annotations

from collections.abc import Iterable

from lexveil.nlp.recognizers.base import RuleRecognizer
from lexveil.nlp.text import NormalizedText


def normalize(marked: str) -> str:
    """Return the text as recognizers read it, with its marks."""
    return NormalizedText.of(marked).text


def unmark(marked: str) -> str:
    """Return the text as recognizers read it, without marks."""
    return normalize(marked.replace("⟦", "").replace("⟧", ""))


def mark(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return the text with `spans` marked; overlapping ones share their marks."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    for start, end in reversed(merged):
        text = f"{text[:start]}⟦{text[start:end]}⟧{text[end:]}"
    return text


def find_in(recognizer: RuleRecognizer, marked: str, *types: str) -> str:
    """Return the text with what the recognizer finds marked: only of `types`, if there are any."""
    text = unmark(marked)
    findings = recognizer.find(text)
    return mark(text, {(f.start, f.end) for f in findings if not types or f.type in types})
