"""Pictures: with Tesseract their text, without it a reason."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from lexveil.nlp.readers import Limits, Reason

Read = Callable[..., str]
Refusal = Callable[..., Reason]


def draw(kind: str, *texts: str, size: tuple[int, int] = (900, 200), **options: Any) -> bytes:
    pages: list[Image.Image] = []
    for text in texts:
        page = Image.new("RGB", size, "white")
        ImageDraw.Draw(page).text((30, 60), text, fill="black", font_size=48)
        pages.append(page)
    buffer = io.BytesIO()
    pages[0].save(buffer, kind, save_all=len(pages) > 1, append_images=pages[1:], **options)
    return buffer.getvalue()


@pytest.fixture
def recognizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in Tesseract's place that prints the size of the picture it gets."""
    program = tmp_path / "bin" / "tesseract"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\nif [ "$1" = --list-langs ]; then echo eng; exit; fi\nhead -c 15 | head -n 2 | tail -n 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("recognizer")
def test_every_page_is_recognized_at_its_resolution(read: Read) -> None:
    assert read("a.tiff", draw("TIFF", "one", "two", dpi=(150, 150))).split() == ["1800", "400"] * 2
    assert read("a.png", draw("PNG", "one")).split() == ["900", "200"]
    assert read("a.gif", draw("GIF", "one", "moves")).split() == ["900", "200"]


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.bmp", "BMP"), ("a.tif", "TIFF")]
)
def test_text_is_recognized(read: Read, name: str, kind: str) -> None:
    if shutil.which("tesseract") is None:
        pytest.skip("Tesseract is not installed")
    assert "Abernathy" in read(f"a.{kind.lower()}", draw(kind, "Judge Abernathy"))


def test_what_is_refused(refusal: Refusal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert refusal("a.png", draw("PNG", "x"), Limits(ocr=False)) == Reason.needs_ocr
    assert refusal("a.png", b"text that is no picture") == Reason.wrong_suffix
    buffer = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, "PNG")
    assert refusal("a.png", buffer.getvalue()) == Reason.decompression_bomb
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal("a.jpeg", draw("JPEG", "x")) == Reason.needs_ocr
