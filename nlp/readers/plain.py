"""Plain text and Markdown: detection of the encoding.

The order is: byte-order mark, the declared charset, UTF-8, UTF-16 without a mark, the double-byte encodings
of East Asia by their grammar, 8-bit charsets by the letters of their languages (`charsets`), and
charset-normalizer on a sample for the rest. Statistical guesses are poor on short texts, so the encodings in
which case files actually come are tested first, by what is certain about them.
"""

from __future__ import annotations

import codecs
import re

from lexveil.nlp.readers.charsets import guess_charset
from lexveil.nlp.readers.contract import Reason, UnreadableError
from lexveil.nlp.readers.hyphens import join_words

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 16
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""First bytes of an OLE compound file: an old Office document, or an encrypted new one."""
LONGEST_MAGIC = 16
"""Number of bytes that suffice to recognize any of the binary formats."""
_BINARY_MAGICS = (
    b"%PDF-", b"PK\x03\x04", b"PK\x05\x06", OLE_MAGIC, b"\x1f\x8b\x08", b"{\\rtf",
    b"\x28\xb5\x2f\xfd", b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"\xffWPC", b"PAR1",
    b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a", b"\x7fELF", b"BZh", b"\xfd7zXZ\0", b"SQLite format 3\0",
)  # fmt: skip
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_HIGH = re.compile(rb"[\x80-\xff]")
_CHINESE = "gb18030"
_SPACED = re.compile(rb"[\x80-\xff] (?=[\x80-\xff])")
_ESCAPES = (
    (re.compile(rb"\x1b\$[@B]|\x1b\(J"), "iso2022_jp_ext"),
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
    (re.compile(rb"~\{(?:[!-~]{2})+~\}"), "hz"),
)
"""How text of East Asia in seven bits begins a passage."""
# GB 2312 rows 1-3 (punctuation, digits, letters) and 16-55, the 3,755 most common characters, which make up
# nearly all of any Chinese text. Cyrillic or Greek text read as GB mostly uses the rarer rows after them.
_COMMON_GB = re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]")
# Rows of JIS level 1, the 2,965 most common characters.
_COMMON_SHIFT_JIS = re.compile(rb"[\x88-\x97][\x40-\x7e\x80-\xfc]")
_WESTERN = frozenset(
    "€‚„…†‡‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ\xa0¡£§¨©ª«\xad®¯°±´·¶¸º»¼½¾¿¢²×"
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ"
)
_WESTERN_CODECS = {"ascii", "utf-8", "iso8859-1", "cp1252"}
_FALLBACKS = [
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr",
    "koi8_r", "mac_roman",
]  # fmt: skip


def check_is_text(data: bytes) -> None:
    """Check that the data does not start like a well-known binary format (or RTF).

    Raises:
        UnreadableError: wrong_suffix.
    """
    if data.startswith(_BINARY_MAGICS):
        raise UnreadableError(Reason.wrong_suffix)


def read(data: bytes) -> str:
    """Read the text of a .txt or .md file.

    Raises:
        UnreadableError: wrong_suffix, for binary data.
    """
    check_is_text(data)
    return join_words(decode(data).replace("\r\n", "\n"))


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode bytes in the most likely encoding.

    Args:
        data: Bytes to decode. Bytes that are invalid in the most likely encoding become U+FFFD.
        declared: Charset that the surrounding format declares; it is used if the bytes are valid in it.

    Raises:
        UnreadableError: wrong_suffix, for binary data.
    """
    # The most common false declaration is a Western charset for UTF-8; any other one takes precedence.
    for encoding in (_detect_bom(data), None if _is_western(declared) else _widen_charset(declared)):
        if encoding and (text := _try_decode(data, encoding)) is not None:
            return text
    if (text := _decode_escapes(data)) is not None:
        return text
    if not _has_many_nuls(data) and (text := _try_decode(data, "utf-8")) is not None:
        return text
    return data.decode(guess_encoding(data), "replace")


def _decode_escapes(data: bytes) -> str | None:
    if not (b"\x1b$" in data or b"~{" in data or b"\x1b(J" in data) or not data.isascii():
        return None
    found = (_try_decode(data, encoding) for begin, encoding in _ESCAPES if begin.search(data))
    return next((text for text in found if text is not None and not text.isascii()), None)


