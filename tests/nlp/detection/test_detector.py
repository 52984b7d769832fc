# ruff: noqa: E501  -- the texts are on one line each
"""The whole detector: people and companies invented for these tests."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.masking.mask import mask_text, restore_text
from lexveil.nlp.text import Span

JUDGMENT = """IN THE DISTRICT COURT OF KANSAS
Case No. 1:19-cv-01234-ABC

MARGARET THORNBURY,
Plaintiff,
v.
Quillfeather Logistics LLC,
Defendant.

Plaintiff Margaret Thornbury, aged 47, lives with her husband at 12 Larkspur Lane, Elmsworth, KS 66002.
She was born on 4 May 1972. Her phone number is (785) 555-0142 and her e-mail m.thornbury@example.org.
On 3 March 2018 Thornbury was dismissed by Mr. Osgood Pell. Her social security number is 219-09-9999.
The court follows Vane v. Ostler, 512 U.S. 477 (1994), and 42 U.S.C. § 1983. Pell appealed.
"""

CHINESE = """北京市海淀区人民法院刑事判决书
（2019）京0108刑初76号
被告人赵立强，男，1985年3月2日出生，身份证号11010519491231002X，住北京市海淀区中关村大街27号3单元501室。
被害人钱晓梅的证言证实，赵立强于2018年5月1日在北京云帆科技有限公司门口将其打伤，其电话为13800138000。
依照《中华人民共和国刑法》第二百三十四条之规定，判决如下。
审判长  孙国庆
"""


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("light")


def hidden(text: str, spans: list[Span], piece: str) -> bool:
    """Is every occurrence of `piece` covered?"""
    covered = {i for s in spans for i in range(s.start, s.end)}
    start = text.index(piece)
    while start >= 0:
        if any(i not in covered for i in range(start, start + len(piece)) if text[i].isalnum()):
            return False
        start = text.find(piece, start + 1)
    return True


def kinds(text: str, spans: list[Span]) -> dict[str, str]:
    return {text[s.start : s.end]: s.type for s in spans}


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        ("1:19-cv-01234-ABC", "CASE_NUMBER"),
        ("Margaret Thornbury", "PERSON"),
        ("MARGARET THORNBURY", "PERSON"),
        ("Thornbury", "PERSON"),
        ("Osgood Pell", "PERSON"),
        ("Pell", "PERSON"),
        ("Quillfeather Logistics LLC", "ORGANIZATION"),
        ("47", "AGE"),
        ("4 May 1972", "BIRTH_DATE"),
        ("3 March 2018", "DATE"),
        ("(785) 555-0142", "PHONE"),
        ("m.thornbury@example.org", "EMAIL"),
        ("219-09-9999", "ID_NUMBER"),
        ("12 Larkspur Lane, Elmsworth, KS 66002", "ADDRESS"),
        ("her husband", "FAMILY_MEMBER"),
    ],
)
def test_english(detector: Detector, piece: str, kind: str) -> None:
    spans = detector.detect(JUDGMENT)
    assert kinds(JUDGMENT, spans).get(piece) == kind


@pytest.mark.parametrize(
    "piece", ["Vane v. Ostler, 512 U.S. 477 (1994)", "42 U.S.C. § 1983", "Plaintiff", "DISTRICT COURT"]
)
def test_law_stays(detector: Detector, piece: str) -> None:
    masked = mask_text(JUDGMENT, detector.detect(JUDGMENT)).text
    assert piece in masked


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        ("（2019）京0108刑初76号", "CASE_NUMBER"),
        ("赵立强", "PERSON"),
        ("钱晓梅", "PERSON"),
        ("孙国庆", "PERSON"),
        ("1985年3月2日", "BIRTH_DATE"),
        ("2018年5月1日", "DATE"),
        ("11010519491231002X", "ID_NUMBER"),
        ("13800138000", "PHONE"),
        ("北京市海淀区中关村大街27号3单元501室", "ADDRESS"),
        ("北京云帆科技有限公司", "ORGANIZATION"),
    ],
)
def test_chinese(detector: Detector, piece: str, kind: str) -> None:
    spans = detector.detect(CHINESE)
    assert kinds(CHINESE, spans).get(piece) == kind
    assert hidden(CHINESE, spans, piece)


def test_chinese_law_stays(detector: Detector) -> None:
    assert "《中华人民共和国刑法》第二百三十四条" in mask_text(CHINESE, detector.detect(CHINESE)).text


def test_the_own_number_goes_and_a_cited_one_stays(detector: Detector) -> None:
    text = (
        "CASE OF THORNBURY v. TURKEY\n\n(Application no. 54321/08)\n\nThe case originated in an application "
        "(no. 54321/08). The Court refers to Vane v. Turkey, no. 12345/67, § 4. Thornbury v. Turkey, no. 54321/08, § 2."
    )
    masked = mask_text(text, detector.detect(text)).text
    assert "54321/08" not in masked
    assert "no. 12345/67" in masked
    assert "Vane v. Turkey" in masked


def test_drafting_is_nobody(detector: Detector) -> None:
    text = (
        'This Loan Agreement (the "Agreement") is made between the Lender and the Borrower. Section 5 of '
        "Exhibit A applies. The Company may terminate. The Lender May assign. Governing Law: the State of New York. "
        "INDEMNIFICATION AND LIMITATION OF LIABILITY. The Court has jurisdiction over the Seller and the Buyer."
    )
    assert detector.detect(text) == []


@pytest.mark.parametrize("hidden_by", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u202e"])
def test_invisible_characters_hide_no_name(detector: Detector, hidden_by: str) -> None:
    text = f"The witness, Mr Os{hidden_by}good Pe{hidden_by}ll, spoke. Osgood Pell left."
    spans = detector.detect(text)
    assert text[spans[0].start : spans[0].end] == f"Os{hidden_by}good Pe{hidden_by}ll"
    assert hidden(text, spans, "Osgood Pell")


def test_full_width_digits(detector: Detector) -> None:
    text = "被害人的电话是１３８００１３８０００。"
    assert [s.type for s in detector.detect(text)] == ["PHONE"]


def test_decomposed_letters(detector: Detector) -> None:
    text = unicodedata.normalize("NFD", "The witness, Mr José Müller, spoke.")
    (span,) = detector.detect(text)
    assert unicodedata.normalize("NFC", text[span.start : span.end]) == "José Müller"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(
                [
                    "Mr Osgood Pell",
                    " v. ",
                    "被告人赵立强",
                    "（2019）",
                    "\u200b",
                    "\r\n",
                    "号",
                    "@",
                    "12 May",
                    "§ 1",
                    "e\u0301",
                    "[PERSON_1]",
                ]
            ),
        ),
        max_size=12,
    )
)
def test_any_text_gives_exact_sorted_spans_and_round_trips(detector: Detector, pieces: list[str]) -> None:
    text = "".join(pieces)
    spans = detector.detect(text)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(0 <= s.start < s.end <= len(text) and s.type in ENTITY_TYPES and s.recognizer for s in spans)
    masked = mask_text(text, spans)
    assert restore_text(masked.text, masked.replacements) == text


def test_many_is_one_by_one(detector: Detector) -> None:
    texts = [JUDGMENT, "", CHINESE, "Nothing here.", JUDGMENT + CHINESE]
    assert [list(found.spans) for found in detector.detect_many(texts)] == [detector.detect(t) for t in texts]


@pytest.mark.parametrize(
    ("text", "language", "served"),
    [
        ("The applicant lives in the town and was heard by the court on the same day.", "en", True),
        ("Der Kläger wohnt in der Stadt und wurde am selben Tag von dem Gericht angehört.", "de", True),
        (CHINESE, "zh", True),
        ("Le requérant habite dans la ville et a été entendu par la cour le même jour.", "fr", False),
        ("Osgood", "", True),
    ],
    ids=["English", "German", "Chinese", "French", "too little"],
)
def test_says_whether_a_language_is_served(
    detector: Detector, text: str, language: str, served: bool
) -> None:
    (found,) = detector.detect_many([text])
    assert (found.language, found.served) == (language, served)


def test_a_detection_shows_no_text(detector: Detector) -> None:
    assert "start" not in repr(detector.detect_many([JUDGMENT])[0])


def test_rules_alone() -> None:
    spans = Detector.load("rules").detect(JUDGMENT)
    assert hidden(JUDGMENT, spans, "Margaret Thornbury")
    assert all(span.recognizer != "LearntRecognizer" for span in spans)


def test_a_learnt_detector_of_the_users_own() -> None:
    class Every:
        """Finds each "zig" with certainty, and nothing else."""

        languages = None
        insists = False

        def tag(self, texts: Sequence[str]) -> list[list[Span]]:
            return [
                [Span(m.start(), m.end(), "MISC", 1.0, "Every") for m in re.finditer("zig", text)]
                for text in texts
            ]

    text = "so zig and Vane v. Ostler, 512 U.S. 477 (1994), zig " * 300
    (found,) = Detector(Every()).detect_many([text])
    assert found.served
    assert [text[s.start : s.end] for s in found.spans] == ["zig"] * 600


def test_a_learnt_detector_touches_no_citation() -> None:
    class Greedy:
        languages = frozenset({"en"})
        insists = False

        def tag(self, texts: Sequence[str]) -> list[list[Span]]:
            return [[Span(0, len(text), "CASE_NUMBER", 1.0, "Greedy")] for text in texts]

    assert Detector(Greedy()).detect("Vane v. Ostler, 512 U.S. 477 (1994)") == []


def test_a_name_across_a_window_is_found(detector: Detector) -> None:
    for shift in range(0, 60, 7):
        text = (
            "x" * 3
            + "the sum was paid in full and on time as agreed " * 84
            + "y" * shift
            + " Mr Osgood Pell left. " * 3
        )
        spans = detector.detect(text)
        assert hidden(text, spans, "Osgood Pell")


def test_no_limit_on_length(detector: Detector) -> None:
    filler = "the sum was paid in full and on time as agreed between them\n" * 1_000
    hostile = "9" * 1_000_000 + "\n" + "中" * 20_000 + "A" * 100_000 + "(" * 5_000 + "\n" * 20_000
    text = filler + "Mr Osgood Pell left.\n" + hostile + "Osgood Pell came back.\n"
    assert len(text) > 1_000_000
    assert hidden(text, detector.detect(text), "Osgood Pell")


def test_loaded_once() -> None:
    assert Detector.load("light") is Detector.load("light")


def test_unknown_sensitivity() -> None:
    with pytest.raises(ValueError, match="sensitivity"):
        Detector.load("light", "loose")  # pyright: ignore[reportArgumentType]


def test_no_text_in_logs(detector: Detector, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        detector.detect(JUDGMENT)
    assert "Thornbury" not in caplog.text
