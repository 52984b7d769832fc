"""Text layers under a foreign cipher are found, font by font, and decoded where that is certain."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lexveil.nlp.readers import Reason, UnreadableError, read_document

TEXTS = {
    "English": """The court heard the parties on the third day of May and finds that the lease was signed
by both of them. The tenant paid the rent for the flat in Elm Street every month until the landlord gave
notice in writing. There is no evidence that the deposit was used for repairs, and the claim for its return
is allowed with interest from the date on which the keys were handed over. Each side bears its own costs.""",
    "German": """Das Gericht hat die Parteien angehört und stellt fest, dass der Mietvertrag von
beiden unterschrieben wurde. Der Mieter zahlte die Miete für die Wohnung in jedem Monat, bis der Vermieter
schriftlich kündigte. Es gibt keinen Beweis dafür, dass die Kaution für Reparaturen verwendet wurde, und die
Klage auf Rückzahlung ist mit Zinsen seit dem Tag begründet, an dem die Schlüssel übergeben wurden.""",
    "Spanish": """El tribunal ha oído a las partes y declara que el contrato de arrendamiento fue firmado por
ambas. El arrendatario pagó la renta del piso todos los meses hasta que el arrendador puso fin al contrato por
escrito. No hay prueba de que la fianza se haya usado para obras, y la demanda de su devolución se estima con
intereses desde el día en que se entregaron las llaves a la propietaria.""",
}
PRINTABLE = [chr(code) for code in range(33, 127)]


def shift(number: int) -> Mapping[str, str]:
    return {chr(code): chr(max(code + number, 1)) for code in range(32, 256)}


def permute(letters: list[str], seed: int) -> Mapping[str, str]:
    mixed = letters[:]
    random.Random(seed).shuffle(mixed)
    return dict(zip(letters, mixed, strict=True))


def number_in_order(text: str) -> Mapping[str, str]:
    """As programs number the glyphs of a subset: by their first use."""
    letters = [letter for letter in dict.fromkeys(text) if not letter.isspace()]
    return {letter: chr(33 + place) for place, letter in enumerate(letters)}


def number_glyphs() -> Mapping[str, str]:
    """The usual order of glyphs in a TrueType font: ASCII from 3 on, then that of the Macintosh."""
    numbers = {chr(code): chr(code - 29) for code in range(32, 127)}
    return numbers | {bytes([code]).decode("mac_roman"): chr(98 + code - 0x80) for code in range(0x80, 0xD9)}


def list_ciphers(text: str) -> dict[str, Mapping[str, str]]:
    letters = list(string.ascii_letters)
    return {
        "glyph numbers": number_glyphs(),
        "one too high": shift(1),
        "31 too low": shift(-31),
        "letters mixed": permute(letters, 1),
        "letters mixed otherwise": permute(letters, 2),
        "small letters mixed": permute(list(string.ascii_lowercase), 3),
        "all mixed": permute(PRINTABLE, 4),
        "private use": {chr(code): chr(0xE000 + code) for code in range(33, 256)},
        "no meaning": {chr(code): "\ufffd" for code in range(33, 256)},
        "in the order of use": number_in_order(text),
    }


def build(fonts: list[tuple[str, Mapping[str, str] | None]], type3: bool = False) -> bytes:
    """A PDF of one page; each font shows its text, and its text layer is what the cipher makes of it."""
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
    }
    content: list[bytes] = []
    names: list[bytes] = []
    line = 0
    for place, (text, cipher) in enumerate(fonts):
        number = 10 + 3 * place
        names.append(b"/F%d %d 0 R" % (place, number))
        for row in text.split("\n"):
            code = row.encode("latin-1").hex().encode()
            content.append(b"BT /F%d 9 Tf 1 0 0 1 40 %d Tm <%s> Tj ET" % (place, 800 - 14 * line, code))
            line += 1
        font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding"
        if type3:
            font = (
                b"<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[.001 0 0 .001 0 0]"
                b"/CharProcs<</g %d 0 R>>/FirstChar 32/LastChar 255/Widths[%s]/Encoding<</Differences[32%s]>>"
            ) % (number + 2, b"600 " * 224, b"/g" * 224)
            objects[number + 2] = stream(b"600 0 0 0 600 700 d1 0 0 500 700 re f")
        if cipher is not None:
            font += b"/ToUnicode %d 0 R" % (number + 1)
            objects[number + 1] = stream(map_to_unicode(text, cipher))
        objects[number] = font + b">>"
    objects[3] = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<<%s>>>>>>"
        % b" ".join(names)
    )
    objects[4] = stream(b"\n".join(content))
    body = b"".join(b"%d 0 obj%s endobj\n" % (number, objects[number]) for number in sorted(objects))
    return b"%PDF-1.7\n" + body + b"trailer<</Root 1 0 R>>\n%%EOF"


def stream(data: bytes) -> bytes:
    return b"<</Length %d>>stream\n%s\nendstream" % (len(data), data)


def map_to_unicode(text: str, cipher: Mapping[str, str]) -> bytes:
    pairs = [
        f"<{ord(letter):02x}> <{cipher.get(letter, letter).encode('utf-16-be').hex()}>"
        for letter in sorted(set(text) - {"\n"})
    ]
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /A def\n"
        "1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"{len(pairs)} beginbfchar\n" + "\n".join(pairs) + "\nendbfchar endcmap end end"
    ).encode()


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
    """The text of a PDF, or the reason why it has none, on a machine without Tesseract."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))

    def call(data: bytes) -> str:
        path = tmp_path / "a.pdf"
        path.write_bytes(data)
        try:
            return read_document(path)
        except UnreadableError as unreadable:
            return unreadable.reason

    return call


