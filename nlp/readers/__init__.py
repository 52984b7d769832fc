"""Bytes to text, one module per format. A file that cannot be read raises `UnreadableError`, nothing else."""

from lexveil.nlp.readers.contract import (
    Content,
    Limits,
    Note,
    Part,
    Reason,
    UnreadableError,
    escape_name,
    mark_part,
    normalize_text,
)
from lexveil.nlp.readers.documents import (
    DOCUMENT_SUFFIXES,
    Reading,
    read_content,
    read_content_documents,
    read_document,
    read_documents,
)

__all__ = [
    "DOCUMENT_SUFFIXES",
    "Content",
    "Limits",
    "Note",
    "Part",
    "Reading",
    "Reason",
    "UnreadableError",
    "escape_name",
    "mark_part",
    "normalize_text",
    "read_content",
    "read_content_documents",
    "read_document",
    "read_documents",
]
