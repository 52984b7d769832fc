"""Names in the fonts of a PDF file: a font may be named after a person, whose handwriting it is, or a client.

In a file written by PDFium, the names of fonts are replaced, except those of common fonts, which a reader
needs if they are not embedded; names, notices and comments in font programs are blanked. Glyphs are not
touched.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise

_OBJECT = re.compile(rb"([0-9]+ [0-9]+ obj\r\n)(.*)", re.DOTALL)
_STREAM = re.compile(rb"(<<.*?>>)stream\r\n(.*)\r\nendstream\r\n", re.DOTALL)
_XREF = re.compile(rb"xref\r\n(?:[0-9]+ [0-9]+\r\n(?:[0-9]{10} [0-9]{5} [fn]\r\n)*)*")
_SECTION = re.compile(rb"([0-9]+) [0-9]+\r\n((?:[0-9]{10} [0-9]{5} [fn]\r\n)*)")
_TRAILER = re.compile(rb"trailer\r\n(.*?)startxref\r\n", re.DOTALL)
_LENGTH = re.compile(rb"/Length [0-9]+")
_FILTER = re.compile(rb"/Filter ?(/FlateDecode|\[ ?/FlateDecode ?\])")
_REFERENCE = re.compile(rb"/(FontFile[23]?|ToUnicode|Encoding) ([0-9]+) 0 R")
_NAME = re.compile(rb"/(BaseFont|FontName|Name|CMapName) ?/([^\s/<>\[\](){}%]+)")
_STRING = rb"\((?:\\.|[^()\\])*\)|<[0-9A-Fa-f\s]*>"
_DROPPED = re.compile(rb"/(?:FontFamily|CharSet|Lang) ?(?:" + _STRING + rb")", re.DOTALL)
_COLLECTION = re.compile(rb"/(Registry|Ordering) ?(" + _STRING + rb")", re.DOTALL)
_COLLECTIONS = {
    b"(Adobe)", b"(Identity)", b"(UCS)", b"(Japan1)", b"(GB1)", b"(CNS1)", b"(Korea1)", b"(KR)",
}  # fmt: skip
_SUBSET = re.compile(r"[A-Z]{6}\+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_KNOWN = frozenset(
    word
    for line in (
        "arial helvetica neue times new roman courier symbol zapf dingbats wingdings webdings calibri",
        "cambria consolas candara constantia corbel georgia verdana tahoma garamond century schoolbook",
        "gothic book antiqua bookman palatino linotype trebuchet segoe ui liberation dejavu sans serif",
        "mono noto simsun simhei mincho ms song hei kai bold italic oblique regular medium light narrow",
        "condensed black mt ps psmt std pro math one unicode",
    )
    for word in line.split()
)
_TABLES = frozenset(
    [b"cmap", b"glyf", b"head", b"hhea", b"hmtx", b"loca", b"maxp", b"cvt ", b"fpgm", b"prep", b"OS/2",
     b"post", b"CFF ", b"vhea", b"vmtx", b"VORG", b"GSUB", b"GPOS", b"GDEF", b"kern", b"gasp"]
)  # fmt: skip
"""Of a TrueType or OpenType font: what shows letters."""
_TRUETYPE = (b"\0\1\0\0", b"true", b"OTTO")
_STANDARD_STRINGS = 391  # of CFF
_NAMING = {0, 1, 2, 3, 4, (12, 0), (12, 21), (12, 22), (12, 38)}
"""Operators of CFF: version, notice, names, weight, copyright, PostScript."""
_MOST = 64 << 20


def clean_fonts(written: bytes) -> bytes | None:
    """Return a PDF file whose fonts are named after nobody; None if that is not possible.

    Args:
        written: A file that PDFium has written.
    """
    objects = _split(written)
    trailer = _TRAILER.search(written, written.rfind(b"xref\r\ntrailer") + 1)
    if not objects or trailer is None:
        return None
    kinds = {int(number): kind for body in objects.values() for kind, number in _list_references(body)}
    names: dict[bytes, bytes] = {}
    out = bytearray(written[: min(written.find(b" obj"), 1024)].rpartition(b"\r\n")[0] + b"\r\n")
    places: dict[int, int] = {}
    for number, body in objects.items():
        clean = _clean_object(body, kinds.get(number, b""), names)
        if clean is None:
            return None
        places[number] = len(out)
        out += clean
    return bytes(out + _write_table(places, len(out), trailer[1]))


def _split(written: bytes) -> dict[int, bytes]:
    """Return the objects of a file by their numbers."""
    table = _XREF.match(written, written.rfind(b"\nxref\r\n") + 1)
    if table is None:
        return {}
    places: dict[int, int] = {}
    for section in _SECTION.finditer(table[0], len(b"xref\r\n")):
        for line, entry in enumerate(section[2].splitlines()):
            if entry.endswith(b"n"):
                places[int(section[1]) + line] = int(entry[:10])
    ends = dict(pairwise(sorted({*places.values(), table.start()})))
    return {number: written[place : ends.get(place, place)] for number, place in places.items()}


def _list_references(body: bytes) -> list[tuple[bytes, bytes]]:
    return _REFERENCE.findall(_STREAM.sub(rb"\1", body))


def _write_table(places: dict[int, int], start: int, trailer: bytes) -> bytes:
    size = max(places) + 1
    lines = [b"xref\r\n0 %d\r\n" % size]
    for number in range(size):
        place = places.get(number)
        lines.append(b"%010d 00000 n\r\n" % place if place is not None else b"0000000000 65535 f\r\n")
    return b"".join(lines) + b"trailer\r\n%sstartxref\r\n%d\r\n%%%%EOF\r\n" % (trailer, start)


def _clean_object(body: bytes, kind: bytes, names: dict[bytes, bytes]) -> bytes | None:
    """Return an object without names; None if its content cannot be read.

    Args:
        body: The object.
        kind: How a font refers to it, if one does.
        names: New names of fonts by the old ones.
    """
    head = _OBJECT.match(body)
    if head is None:
        return None
    stream = _STREAM.match(head[2])
    if stream is None:
        return head[1] + _clean_dictionary(head[2], names)
    dictionary = _clean_dictionary(stream[1], names)
    content: bytes | None = stream[2]
    if kind:
        content, is_packed = _unpack(stream[1], stream[2])
        clean = _CLEANERS[kind]
        content = None if content is None else clean(content)
        if content is not None and is_packed:
            content = zlib.compress(content)
    if content is None:
        return None
    dictionary = _LENGTH.sub(b"/Length %d" % len(content), dictionary, count=1)
    return b"%s%sstream\r\n%s\r\nendstream\r\nendobj\r\n" % (head[1], dictionary, content)


def _clean_dictionary(text: bytes, names: dict[bytes, bytes]) -> bytes:
    text = _DROPPED.sub(b"", text)
    text = _COLLECTION.sub(
        lambda found: b"/%s%s" % (found[1], found[2] if found[2] in _COLLECTIONS else b"()"), text
    )
    return _NAME.sub(lambda found: b"/%s/%s" % (found[1], _rename(found[2], names)), text)


def _rename(name: bytes, names: dict[bytes, bytes]) -> bytes:
    if name not in names:
        plain = re.sub(rb"#([0-9A-Fa-f]{2})", lambda code: bytes([int(code[1], 16)]), name).decode("latin-1")
        subset = _SUBSET.match(plain)
        rest = plain[subset.end() :] if subset else plain
        is_known = rest.isascii() and {word.lower() for word in _WORD.findall(rest)} <= _KNOWN
        known = name.rpartition(b"+")[2] if subset else name
        names[name] = (b"AAAAAA+" if subset else b"") + (known if is_known else b"Font%d" % len(names))
    return names[name]


def _unpack(dictionary: bytes, content: bytes) -> tuple[bytes | None, bool]:
    """Return the content of a stream, None if its filter is unknown, and whether it was compressed."""
    if b"/Filter" not in dictionary:
        return content, False
    if not _FILTER.search(dictionary) or b"/DecodeParms" in dictionary:
        return None, True
    try:
        unpacked = zlib.decompressobj().decompress(content, _MOST)
    except zlib.error:
        return None, True
    return (None if len(unpacked) == _MOST else unpacked), True


# Font programs.


def _clean_type1(program: bytes) -> bytes:
    """Blank the strings and comments before the encrypted part, and the name wherever it is there."""
    clear, mark, rest = program.partition(b"eexec")
    clear = re.sub(
        rb"(?m)^(%!(?:PS-AdobeFont|FontType1)-[0-9.]{1,8})?[%:][^\r\n]*",
        lambda found: (found[1] or b"%").ljust(len(found[0])),
        clear,
    )
    clear = re.sub(_STRING, lambda found: b"(" + b" " * (len(found[0]) - 2) + b")", clear, flags=re.DOTALL)
    for name in re.findall(rb"/FontName\s*(/[^\s/{}\[\]()<>%]+)", clear):
        clear = clear.replace(name, b"/".ljust(len(name), b"F"))
    return clear + mark + rest


def _clean_sfnt(program: bytes) -> bytes | None:
    """Blank the tables of a TrueType or OpenType font with its name and its makers."""
    if program[:4] not in _TRUETYPE:
        return _clean_cff(program) if program[:1] == b"\1" else None
    clean = bytearray(program)
    for place in range(12, 12 + 16 * struct.unpack_from(">H", program, 4)[0], 16):
        tag, _, start, length = struct.unpack_from(">4sIII", program, place)
        length = min(length, len(program) - start)
        if tag == b"CFF ":
            table = _clean_cff(program[start : start + length])
            if table is None:
                return None
            clean[start : start + length] = table
        elif tag not in _TABLES and length > 0:
            clean[start : start + length] = bytes(length)
    return bytes(clean)


def _clean_cff(program: bytes) -> bytes | None:
    """Blank the name of a compact font, and its statements about itself."""
    clean = bytearray(program)
    spans, place = _read_index(program, program[2])
    for start, end in spans:
        clean[start:end] = b"F" * (end - start)
    tops, place = _read_index(program, place)
    strings, _ = _read_index(program, place)
    for start, end in tops:
        for operator, operands in _read_operators(program[start:end]):
            number = operands[-1] - _STANDARD_STRINGS if operands else -1
            if operator in _NAMING and 0 <= number < len(strings):
                first, last = strings[number]
                clean[first:last] = b" " * (last - first)
    return bytes(clean)


def _read_index(data: bytes, place: int) -> tuple[list[tuple[int, int]], int]:
    """Return the places of the entries of an INDEX, and its end."""
    (count,) = struct.unpack_from(">H", data, place)
    if not count:
        return [], place + 2
    size = data[place + 2]
    first = place + 3
    offsets = [
        int.from_bytes(data[first + size * number : first + size * (number + 1)], "big")
        for number in range(count + 1)
    ]
    base = first + size * (count + 1) - 1
    return [(base + start, base + end) for start, end in pairwise(offsets)], base + offsets[-1]


def _read_operators(data: bytes) -> Iterator[tuple[int | tuple[int, int], list[int]]]:
    """Yield the operators of a DICT with their integer operands."""
    operands: list[int] = []
    place = 0
    while place < len(data):
        lead = data[place]
        place += 1
        if lead <= 21:
            operator: int | tuple[int, int] = lead
            if lead == 12:
                operator = 12, data[place]
                place += 1
            yield operator, operands
            operands = []
        elif lead == 30:  # a real number, which ends with the nibble 15
            while data[place] & 15 != 15 and data[place] >> 4 != 15:
                place += 1
            place += 1
        else:
            value, place = _read_integer(data, lead, place)
            operands.append(value)


def _read_integer(data: bytes, lead: int, place: int) -> tuple[int, int]:
    if lead == 28:
        return struct.unpack_from(">h", data, place)[0], place + 2
    if lead == 29:
        return struct.unpack_from(">i", data, place)[0], place + 4
    if lead <= 246:
        return lead - 139, place
    if lead <= 250:
        return (lead - 247) * 256 + data[place] + 108, place + 1
    return -(lead - 251) * 256 - data[place] - 108, place + 1


# Maps of characters.


def _clean_map(content: bytes) -> bytes:
    names: dict[bytes, bytes] = {}
    content = re.sub(rb"(?m)%[^\r\n]*", b"", content)
    content = _COLLECTION.sub(lambda found: b"/%s (Adobe)" % found[1], content)
    content = re.sub(rb"(?<=\s)/[A-Za-z0-9+_.-]+(?=\s+def)", lambda found: found[0][:1] + b"Map", content)
    return _clean_dictionary(content, names)


_CLEANERS: dict[bytes, Callable[[bytes], bytes | None]] = {
    b"FontFile": _clean_type1,
    b"FontFile2": _clean_sfnt,
    b"FontFile3": _clean_sfnt,
    b"ToUnicode": _clean_map,
    b"Encoding": _clean_map,
}
