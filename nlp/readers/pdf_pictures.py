"""PDF pages that are pictures: whether a page shows more than its text layer contains, and what it shows."""

from __future__ import annotations

from collections.abc import Sequence

import pypdfium2
from pypdfium2 import raw

from lexveil.nlp.readers import ocr
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.pdf_scene import Scene
from lexveil.nlp.readers.pdf_words import Box, Line

_FEW_LETTERS = 20
_STAMP_LETTERS = 150
"""More letters than a court's filing stamp on a scanned page ("Case 1:20-cv-... Filed ... Page 1 of 9")."""
_PICTURE_SHARE = 0.5
_TEXT_SHARE = 0.08
"""Of the pictures' area: the lines of stamps, or of a few sentences over a scan, cover less."""
_MOST_TEXT_SHARE = 0.2
"""The same where the pictures show as much as a written page does."""
_DARK = 180  # of 255
_INK = (0.02, 0.6)
"""Share of dark pixels of a page that is written on. Paper with a frame has fewer, a dark ground has more."""
_LOOK_SCALE = 0.5
_LOGO_SHARE = 0.02
_RULE_SHARE = 0.002
_MANY_PATHS = 200
_SCALE = ocr.DPI / 72
_MAX_PIXELS = 40_000_000


def is_picture(page: pypdfium2.PdfPage, scene: Scene, lines: Sequence[Line], recognized: int) -> bool:
    """Return True if a page shows more than its text layer contains.

    That is the case with hardly any letters and a picture of any size (or letters drawn as many paths), and
    with a large picture and little text: stamps on a scan, or a few lines over a scanned annex. An empty page
    is not a picture, nor is one whose text was recognized in the picture.

    Args:
        page: An open page.
        scene: What is drawn on it.
        lines: Its visible text.
        recognized: Number of characters that were recognized in a picture by the program that made the file.
    """
    share = _measure_pictures(scene)
    if share <= _RULE_SHARE and scene.paths <= _MANY_PATHS:
        return False
    letters = sum(letter.isalpha() for line in lines for word in line for letter in word.text)
    if letters < _FEW_LETTERS:
        return share > (_LOGO_SHARE if letters else _RULE_SHARE) or scene.paths > _MANY_PATHS
    if 2 * recognized > letters or share <= _PICTURE_SHARE:
        return False
    if letters < _STAMP_LETTERS:
        return True
    text = _measure_text(scene.frame, lines) / share
    return text < _TEXT_SHARE or (text < _MOST_TEXT_SHARE and _has_ink(page, scene))


def _measure_pictures(scene: Scene) -> float:
    """Return the share of the page that pictures cover; all are added up, because scans often are strips."""
    left, bottom, right, top = scene.frame
    area = 0.0
    for box in scene.boxes:
        if box.is_picture:
            wide = min(box.box[2], right) - max(box.box[0], left)
            area += max(0.0, wide) * max(0.0, min(box.box[3], top) - max(box.box[1], bottom))
    return min(area / max((right - left) * (top - bottom), 1.0), 1.0)


def _measure_text(frame: Box, lines: Sequence[Line]) -> float:
    """Return the share of the page that lines of text cover."""
    area = sum((word.x1 - word.x0) * (word.y1 - word.y0) for line in lines for word in line)
    return area / max((frame[2] - frame[0]) * (frame[3] - frame[1]), 1.0)


def _has_ink(page: pypdfium2.PdfPage, scene: Scene) -> bool:
    """Return True if a page without its text looks as one that is written on."""
    for text in scene.texts:
        raw.FPDFPageObj_SetIsActive(text.handle, False)
    try:
        pixels, width, height = _render(page, _LOOK_SCALE, _MAX_PIXELS // 16)
    finally:
        for text in scene.texts:
            raw.FPDFPageObj_SetIsActive(text.handle, True)
    share = sum(pixels.count(value) for value in range(_DARK)) / (width * height)
    return _INK[0] < share < _INK[1]


def recognize(page: pypdfium2.PdfPage, limits: Limits) -> str:
    """Return the text that Tesseract recognizes on a page.

    Raises:
        UnreadableError: needs_ocr, if Tesseract is not installed, not wanted or fails.
    """
    if not (limits.ocr and ocr.is_available()):
        raise UnreadableError(Reason.needs_ocr)
    return ocr.recognize_text(*_render(page, _SCALE, _MAX_PIXELS))


def _render(page: pypdfium2.PdfPage, scale: float, most: int) -> tuple[bytes, int, int]:
    """Return the gray pixels of a page row by row, the width and the height."""
    width, height = page.get_size()
    scale = min(scale, (most / max(width * height, 1.0)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)  # pyright: ignore[reportArgumentType]
    try:
        rows = bytes(bitmap.buffer)
        columns, stride = bitmap.width, bitmap.stride
        pixels = b"".join(rows[y * stride : y * stride + columns] for y in range(bitmap.height))
        return pixels, columns, bitmap.height
    finally:
        bitmap.close()
