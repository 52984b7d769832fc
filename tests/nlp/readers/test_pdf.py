from __future__ import annotations

import io
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib import pdfencrypt
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from lexveil.nlp.readers import Limits, Reason, ocr, read_documents
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.pdf import is_pdf

PROSE = "The landlord served a notice on the tenant.\nThe tenant paid the rent into court.\n" * 3
STAMP = "Case 1:20-cv-00001 Document 3 Filed 01/02/20 Page 1 of 9"

FAKE_TESSERACT = f"""#!{sys.executable}
import sys
if "--list-langs" in sys.argv:
    print("List of available languages (2):\\neng\\nosd")
    raise SystemExit
magic, size, depth = (sys.stdin.buffer.readline() for _ in range(3))
width, height = map(int, size.split())
pixels = sys.stdin.buffer.read()
assert magic == b"P5\\n" and depth == b"255\\n" and len(pixels) == width * height
assert sys.argv[1:5] == ["stdin", "stdout", "-l", "eng"]
print("recognized", width, height, "dark" if sum(pixels[::997]) / len(pixels[::997]) < 200 else "light")
"""


@pytest.fixture
def no_tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


@pytest.fixture
def tesseract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Puts a program of that name on the path, which speaks as Tesseract does."""

    def install(source: str) -> None:
        program = tmp_path / "bin" / "tesseract"
        program.parent.mkdir()
        program.write_text(source)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(program.parent))

    return install


def test_text_layer_of_all_pages(read: Callable[..., str], pdf: Callable[..., bytes]) -> None:
    text = read("a.PDF", pdf((PROSE, False), ("", False), ("Second page, with Ann Other.", False)))
    assert text == PROSE.strip() + "\n\nSecond page, with Ann Other."


def test_what_was_typed_into_a_form_is_text(read: Callable[..., str]) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1)
    canvas.drawString(72, 700, "Name of the claimant, in full please:")
    canvas.acroForm.textfield(name="claimant", value="Ann Other", x=72, y=640, width=200, height=30)
    canvas.save()
    assert "Ann Other" in read("a.pdf", buffer.getvalue())


@pytest.mark.parametrize("junk", [b"", b"\r\n", b"x" * 900])
def test_junk_before_the_header(read: Callable[..., str], pdf: Callable[..., bytes], junk: bytes) -> None:
    assert read("a.pdf", junk + pdf((PROSE, False))) == PROSE.strip()


@pytest.mark.usefixtures("no_tesseract")
def test_refused(refusal: Callable[..., Reason], pdf: Callable[..., bytes]) -> None:
    sound = pdf((PROSE, False))
    locked = pdf((PROSE, False), encrypt=pdfencrypt.StandardEncryption("pw", strength=128))
    cases = [
        (b"just text", Reason.wrong_suffix),
        (b"PK\x03\x04" + bytes(2000), Reason.wrong_suffix),
        (b"", Reason.empty),
        (sound[:200], Reason.broken),
        (b"%PDF-1.7\n" + b"junk" * 500, Reason.broken),
        (locked, Reason.encrypted),
        (pdf(("", False)), Reason.empty),
        (pdf(("", True)), Reason.needs_ocr),
        (pdf((STAMP, True)), Reason.needs_ocr),
        (pdf((PROSE, False), (STAMP, True), (PROSE, False)), Reason.needs_ocr),
    ]
    assert [refusal("a.pdf", data) for data, _ in cases] == [reason for _, reason in cases]


def test_an_owner_password_alone_locks_no_reader_out(
    read: Callable[..., str], pdf: Callable[..., bytes]
) -> None:
    data = pdf((PROSE, False), encrypt=pdfencrypt.StandardEncryption("", ownerPassword="pw", strength=128))
    assert read("a.pdf", data) == PROSE.strip()


@pytest.mark.usefixtures("no_tesseract")
def test_prose_over_a_picture_needs_no_ocr(read: Callable[..., str], pdf: Callable[..., bytes]) -> None:
    assert read("a.pdf", pdf((PROSE * 3, True))) == (PROSE * 3).strip()


@pytest.mark.usefixtures("no_tesseract")
def test_a_document_may_be_taken_without_its_pictures(
    tmp_path: Path, refusal: Callable[..., Reason], pdf: Callable[..., bytes]
) -> None:
    data = pdf((PROSE, False), (STAMP, True), (PROSE, False))
    path = tmp_path / "a.pdf"
    path.write_bytes(data)
    [reading] = read_documents(path, Limits(unread_pages=True))
    assert reading.text == f"{PROSE.strip()}\n\n{STAMP}\n\n[page not read]\n\n{PROSE.strip()}"
    assert reading.notes == {Note.unread_page: 1}
    assert refusal("a.pdf", data) is Reason.needs_ocr
    assert refusal("a.pdf", pdf(("", True)), Limits(unread_pages=True)) is Reason.needs_ocr


STAMPS = (
    "Case 1:20-cv-00123-ABC-DEF Document 123-4 Filed 01/01/21 Page 1 of 9 PageID 1234",
    "RECEIVED by the clerk of the court on 2 January 2021 at 4.15 p.m.",
    "DocuSign Envelope ID: 0A1B2C3D-0000-1111-2222-333344445555",
    "CONFIDENTIAL - SUBJECT TO PROTECTIVE ORDER",
    "ACME-PROD-00001234",
)


@pytest.mark.usefixtures("no_tesseract")
def test_stamps_and_a_few_typed_lines_make_no_text_of_a_scan(
    refusal: Callable[..., Reason], gray_picture: ImageReader
) -> None:
    typed = [f"Recital {n}: the parties agree as is set out in this schedule below." for n in range(6)]
    for share, lines in ((1.0, STAMPS), (0.75, typed)):
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
        canvas.drawImage(gray_picture, 0, 0, 595, 842 * share)
        for number, line in enumerate(lines):
            canvas.drawString(60, 820 - 14 * number, line)
        canvas.save()
        assert refusal("a.pdf", buffer.getvalue()) is Reason.needs_ocr


def test_scanned_pages_are_recognized(
    read: Callable[..., str],
    refusal: Callable[..., Reason],
    pdf: Callable[..., bytes],
    tesseract: Callable[[str], None],
) -> None:
    tesseract(FAKE_TESSERACT)
    data = pdf((PROSE, False), (STAMP, True))
    assert read("a.pdf", data) == f"{PROSE.strip()}\n\n{STAMP}\n\nrecognized 2480 3509 dark"
    assert refusal("a.pdf", data, Limits(ocr=False)) is Reason.needs_ocr


def test_a_failing_tesseract_is_a_missing_one(
    refusal: Callable[..., Reason], pdf: Callable[..., bytes], tesseract: Callable[[str], None]
) -> None:
    tesseract(f"#!{sys.executable}\nraise SystemExit(1)")
    assert refusal("a.pdf", pdf((STAMP, True))) is Reason.needs_ocr


def test_a_poster_is_rendered_within_bounds(
    read: Callable[..., str], tesseract: Callable[[str], None], pdf: Callable[..., bytes]
) -> None:
    tesseract(FAKE_TESSERACT)
    poster = pdf(("", True)).replace(b"[ 0 0 595 842 ]", b"[ 0 0 9999 9999 ]")
    _, width, height, _ = read("a.pdf", poster).split()
    assert int(width) * int(height) <= 41_000_000


@pytest.mark.skipif(not ocr.is_available(), reason="Tesseract is not installed")
def test_real_tesseract(read: Callable[..., str], pdf: Callable[..., bytes]) -> None:
    from PIL import Image, ImageDraw
    from reportlab.lib.utils import ImageReader

    image = Image.new("L", (1240, 1754), 255)
    ImageDraw.Draw(image).text((100, 300), "The tenant paid the rent", fill=0, font_size=48)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842))
    canvas.drawImage(ImageReader(image), 0, 0, 595, 842)
    canvas.save()
    assert "tenant paid the rent" in read("a.pdf", buffer.getvalue())


def drawn(*lines: tuple[float, float, str], size: tuple[float, float] = (595, 842), **options: Any) -> bytes:
    """A PDF of one page with lines of text at given places."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size, invariant=1, **options)
    for x, y, text in lines:
        canvas.drawString(x, y, text)
    canvas.save()
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("position", "expected"), [(0, True), (1000, True), (1019, True), (1020, False), (5000, False)]
)
def test_a_header_counts_within_the_first_kilobyte(position: int, expected: bool) -> None:
    assert is_pdf(b"\0" * position + b"%PDF-1.4") is expected


