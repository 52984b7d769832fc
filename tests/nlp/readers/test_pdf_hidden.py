"""Text that a reader of the page does not see is left out, marked and counted. All names are invented."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from lexveil.nlp.readers import Limits, read_documents
from lexveil.nlp.readers.contract import Note

SEEN = "The court finds for the claimant, who paid the rent."
SECRET = "Ottilie Brandstaetter"
Draw = Callable[[Canvas], None]


@pytest.fixture
def examine(tmp_path: Path) -> Callable[[Draw], tuple[str, Mapping[Note, int]]]:
    """Draws a page with a sentence that is seen, and more; returns the text and the notes."""

    def call(draw: Draw) -> tuple[str, Mapping[Note, int]]:
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
        canvas.drawString(72, 760, SEEN)
        draw(canvas)
        canvas.save()
        path = tmp_path / "a.pdf"
        path.write_bytes(buffer.getvalue())
        [reading] = read_documents(path, Limits(ocr=False))
        assert reading.text is not None, reading.reason
        return reading.text, reading.notes

    return call


def white_text(canvas: Canvas) -> None:
    canvas.setFillColorRGB(1, 1, 1)
    canvas.drawString(72, 600, SECRET)


def color_of_the_box_below(canvas: Canvas) -> None:
    canvas.setFillColorRGB(0.9, 0.9, 0.3)
    canvas.rect(60, 590, 300, 30, stroke=0, fill=1)
    canvas.setFillColorRGB(0.9, 0.92, 0.3)
    canvas.drawString(72, 600, SECRET)


def off_the_page(canvas: Canvas) -> None:
    canvas.drawString(72, -40, SECRET)


def off_the_right_edge(canvas: Canvas) -> None:
    canvas.drawString(700, 600, SECRET)


def outside_of_the_crop_box(canvas: Canvas) -> None:
    canvas.setCropBox((0, 100, 595, 842))
    canvas.drawString(72, 50, SECRET)


def invisible_mode(canvas: Canvas) -> None:
    text = canvas.beginText(72, 600)
    text.setTextRenderMode(3)
    text.textOut(SECRET)
    canvas.drawText(text)


def tiny(canvas: Canvas) -> None:
    canvas.setFont("Helvetica", 0.8)
    canvas.drawString(72, 600, SECRET)


def transparent(canvas: Canvas) -> None:
    canvas.setFillAlpha(0)
    canvas.drawString(72, 600, SECRET)


def white_text_in_a_form(canvas: Canvas) -> None:
    canvas.beginForm("note")
    canvas.setFillColorRGB(1, 1, 1)
    canvas.drawString(0, 0, SECRET)
    canvas.endForm()
    canvas.translate(72, 600)
    canvas.doForm("note")


def clip(canvas: Canvas, *corners: tuple[float, float]) -> None:
    path = canvas.beginPath()
    path.moveTo(*corners[0])
    for corner in corners[1:]:
        path.lineTo(*corner)
    path.close()
    canvas.clipPath(path, stroke=0, fill=0)


def clipped_away(canvas: Canvas) -> None:
    clip(canvas, (0, 0), (9, 0), (9, 9), (0, 9))
    canvas.drawString(72, 600, SECRET)


def clipped_to_nothing(canvas: Canvas) -> None:
    clip(canvas, (72, 600), (72, 600), (72, 600), (72, 600))
    canvas.drawString(72, 600, SECRET)


def clipped_by_a_shape(canvas: Canvas) -> None:
    """Whose bounds hold the text."""
    clip(canvas, (0, 0), (595, 0), (595, 842), (590, 842), (590, 5), (5, 5), (5, 842), (0, 842))
    canvas.drawString(72, 600, SECRET)


def clipped_in_a_form(canvas: Canvas) -> None:
    canvas.beginForm("note")
    clip(canvas, (0, 0), (9, 0), (9, 9), (0, 9))
    canvas.drawString(72, 20, SECRET)
    canvas.endForm()
    canvas.translate(72, 600)
    canvas.doForm("note")


def outside_of_a_form(canvas: Canvas) -> None:
    canvas.beginForm("note", 0, 0, 20, 20)
    canvas.drawString(30, 30, SECRET)
    canvas.endForm()
    canvas.translate(72, 600)
    canvas.doForm("note")


def draw_outlines(canvas: Canvas) -> None:
    text = canvas.beginText(72, 600)
    text.setTextRenderMode(1)
    text.textOut(SECRET)
    canvas.drawText(text)


def white_outlines(canvas: Canvas) -> None:
    canvas.setStrokeColorRGB(1, 1, 1)
    draw_outlines(canvas)


def form_that_is_transparent(canvas: Canvas) -> None:
    canvas.beginForm("note")
    canvas.drawString(0, 0, SECRET)
    canvas.endForm()
    canvas.setFillAlpha(0)
    canvas.setStrokeAlpha(0)
    canvas.translate(72, 600)
    canvas.doForm("note")


@pytest.mark.parametrize(
    "draw",
    [
        white_text, off_the_page, off_the_right_edge, outside_of_the_crop_box, invisible_mode, tiny,
        transparent, white_text_in_a_form, clipped_away, clipped_to_nothing, clipped_by_a_shape,
        clipped_in_a_form, outside_of_a_form, white_outlines, form_that_is_transparent,
    ],
)  # fmt: skip
def test_hidden_text_is_left_out_and_marked(
    examine: Callable[[Draw], tuple[str, Mapping[Note, int]]], draw: Draw
) -> None:
    assert examine(draw) == (f"{SEEN}\n[hidden text not read]", {Note.hidden_text: 1})


def black_box(canvas: Canvas) -> None:
    canvas.drawString(72, 600, f"The informant is {SECRET} of Leeds.")
    start = 72 + canvas.stringWidth("The informant is ")
    canvas.rect(start - 1, 596, canvas.stringWidth(SECRET) + 2, 14, fill=1)


def white_box(canvas: Canvas) -> None:
    canvas.drawString(72, 600, f"The informant is {SECRET} of Leeds.")
    start = 72 + canvas.stringWidth("The informant is ")
    canvas.setFillColorRGB(1, 1, 1)
    canvas.rect(start - 1, 596, canvas.stringWidth(SECRET) + 2, 14, stroke=0, fill=1)


def text_on_a_box_of_its_color(canvas: Canvas) -> None:
    start = 72 + canvas.stringWidth("The informant is ")
    canvas.rect(start - 1, 596, canvas.stringWidth(SECRET) + 2, 14, fill=1)
    canvas.drawString(72, 600, f"The informant is {SECRET} of Leeds.")


def thick_line(canvas: Canvas) -> None:
    canvas.drawString(72, 600, f"The informant is {SECRET} of Leeds.")
    start = 72 + canvas.stringWidth("The informant is ")
    canvas.setLineWidth(14)
    canvas.line(start - 1, 603, start + canvas.stringWidth(SECRET) + 1, 603)


def box_in_a_form(canvas: Canvas) -> None:
    canvas.beginForm("box")
    canvas.rect(0, 0, canvas.stringWidth(SECRET) + 2, 14, fill=1)
    canvas.endForm()
    canvas.drawString(72, 600, f"The informant is {SECRET} of Leeds.")
    canvas.translate(71 + canvas.stringWidth("The informant is "), 596)
    canvas.doForm("box")


@pytest.mark.parametrize(
    "draw", [black_box, white_box, text_on_a_box_of_its_color, thick_line, box_in_a_form]
)
def test_a_bad_redaction_is_left_out_marked_and_counted(
    examine: Callable[[Draw], tuple[str, Mapping[Note, int]]], draw: Draw
) -> None:
    text = f"{SEEN}\nThe informant is [covered text not read] of Leeds."
    assert examine(draw) == (text, {Note.covered_text: 1})


def test_a_box_over_a_part_of_a_word(examine: Callable[[Draw], tuple[str, Mapping[Note, int]]]) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 600, "Brandstaetter")
        start = 72 + canvas.stringWidth("Brandst")
        canvas.rect(start, 596, canvas.stringWidth("aett"), 14, fill=1)

    assert examine(draw) == (f"{SEEN}\nBrandst[covered text not read]er", {Note.covered_text: 1})


def test_a_box_of_a_picture_covers_too(
    examine: Callable[[Draw], tuple[str, Mapping[Note, int]]], gray_picture: ImageReader
) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 600, SECRET)
        canvas.drawImage(gray_picture, 60, 590, 200, 30)

    assert examine(draw) == (f"{SEEN}\n[covered text not read]", {Note.covered_text: 1})


def test_a_box_over_the_text_of_a_scan(
    examine: Callable[[Draw], tuple[str, Mapping[Note, int]]], gray_picture: ImageReader
) -> None:
    """The recognized text of a scan is invisible and is read; what lies under a box on the scan is not."""

    def draw(canvas: Canvas) -> None:
        canvas.drawImage(gray_picture, 0, 0, 595, 740)
        text = canvas.beginText(72, 700)
        text.setTextRenderMode(3)
        for line in ["The tenant paid the rent into court."] * 20 + [SECRET]:
            text.textLine(line)
        canvas.drawText(text)
        canvas.rect(60, text.getY() + 10, 300, 14, fill=1)

    text, notes = examine(draw)
    assert text.count("The tenant paid the rent into court.") == 20
    assert SECRET not in text
    assert notes == {Note.covered_text: 1}


def highlight_below(canvas: Canvas) -> None:
    canvas.setFillColorRGB(1, 1, 0)
    canvas.rect(60, 590, 300, 30, stroke=0, fill=1)
    canvas.setFillColorRGB(0, 0, 0)
    canvas.drawString(72, 600, SECRET)


def highlight_above(canvas: Canvas) -> None:
    canvas.drawString(72, 600, SECRET)
    canvas.setFillColorRGB(1, 1, 0)
    canvas.setFillAlpha(0.4)
    canvas.rect(60, 590, 300, 30, stroke=0, fill=1)


def underline(canvas: Canvas) -> None:
    canvas.drawString(72, 600, SECRET)
    canvas.rect(72, 598, 200, 1, fill=1)


def white_on_dark(canvas: Canvas) -> None:
    canvas.rect(60, 590, 300, 30, fill=1)
    canvas.setFillColorRGB(1, 1, 1)
    canvas.drawString(72, 600, SECRET)


def light_gray(canvas: Canvas) -> None:
    canvas.setFillColorRGB(0.85, 0.85, 0.85)
    canvas.drawString(72, 600, SECRET)


def frame(canvas: Canvas) -> None:
    canvas.drawString(72, 600, SECRET)
    canvas.rect(60, 590, 300, 30, fill=0)


def clipped_around_it(canvas: Canvas) -> None:
    clip(canvas, (60, 590), (400, 590), (400, 630), (60, 630))
    canvas.drawString(72, 600, SECRET)


def black_outlines(canvas: Canvas) -> None:
    canvas.setFillColorRGB(1, 1, 1)
    draw_outlines(canvas)


@pytest.mark.parametrize(
    "draw",
    [
        highlight_below, highlight_above, underline, white_on_dark, light_gray, frame, clipped_around_it,
        black_outlines,
    ],
)  # fmt: skip
def test_what_is_seen_is_no_alarm(
    examine: Callable[[Draw], tuple[str, Mapping[Note, int]]], draw: Draw
) -> None:
    assert examine(draw) == (f"{SEEN}\n{SECRET}", {})


LAYERS = (
    b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R/OCProperties<</OCGs[6 0 R 7 0 R]"
    b"/D<</Order[6 0 R 7 0 R]/ON[6 0 R]/OFF[7 0 R]>>>>>>endobj\n"
    b"2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R"
    b"/Resources<</Font<</F1 4 0 R>>/Properties<</on 6 0 R/off 7 0 R>>>>>>endobj\n"
    b"4 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
    b"6 0 obj<</Type/OCG/Name(shown)>>endobj\n7 0 obj<</Type/OCG/Name(hidden)>>endobj\n"
    b"5 0 obj<</Length 999>>stream\n"
    b"/OC /on BDC BT /F1 12 Tf 72 700 Td (The final draft is signed.) Tj ET EMC\n"
    b"/OC /off BDC BT /F1 12 Tf 72 660 Td (Ottilie Brandstaetter) Tj ET EMC\n"
    b"endstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
)


SOFT_MASK = (
    b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R"
    b"/Resources<</Font<</F1 4 0 R>>/ExtGState<</G 6 0 R>>>>>>endobj\n"
    b"4 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\n"
    b"6 0 obj<</SMask<</S/Luminosity/G 7 0 R>>>>endobj\n"
    b"7 0 obj<</Subtype/Form/BBox[0 0 595 842]/Group<</S/Transparency/CS/DeviceGray>>/Length 24>>stream\n"
    b"0 g 0 0 595 842 re f    \nendstream endobj\n"
    b"5 0 obj<</Length 999>>stream\nBT /F1 12 Tf 72 700 Td (The final draft is signed.) Tj ET\n"
    b"/G gs BT /F1 12 Tf 72 660 Td (Ottilie Brandstaetter) Tj ET\n"
    b"endstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
)


def test_text_behind_a_mask_is_hidden_text(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(SOFT_MASK)
    [reading] = read_documents(path, Limits(ocr=False))
    assert reading.text == "The final draft is signed.\n[hidden text not read]"
    assert reading.notes == {Note.hidden_text: 1}


def test_a_layer_that_is_off_is_hidden_text(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(LAYERS)
    [reading] = read_documents(path)
    assert reading.text == "The final draft is signed.\n[hidden text not read]"
    assert reading.notes == {Note.hidden_text: 1}
