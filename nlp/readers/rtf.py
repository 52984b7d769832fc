"""RTF to text, by striprtf: headers, body, footers, then notes and text boxes.

Pictures and embedded objects are counted.
"""

from __future__ import annotations

import re

from striprtf.striprtf import rtf_to_text

from lexveil.nlp.readers.contract import Content, Note, Reason, UnreadableError

MAGIC = b"{\\rtf"
_MARGIN = re.compile(r"\\(?:header|footer)[lrf]?(?![a-z])")  # which striprtf leaves out
_BRACE = re.compile(r"\\[\\{}]|\{\\(?:footnote|shptxt)(?![a-z])|[{}]")
_MOVED = {r"{\footnote", r"{\shptxt"}  # the latter in groups that striprtf leaves out
_PICTURE = re.compile(r"\\pict(?![a-z])")
_REPEATED_PICTURE = re.compile(r"\\nonshppict(?![a-z])")  # for old programs
_HIDING = frozenset({"v", "deleted"})
_HIDES = re.compile(r"\\(?:v|deleted)(?![a-z0-9])|\\(?:v|deleted)[1-9]")
_TOKEN = re.compile(r"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?[0-9]{1,10})? ?|\\.|[{}]|[^\\{}]+|\\", re.DOTALL)
_LETTERS = frozenset(
    {"u", "tab", "emdash", "endash", "bullet", "lquote", "rquote", "ldblquote", "rdblquote", "line", "cell"}
)
_OBJECT = re.compile(r"\\object(?![a-z])")
_BINARY = re.compile(r"\\bin(?![a-z])([0-9]{0,10}) ?")
_FONTS = re.compile(r"\{[^{}\\]*(?:\\\*)?\\fonttbl(?![a-z])")
_FONT = re.compile(r"\\f([0-9]{1,10})")
_FONT_CHARSET = re.compile(r"\\fcharset([0-9]{1,10})")
_FIELD = re.compile(r"(?=\{\\field(?![a-z]))", re.IGNORECASE)
_LINK = re.compile(r"(\\fldinst)(?=\{)", re.IGNORECASE)
_LONGEST_LINK = 4000


def read(data: bytes) -> Content:
    """Read an RTF file.

    Raises:
        UnreadableError: wrong_suffix.
    """
    if not data.lstrip().startswith(MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    # The format is ASCII; bytes beyond it are of the charset that the file names.
    source = _drop_binary(data.decode("latin-1"))
    counts = {
        Note.unread_picture: len(_PICTURE.findall(source)) - len(_REPEATED_PICTURE.findall(source)),
        Note.unread_attachment: len(_OBJECT.findall(source)),
    }
    source, counts[Note.hidden_text] = _drop_hidden(source)
    source = _shorten_fields(_shorten_fonts(_move_notes(_MARGIN.sub(r"\\par ", source))))
    text = rtf_to_text(source, errors="replace")
    return Content(text, notes={note: count for note, count in counts.items() if count > 0})


def _drop_binary(source: str) -> str:
    """Return the file without the bytes of pictures and objects, which may look like anything."""
    kept: list[str] = []
    place = 0
    for found in _BINARY.finditer(source):
        if found.start() >= place:
            kept.append(source[place : found.start()])
            place = found.end() + int(found[1] or "0")
    return "".join([*kept, source[place:]])


def _shorten_fonts(source: str) -> str:
    """Return the file with a table of fonts that says no more than their charsets.

    The time in which striprtf reads a table grows with the square of its length.
    """
    table = _FONTS.search(source)
    if table is None:
        return source
    end, depth = len(source), 1
    for brace in _BRACE.finditer(source, table.end()):
        if not brace[0].startswith("\\"):
            depth += -1 if brace[0] == "}" else 1
        if not depth:
            end = brace.start()
            break
    starts = [*_FONT.finditer(source, table.end(), end)]
    edges = [*(font.start() for font in starts[1:]), end]
    fonts = [
        rf"{{\f{font[1]}\fcharset{charset[1]} -;}}"
        for font, edge in zip(starts, edges, strict=True)
        if (charset := _FONT_CHARSET.search(source, font.end(), edge))
    ]
    return "".join([source[: table.end()], *fonts, source[end:]])


def _shorten_fields(source: str) -> str:
    """Return the file with fields on lines of their own; those that are too long to be links are none.

    The time in which striprtf looks for a link grows with the third power of the line's length.
    """
    pieces = _FIELD.split(source)
    return "\n".join(piece if len(piece) <= _LONGEST_LINK else _LINK.sub("\\1\n", piece) for piece in pieces)


def _drop_hidden(source: str) -> tuple[str, int]:
    """Return the file without text that is hidden or deleted, and the number of such pieces."""
    if _HIDES.search(source) is None:
        return source, 0
    kept: list[str] = []
    hidden: set[str] = set()
    stack: list[set[str]] = []
    count, was_text = 0, False
    for token in _TOKEN.finditer(source):
        word, number = token["word"], token["number"]
        if token[0] == "{":
            stack.append(set(hidden))
        elif token[0] == "}":
            hidden = stack.pop() if stack else set()
        elif word in _HIDING:
            hidden = hidden - {word} if number == "0" else hidden | {word}
        elif word == "plain":
            hidden = set()
        elif hidden and (word is None or word in _LETTERS):
            count += not was_text and bool(token[0].strip())
            was_text = was_text or bool(token[0].strip())
            continue
        was_text = was_text and bool(hidden)
        kept.append(token[0])
    return "".join(kept), count


def _move_notes(source: str) -> str:
    """Return the file with its notes and text boxes at the end, where they divide no sentence."""
    kept: list[str] = []
    notes: list[str] = []
    place, start, depth, head = 0, -1, 0, 0
    for brace in _BRACE.finditer(source):
        if brace[0].startswith("\\"):
            continue
        if start < 0:
            if brace[0] in _MOVED:
                start, depth, head = brace.start(), 1, len(brace[0])
            continue
        depth += -1 if brace[0] == "}" else 1
        if not depth:
            kept.append(source[place:start])
            notes.append(source[start + head : brace.start()])
            place, start = brace.end(), -1
    if not notes:
        return source
    body = "".join([*kept, source[place:]])
    end = max(body.rfind("}"), 0)
    return body[:end] + "".join(rf"\par {{{note}}}" for note in notes) + body[end:]
