"""Formats without a reader here, by kreuzberg (the extra `others`), where the settings allow it.

It reads a file as one text, of which the last line says so: what is inside of the file, such as pictures and
other documents, is not told apart, and may be missing. It opens no other file and no connection; its cache,
its recognition of characters and its models are off.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from lexveil.nlp.readers.contract import Content, Limits, Note, Reason, UnreadableError

_MARK = "[read by another program: what is inside of this file may be missing]"
SUFFIXES: Mapping[str, str] = {
    ".epub": "application/epub+zip",
    ".fb2": "application/x-fictionbook+xml",
    ".dbk": "application/docbook+xml",
    ".rst": "text/x-rst",
    ".org": "text/x-org",
    ".tex": "application/x-latex",
    ".typ": "application/x-typst",
    ".opml": "application/xml+opml",
    ".ipynb": "application/x-ipynb+json",
    ".hwp": "application/x-hwp",
    ".hwpx": "application/haansofthwpx",
    ".pages": "application/x-iwork-pages-sffpages",
    ".numbers": "application/x-iwork-numbers-sffnumbers",
    ".key": "application/x-iwork-keynote-sffkey",
    ".dbf": "application/x-dbf",
}
"""Formats by the suffixes of their files. Archives are none: their members would be one text."""


def read(data: bytes, suffix: str, limits: Limits) -> Content:
    """Read a file of one of these formats.

    Raises:
        UnreadableError: unsupported (the extra is not installed), broken, decompression_bomb.
    """
    try:
        kreuzberg: Any = importlib.import_module("kreuzberg")
    except ImportError:
        raise UnreadableError(Reason.unsupported) from None
    config = kreuzberg.ExtractionConfig(use_cache=False, disable_ocr=True)
    try:
        text = str(kreuzberg.extract_bytes_sync(data, SUFFIXES[suffix], config).content)
    except MemoryError:
        raise
    except Exception:  # of its own
        raise UnreadableError(Reason.broken) from None
    if len(text) > limits.max_text_bytes:
        raise UnreadableError(Reason.decompression_bomb)
    return Content(f"{text}\n\n{_MARK}", notes={Note.read_elsewhere: 1}) if text.strip() else Content("")
