from __future__ import annotations

import io
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from reportlab.lib import pdfencrypt
from reportlab.pdfgen.canvas import Canvas

from lexveil.nlp.readers import Limits, Reason, ocr

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
print("recognised", width, height, "dark" if sum(pixels[::997]) / len(pixels[::997]) < 200 else "light")
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


def test_text_under_a_rectangle_comes_out(read: Callable[..., str]) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1)
    canvas.drawString(72, 700, "The informant is Ann Other of Leeds.")
    canvas.rect(60, 690, 400, 30, fill=1)
    canvas.save()
    assert read("a.pdf", buffer.getvalue()) == "The informant is Ann Other of Leeds."


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
    assert read("a.pdf", pdf((PROSE, True))) == PROSE.strip()


def test_scanned_pages_are_recognised(
    read: Callable[..., str],
    refusal: Callable[..., Reason],
    pdf: Callable[..., bytes],
    tesseract: Callable[[str], None],
) -> None:
    tesseract(FAKE_TESSERACT)
    data = pdf((PROSE, False), (STAMP, True))
    assert read("a.pdf", data) == f"{PROSE.strip()}\n\n{STAMP}\nrecognised 2480 3509 dark"
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
