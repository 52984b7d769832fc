"""Fonts of a PDF page whose text layer is illegible: found font by font, decoded where that is certain."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from pypdfium2 import raw

from lexveil.nlp.readers.legibility import Verdict, find_shift, is_plainly_text, judge
from lexveil.nlp.readers.pdf_words import Layer, Line, Word

_FEW_CHARACTERS = 30
"""In fonts that are not text: a formula, bullets, a logo."""
_SMALL_SHARE = 0.1  # of the page's characters
_get_font = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(
    ctypes.cast(raw.FPDFTextObj_GetFont, ctypes.c_void_p).value or 0
)


def decode_fonts(layer: Layer, lines: Sequence[Line]) -> bool:
    """Decode the words of a page whose characters are shifted; return whether its text is legible then.

    Args:
        layer: The page's text layer.
        lines: Its lines. The text of their words is changed.
    """
    texts = [" ".join([word.text for word in line]) for line in lines]
    if is_plainly_text(texts):
        return True
    whole = judge("\n".join(texts))
    if whole is Verdict.short:
        return True
    bad = total = 0
    is_sure = True
    for words in _group_by_font(layer, lines):
        size = sum(len(word.text) for word in words)
        total += size
        text = " ".join([word.text for word in words])
        verdict = judge(text)
        if verdict is Verdict.no_text and not _decode(words, text):
            bad += size
        elif verdict is Verdict.short:
            is_sure = False
    if not is_sure and not bad and whole is Verdict.no_text:
        return judge(" ".join([word.text for line in lines for word in line])) is not Verdict.no_text
    return bad <= max(_FEW_CHARACTERS, _SMALL_SHARE * total)


def _group_by_font(layer: Layer, lines: Sequence[Line]) -> list[list[Word]]:
    fonts: dict[int, int] = {}
    groups: dict[int, list[Word]] = {}
    for line in lines:
        for word in line:
            drawn = layer.get_object(word.start)
            if drawn not in fonts:
                fonts[drawn] = (_get_font(drawn) or 0) if drawn else 0
            groups.setdefault(fonts[drawn], []).append(word)
    return list(groups.values())


def _decode(words: Sequence[Word], text: str) -> bool:
    table = find_shift(text)
    if table is None:
        return False
    for word in words:
        word.text = word.text.translate(table)
    return True
