"""Bytes to text, one module per format. A file that cannot be read raises `UnreadableError`, nothing else."""

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
