"""Plain text and Markdown: which encoding the bytes are in.

In order: byte-order mark, the declared charset, UTF-8, UTF-16 without a mark, GB 18030, Windows-1252, and for
the rest charset-normalizer on a sample. Guessing alone is poor on short texts, so the two encodings that
English and Chinese case files are really in are tested by their own grammar first.
"""

from __future__ import annotations

import codecs
import re

from nlp.readers.contract import Reason, Unreadable

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 16
_MAGIC = (
    b"%PDF-", b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x1f\x8b\x08", b"{\\rtf",
    b"\x28\xb5\x2f\xfd", b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"\xffWPC", b"PAR1",
    b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a", b"\x7fELF", b"BZh", b"\xfd7zXZ\0", b"SQLite format 3\0",
)  # fmt: skip
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_HIGH = re.compile(rb"[\x80-\xff]")
# GB 2312 rows 1-3 (punctuation, digits, letters) and 16-55, the 3,755 commonest characters, which make up
# nearly all of any Chinese text; Cyrillic or Greek read as GB falls into the rarer rows above.
_COMMON_GB = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
_WESTERN = frozenset(
    "€‚„…†‡‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ\xa0¡£§¨©ª«\xad®¯°±´·¶¸º»¼½¾¿¢²³¹×"
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ"
)
_FALLBACKS = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr",
    "koi8_r", "mac_roman",
]  # fmt: skip


def check_text(data: bytes) -> None:
    """Raises Unreadable(wrong_suffix) when the bytes open a well-known binary format (or RTF)."""
    if data.startswith(_MAGIC):
        raise Unreadable(Reason.wrong_suffix)


def read(data: bytes) -> str:
    """The text of a .txt or .md file. Raises Unreadable(wrong_suffix) for binary data."""
    check_text(data)
    return decode(data)


def decode(data: bytes, declared: str | None = None) -> str:
    """Bytes -> text, in the likeliest encoding. Raises Unreadable(wrong_suffix) for binary data.

    declared: a charset that the surrounding format names; it is used when the bytes are valid in it.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom) and (text := _attempt(data, encoding)) is not None:
            return text
    # Valid UTF-8 under a declared Western charset is the commonest lie; other declarations go first.
    if declared and not _is_western(declared) and (text := _attempt(data, _widened(declared))) is not None:
        return text
    text = _attempt(data, "utf-8")
    if text is not None and data.count(0) * 10 <= len(data):
        return text
    return _guess(data)


def _guess(data: bytes) -> str:
    if b"\0" in data:
        best = max((_attempt(data, name) or "" for name in ("utf-16-le", "utf-16-be")), key=_plausible)
        if _plausible(best) >= 0.9:
            return best
        raise Unreadable(Reason.wrong_suffix)
    sample = _sample(data)
    if len(_CONTROL.findall(sample)) * 50 > len(sample):
        raise Unreadable(Reason.wrong_suffix)
    high = len(_HIGH.findall(sample))
    if 2 * len(_COMMON_GB.findall(sample)) >= 0.85 * high and (text := _attempt(data, "gb18030")) is not None:
        return text
    western = _attempt(data, "cp1252")
    if western is not None and {c for c in set(western) if ord(c) > 127} <= _WESTERN:
        return western
    from charset_normalizer import from_bytes  # heavy, and seldom needed

    match = from_bytes(sample, cp_isolation=_FALLBACKS).best()
    text = _attempt(data, match.encoding) if match is not None else None
    return text or western or data.decode("latin-1")


def _sample(data: bytes) -> bytes:
    """At most 64 KiB, from the start of the line with the first non-ASCII byte: ASCII says nothing."""
    first = _HIGH.search(data)
    start = data.rfind(b"\n", 0, first.start()) + 1 if first else 0
    if first and first.start() - start > _SAMPLE // 2:
        start = first.start()
    return data[start : start + _SAMPLE]


def _attempt(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except (ValueError, LookupError):
        return None
    return text if isinstance(text, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]


def _is_western(declared: str) -> bool:
    return declared.lower().replace("_", "-") in {
        "us-ascii",
        "ascii",
        "iso-8859-1",
        "latin-1",
        "windows-1252",
    }


def _widened(declared: str) -> str:
    """Browsers and mail readers take these three for their supersets; so do the files."""
    name = declared.strip().strip("\"'").lower()
    return {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-9": "cp1254"}.get(name, name)


def _plausible(text: str) -> float:
    """Share of characters that running text in Latin, Greek, Cyrillic or Chinese script is made of."""
    sample = text[:8192]
    good = sum(
        c in "\t\n\r\f\ufeff" or "\x20" <= c <= "\x7e" or "\xa0" <= c <= "\u052f" or "\u2000" <= c <= "\u22ff"
        or "\u3000" <= c <= "\u303f" or "\u3400" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef"
        for c in sample
    )  # fmt: skip
    return good / len(sample) if sample else 0.0
