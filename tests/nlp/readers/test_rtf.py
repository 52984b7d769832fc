"""Rich Text Format: what is read of it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lexveil.nlp.readers import Reason


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (rb"{\rtf1\ansi Ann Other\par sues.}", "Ann Other\nsues."),
        (rb"{\rtf1\ansi\ansicpg1250 \'8aimi\'e6}", "Šimić"),
        (rb"{\rtf1\ansi {\fonttbl{\f0 Arial;}}M\u252\'fcller}", "Müller"),
        (rb"{\rtf1 {\*\generator Secret}a{\pict\pngblip 00ff}b}", "ab"),
    ],
)
def test_text(read: Callable[..., str], content: bytes, text: str) -> None:
    assert read("a.rtf", content).strip() == text


def test_refused(refusal: Callable[..., Reason]) -> None:
    assert refusal("a.rtf", b"plain text") is Reason.wrong_suffix
    assert refusal("a.rtf", b"{\\rtf1 }") is Reason.empty
    assert refusal("a.txt", b"{\\rtf1 a}") is Reason.wrong_suffix
