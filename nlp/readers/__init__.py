"""Bytes -> text, one file a format. What can't be read raises `UnreadableError` with a `Reason`, nothing else."""

from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError, normalize_text
from lexveil.nlp.readers.documents import DOCUMENT_SUFFIXES, read_content, read_document

__all__ = [
    "DOCUMENT_SUFFIXES",
    "Limits",
    "Reason",
    "UnreadableError",
    "normalize_text",
    "read_content",
    "read_document",
]