def guess_encoding(data: bytes) -> str:
    """Return the name of the most likely Python codec. The data may be the first part of something longer.

    Raises:
        UnreadableError: wrong_suffix, for binary data.
    """
    if bom := _detect_bom(data):
        return bom
    sample = _take_sample(data)
    text = _decode_sample(sample, "utf-8")
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    # Text with a few damaged bytes per hundred characters is still UTF-8.
    if not _has_many_nuls(data) and text.count("\ufffd") * 20 <= beyond_ascii:
        return "utf-8"
    if b"\0" in data:
        orders = ("utf-16-le", "utf-16-be")
        shares = {name: _plausible_share(_decode_sample(data[:_SAMPLE], name)) for name in orders}
        best = max(shares, key=lambda name: shares[name])
        if shares[best] >= 0.9:
            return best
        raise UnreadableError(Reason.wrong_suffix)
    if len(_CONTROL.findall(sample)) * 50 > len(sample):
        raise UnreadableError(Reason.wrong_suffix)
    return _guess_by_grammar(sample)


def _guess_by_grammar(sample: bytes) -> str:
    encoding = _guess_east_asian(sample)
    # Chinese has no spaces between words; Cyrillic ones may look like its most common characters.
    is_spaced = encoding == _CHINESE and len(_SPACED.findall(sample)) * 20 > len(_HIGH.findall(sample))
    charset = guess_charset(sample) if encoding is None or is_spaced else None
    if charset or encoding:
        return charset or encoding or ""
    if {c for c in _decode_sample(sample, "cp1252") if c > "\x7f"} <= _WESTERN:
        return "cp1252"
    from charset_normalizer import from_bytes  # slow to import, and rarely needed

    match = from_bytes(sample, cp_isolation=_FALLBACKS).best()
    return match.encoding if match is not None else "cp1252"


def _guess_east_asian(sample: bytes) -> str | None:
    high = len(_HIGH.findall(sample))
    for encoding in ("cp932", "euc_jp"):
        text = _decode_sample(sample, encoding)
        beyond = [c for c in text if c > "\x7f"]
        # Half-width kana, a byte each, are what any 8-bit text becomes.
        kana = sum("\u3041" <= c <= "\u30ff" for c in beyond)
        kanji = len(_COMMON_SHIFT_JIS.findall(sample)) if encoding == "cp932" else 0
        latin = sum(c.isascii() and c.isalpha() for c in text)
        is_japanese = 3 * kana >= len(beyond) or kana + kanji > max(latin, 0.8 * len(beyond))
        if beyond and "\ufffd" not in beyond and is_japanese:
            return encoding
    common = _COMMON_GB.findall(sample)
    if 2 * len(common) < 0.85 * high:
        return None
    # Hangul fills the rows to C8, where Chinese, ordered by sound, has only the first half of its characters.
    hangul = sum(pair[0] <= 0xC8 for pair in common)
    return "euc_kr" if len(common) >= 8 and hangul >= 0.97 * len(common) else _CHINESE


def _take_sample(data: bytes) -> bytes:
    """Return at most 64 KiB from the line with the first non-ASCII byte on: ASCII reveals no encoding."""
    first = _HIGH.search(data)
    start = data.rfind(b"\n", 0, first.start()) + 1 if first else 0
    if first and first.start() - start > _SAMPLE // 2:
        start = first.start()
    return data[start : start + _SAMPLE]


def _detect_bom(data: bytes) -> str | None:
    return next((encoding for bom, encoding in _BOMS if data.startswith(bom)), None)


def _has_many_nuls(data: bytes) -> bool:
    """Return True for UTF-16 and binary data, False for text with a stray NUL, which is dropped later."""
    return data.count(0) * 10 > len(data)


def _try_decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (ValueError, LookupError):
        return None


def _decode_sample(data: bytes, encoding: str) -> str:
    """Decode the complete characters of a sample: a full sample may end within one."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(data, final=len(data) < _SAMPLE)


def _is_western(declared: str | None) -> bool:
    name = (declared or "").strip().strip("\"'")
    try:
        return not name or codecs.lookup(name).name in _WESTERN_CODECS
    except (LookupError, ValueError):
        return False


def _widen_charset(declared: str | None) -> str:
    """Return the superset that browsers and mail readers, and so the authors of files, take a charset for."""
    name = (declared or "").strip().strip("\"'").lower()
    return {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-9": "cp1254"}.get(name, name)


def _plausible_share(text: str) -> float:
    """Return the share of characters that occur in running Latin, Greek, Cyrillic or Chinese text."""
    sample = text[:8192]
    good = sum(
        c in "\t\n\r\f\ufeff" or "\x20" <= c <= "\x7e" or "\xa0" <= c <= "\u052f" or "\u2000" <= c <= "\u22ff"
        or "\u3000" <= c <= "\u303f" or "\u3400" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef"
        for c in sample
    )  # fmt: skip
    return good / len(sample) if sample else 0.0
