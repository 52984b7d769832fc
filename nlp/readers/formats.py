"""The true format of an office file, by its content: programs save formats under one another's names."""

from __future__ import annotations

import io
import re
import zipfile

from lexveil.nlp.readers import pdf, rtf
from lexveil.nlp.readers.plain import OLE_MAGIC

OFFICE_SUFFIXES = frozenset(
    {
        ".doc", ".docm", ".docx", ".dot", ".dotm", ".dotx", ".msg", ".odp", ".ods", ".odt", ".ott", ".pot",
        ".potx", ".pps", ".ppsm", ".ppsx", ".ppt", ".pptm", ".pptx", ".rtf", ".wpd", ".xls", ".xlsb",
        ".xlsm", ".xlsx", ".xlt", ".xltm", ".xltx",
    }
)  # fmt: skip
"""Unreliable suffixes: the content decides on the reader."""
_START = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*")
_HTML = re.compile(rb"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_XML = re.compile(rb"\s*(?:\xef\xbb\xbf)?<\?xml\b")
_MESSAGE = re.compile(rb"(?:From|To|Subject|Date|Received|Return-Path|MIME-Version):\s", re.IGNORECASE)
_WEB_ARCHIVE = re.compile(
    rb"\A(?>[A-Za-z-]+:[^\n]*\n(?>[ \t][^\n]*\n)*)*?Content-Type:\s*multipart/related", re.IGNORECASE
)
"""Word saves pages with their pictures so, under the name of a document."""
_WORD_PERFECT = b"\xffWPC"
_HEAD = 4096
_STREAMS = {
    "__properties_version1.0": ".msg",
    "worddocument": ".doc",
    "workbook": ".xls",
    "book": ".xls",
    "powerpoint document": ".ppt",
    "\x01ole10native": ".ole",
    "package": ".ole",
    "contents": ".ole",
    "encryptedpackage": ".docx",  # whose reader says that it is encrypted
}
_PACKAGES = {
    "word/document.xml": ".docx",
    "ppt/presentation.xml": ".pptx",
    "xl/workbook.xml": ".xlsx",
    "xl/workbook.bin": ".xlsb",
    "content.xml": ".odt",
}
_SAVED_AS_TEXT = frozenset({".doc", ".dot", ".xls", ".xlsb", ".xlsx", ".xlsm"})


def detect_format(data: bytes, suffix: str) -> str:
    """Return the suffix of the format that a file has; that of its name if the content shows none.

    Args:
        data: Content of the file.
        suffix: Suffix of its name, in lower case; "" for none.
    """
    if data.startswith(OLE_MAGIC):
        return _detect_compound_file(data, suffix)
    if data.startswith(b"PK"):
        return _detect_archive(data, suffix)
    if data.startswith(_WORD_PERFECT):
        return ".wpd"
    if data.lstrip()[:5] == rtf.MAGIC:
        return ".rtf"
    if pdf.is_pdf(data):
        return ".pdf"
    if _is_html(data[:_HEAD]):
        return ".html"
    if _XML.match(data[:_HEAD]):
        return ".xml"
    if suffix == ".msg" and _MESSAGE.match(data):
        return ".eml"
    if suffix in _SAVED_AS_TEXT and _WEB_ARCHIVE.search(data[:_HEAD]):
        return ".mhtml"
    # Programs of courts and banks export text under the names of documents and workbooks.
    return ".txt" if suffix in _SAVED_AS_TEXT else suffix


def _is_html(head: bytes) -> bool:
    # Comment by comment: one expression for all of them takes time that doubles with every comment.
    found = _START.match(head)
    place = found.end() if found else 0
    while head.startswith(b"<!--", place):
        end = head.find(b"-->", place + 4)
        if end < 0:
            return False
        place = end + 3
        while head[place : place + 1].isspace():
            place += 1
    return _HTML.match(head, place) is not None


def _detect_archive(data: bytes, suffix: str) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {name.replace("\\", "/").lstrip("/").lower() for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return suffix
    return next((found for name, found in _PACKAGES.items() if name in names), suffix or ".zip")


def _detect_compound_file(data: bytes, suffix: str) -> str:
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            names = {path[0].lower() for path in container.listdir() if len(path) == 1}
    except (OSError, ValueError, IndexError):
        return suffix
    return next((found for name, found in _STREAMS.items() if name in names), suffix)
