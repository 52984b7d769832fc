"""RTF to text, by striprtf: headers, body, footers, then notes. Pictures and embedded objects are counted."""

from __future__ import annotations

import re

from striprtf.striprtf import rtf_to_text

from lexveil.nlp.readers.contract import Content, Note, Reason, UnreadableError

MAGIC = b"{\\rtf"
_MARGIN = re.compile(r"\\(?:header|footer)[lrf]?(?![a-z])")  # which striprtf leaves out
_BRACE = re.compile(r"\\[\\{}]|\{\\(?:footnote)(?![a-z])|[{}]")
_NOTE = r"{\footnote"
_PICTURE = re.compile(r"\\pict(?![a-z])")
_REPEATED_PICTURE = re.compile(r"\\nonshppict(?![a-z])")  # for old programs
_OBJECT = re.compile(r"\\object(?![a-z])")


def read(data: bytes) -> Content:
    """Read an RTF file.

    Raises:
        UnreadableError: wrong_suffix.
    """
    if not data.lstrip().startswith(MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    # The format is ASCII; bytes beyond it are of the charset that the file names.
    source = data.decode("latin-1")
    counts = {
        Note.unread_picture: len(_PICTURE.findall(source)) - len(_REPEATED_PICTURE.findall(source)),
        Note.unread_attachment: len(_OBJECT.findall(source)),
    }
    text = rtf_to_text(_move_notes(_MARGIN.sub(r"\\par ", source)), errors="replace")
    return Content(text, notes={note: count for note, count in counts.items() if count > 0})


def _move_notes(source: str) -> str:
    """Return the file with its notes at the end, where they divide no sentence."""
    kept: list[str] = []
    notes: list[str] = []
    place, start, depth = 0, -1, 0
    for brace in _BRACE.finditer(source):
        if brace[0].startswith("\\"):
            continue
        if start < 0:
            if brace[0] == _NOTE:
                start, depth = brace.start(), 1
            continue
        depth += -1 if brace[0] == "}" else 1
        if not depth:
            kept.append(source[place:start])
            notes.append(source[start + len(_NOTE) : brace.start()])
            place, start = brace.end(), -1
    if not notes:
        return source
    body = "".join([*kept, source[place:]])
    end = max(body.rfind("}"), 0)
    return body[:end] + "".join(rf"\par {{{note}}}" for note in notes) + body[end:]