def test_lines_stay_lines_and_spaces_stay_spaces(read: Callable[..., str]) -> None:
    data = drawn((72, 700, "Between Ann Other, claimant,"), (72, 680, "and Bo Doe, defendant."))
    assert read("a.pdf", data) == "Between Ann Other, claimant,\nand Bo Doe, defendant."


def test_a_rotated_page_is_read(read: Callable[..., str]) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(842, 595), invariant=1)
    canvas.setPageRotation(90)
    canvas.drawString(72, 300, "A schedule of payments, in landscape.")
    canvas.save()
    assert read("a.pdf", buffer.getvalue()) == "A schedule of payments, in landscape."


@pytest.mark.parametrize("size", [(595, 842), (612, 792), (842, 1191), (200, 200)])
def test_any_size_of_a_page_is_read(read: Callable[..., str], size: tuple[float, float]) -> None:
    assert read("a.pdf", drawn((20, 100, "A short but whole line."), size=size)) == "A short but whole line."


@pytest.mark.usefixtures("no_tesseract")
@pytest.mark.parametrize(
    ("text", "share", "reason"),
    [
        ("", 0.0, Reason.empty),
        ("", 0.001, Reason.empty),
        ("", 0.01, Reason.needs_ocr),
        ("", 0.9, Reason.needs_ocr),
        ("Page 1 of 9", 0.01, None),
        ("Page 1 of 9", 0.05, Reason.needs_ocr),
        (STAMP, 0.4, None),
        (STAMP, 0.6, Reason.needs_ocr),
        (PROSE * 3, 0.9, None),
        (PROSE, 0.9, Reason.needs_ocr),
        (PROSE, 0.3, None),
    ],
)
def test_which_pages_are_pictures(
    read: Callable[..., str],
    refusal: Callable[..., Reason],
    gray_picture: ImageReader,
    text: str,
    share: float,
    reason: Reason | None,
) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    if share:
        canvas.drawImage(gray_picture, 0, 0, 595, 842 * share)
    for number, line in enumerate(text.split("\n")):
        canvas.drawString(60, 780 - 14 * number, line)
    canvas.save()
    if reason is None:
        assert read("a.pdf", buffer.getvalue()) == text.strip()
    else:
        assert refusal("a.pdf", buffer.getvalue()) is reason