def is_found(text: str, got: str) -> bool:
    # Some marks of a shifted text are white space.
    return got == Reason.unreadable_text or re.findall(r"\w+", got) == re.findall(r"\w+", text)


@pytest.mark.parametrize("language", TEXTS)
def test_ciphers_of_a_whole_layer_are_found(outcome: Callable[[bytes], str], language: str) -> None:
    text = TEXTS[language]
    assert outcome(build([(text, None)])).split() == text.split()
    missed = [
        name
        for name, cipher in list_ciphers(text).items()
        if not is_found(text, outcome(build([(text, cipher)])))
    ]
    assert missed == []


@pytest.mark.parametrize("language", TEXTS)
def test_ciphers_of_one_font_of_two_are_found(outcome: Callable[[bytes], str], language: str) -> None:
    text = TEXTS[language]
    both = f"{text}\n{text}"
    missed = [
        name
        for name, cipher in list_ciphers(text).items()
        if not is_found(both, outcome(build([(text, None), (text, cipher)])))
    ]
    assert missed == []


def test_glyph_numbers_are_decoded(outcome: Callable[[bytes], str]) -> None:
    text = TEXTS["English"]
    assert outcome(build([(text, number_glyphs())])).split() == text.split()
    mixed = outcome(build([(text, None), (text, number_glyphs())]))
    assert mixed.split() == text.split() * 2


def test_fonts_that_are_drawn(outcome: Callable[[bytes], str]) -> None:
    text = TEXTS["English"]
    assert (
        outcome(build([(text, permute(list(string.ascii_letters), 5))], type3=True)) is Reason.unreadable_text
    )


TABLE = "\n".join(f"{n}  {n * 1234.5:,.2f}  ({n}.5%)  $ {n * 77}.00  2019-0{n}-1{n}" for n in range(1, 10))
CAPITALS = (
    "IN THE COUNTY COURT AT BATH\nBETWEEN MARIANNE OBERHOLZER\nCLAIMANT AND GREGOR LINDQVIST\nDEFENDANT"
)
NAMES = "\n".join(
    f"{first} {last}" for first in ("Ann", "Zbyszko", "Xu") for last in ("Ng", "Brzęk", "Oduya")
)
FORMULAS = "f(x) = a*x^2 + b*x + c; E = m*c^2; |x| < 1/n => x -> 0\n" + TEXTS["English"]
CODES = "\n".join(
    f"VIN 1HGCM82633A00{n}352, policy AB-{n}77/19-C, IBAN GB82WEST1234569876543{n}" for n in range(9)
)


@pytest.mark.parametrize(
    "text", [TABLE, CAPITALS, NAMES.replace("ę", "e"), FORMULAS, CODES, "Exhibit 7", "§ 12 a"]
)
def test_what_is_no_prose_is_no_alarm(outcome: Callable[[bytes], str], text: str) -> None:
    assert outcome(build([(text, None)])).split() == text.split()
