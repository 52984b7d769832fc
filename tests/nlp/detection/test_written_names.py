"""Names as people write them, found by the rules of the whole detector, at their places in the original."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.detector import Detector


@pytest.mark.parametrize(
    ("language", "text", "names"),
    [
        (
            "en",
            "Mr Jo\u200bhn Qu\u00adill paid; QUILL, John is listed.",
            ["Jo\u200bhn Qu\u00adill", "QUILL, John"],
        ),
        ("en", "Mr John&nbsp;O&#39;Quill paid.", ["John&nbsp;O&#39;Quill"]),
        ("en", "Mr Gri\ufb03th paid. Mr Jᴏʜɴ Qᴜɪʟʟ left.", ["Gri\ufb03th", "Jᴏʜɴ Qᴜɪʟʟ"]),
        ("en", "Anna\u00a0Quill sent Anna_Quill_CV.pdf.", ["Anna\u00a0Quill", "Anna_Quill"]),
        (
            "de",
            "Herr Quillner\u2013Voss kam mit Frau Än\u0308ne Quill.",
            ["Quillner\u2013Voss", "Än\u0308ne Quill"],
        ),
        (
            "pl",
            "Sąd przesłuchał świadka Jana Quillskiego. Zeznania Quillskiego i pismo od Quillskim.",
            ["Jana Quillskiego", "Quillskiego", "Quillskim"],
        ),
    ],
)
def test_names_are_found_however_they_are_written(language: str, text: str, names: list[str]) -> None:
    (detection,) = Detector.load("rules").detect_many([text], language)
    found = [text[span.start : span.end] for span in detection.spans if span.type == "PERSON"]
    assert found == names
