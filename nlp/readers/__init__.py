"""Bytes -> text, one file a format. What can't be read raises `Unreadable` with a `Reason`, nothing else."""

from lexveil.nlp.readers.contract import Limits, Reason, Unreadable, normalise
from lexveil.nlp.readers.documents import DOCUMENT_SUFFIXES, read_content, read_document

__all__ = [
    "DOCUMENT_SUFFIXES",
    "Limits",
    "Reason",
    "Unreadable",
    "normalise",
    "read_content",
    "read_document",
]