@pytest.mark.usefixtures("no_tesseract")
def test_a_scan_in_strips_is_a_picture_as_a_whole(
    refusal: Callable[..., Reason], gray_picture: ImageReader
) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    for number in range(20):
        canvas.drawImage(gray_picture, 0, number * 40, 595, 30)
    canvas.drawString(60, 820, STAMP)
    canvas.save()
    assert refusal("a.pdf", buffer.getvalue()) is Reason.needs_ocr


@pytest.mark.usefixtures("no_tesseract")
@pytest.mark.parametrize(("paths", "reason"), [(150, Reason.empty), (250, Reason.needs_ocr)])
def test_letters_drawn_as_paths_are_a_picture_and_a_few_rules_are_none(
    refusal: Callable[..., Reason], paths: int, reason: Reason
) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1)
    for number in range(paths):
        canvas.line(10, number * 3, 20, number * 3 + 1)
    canvas.save()
    assert refusal("a.pdf", buffer.getvalue()) is reason


def test_the_text_of_all_pages_is_bounded(refusal: Callable[..., Reason], pdf: Callable[..., bytes]) -> None:
    data = pdf(*[(PROSE, False)] * 5)
    limits = Limits(max_text_bytes=4 * len(PROSE))
    assert refusal("a.pdf", data, limits) is Reason.decompression_bomb


def test_a_document_of_many_pages_keeps_their_order(
    read: Callable[..., str], pdf: Callable[..., bytes]
) -> None:
    text = read("a.pdf", pdf(*[(f"This is page number {number} of many.", False) for number in range(40)]))
    assert text.split("\n\n") == [f"This is page number {number} of many." for number in range(40)]


@pytest.mark.parametrize("strength", [40, 128])
def test_a_password_is_a_reason_of_its_own(
    refusal: Callable[..., Reason], pdf: Callable[..., bytes], strength: int
) -> None:
    data = pdf((PROSE, False), encrypt=pdfencrypt.StandardEncryption("pw", strength=strength))
    assert refusal("a.pdf", data) is Reason.encrypted


@pytest.mark.parametrize(
    ("installed", "language"),
    [
        ("eng\\nosd", "eng"),
        ("deu\\neng\\nfra\\nosd", "eng+deu+fra"),
        ("osd", "eng"),
        ("chi_sim\\nchi_tra", "chi_sim"),
    ],
)
def test_recognition_uses_the_likely_languages_that_are_installed(
    tesseract: Callable[[str], None], installed: str, language: str
) -> None:
    tesseract(
        f"#!{sys.executable}\nimport sys\n"
        f"print('List of languages:\\n{installed}' if '--list-langs' in sys.argv else sys.argv[4])\n"
    )
    assert ocr.recognize_text(bytes(4), 2, 2).strip() == language


def test_what_tesseract_says_is_decoded_and_a_form_feed_is_a_line_end(
    tesseract: Callable[[str], None],
) -> None:
    tesseract(f"#!{sys.executable}\nimport sys\nsys.stdout.buffer.write(b'M\\xc3\\xbcller \\xff\\x0c')\n")
    assert ocr.recognize_text(bytes(4), 2, 2) == "Müller \ufffd\n"


def test_a_tesseract_that_cannot_be_started_is_a_missing_one(
    tesseract: Callable[[str], None], refusal: Callable[..., Reason], pdf: Callable[..., bytes]
) -> None:
    tesseract("#!/no/such/interpreter\n")
    assert ocr.is_available()
    assert refusal("a.pdf", pdf((STAMP, True))) is Reason.needs_ocr
