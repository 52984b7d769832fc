# ruff: noqa: E501  -- the texts are on one line each
"""The whole detector. All people and companies are invented."""

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


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


GERMAN = """Landgericht Göttingen
Az. 4 O 117/19

In dem Rechtsstreit
der Frau Dr. Anneliese Querfurth, Weender Landstraße 12, 37073 Göttingen,
Klägerin,
gegen
die Süßwaren Brinkmann GmbH,
Beklagte.

Die Klägerin Querfurth, geboren am 4. Mai 1972, war bei der Beklagten angestellt. Der Zeuge Herr Wendelin Abel
sagte aus. Die Klägerin ist unter a.querfurth@example.org zu erreichen. Abel wurde vereidigt.
Nach § 626 Abs. 1 BGB (vgl. BGH, Urteil vom 3. April 2008 - I ZR 12/05, NJW 2008, 2110) war die Kündigung unwirksam.
"""


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        ("Anneliese Querfurth", "PERSON"),
        ("Querfurth", "PERSON"),
        ("Wendelin Abel", "PERSON"),
        ("Abel", "PERSON"),
        ("4. Mai 1972", "BIRTH_DATE"),
        ("Weender Landstraße 12, 37073 Göttingen", "ADDRESS"),
        ("a.querfurth@example.org", "EMAIL"),
        ("4 O 117/19", "CASE_NUMBER"),
    ],
)
def test_german(detector: Detector, piece: str, kind: str) -> None:
    spans = detector.detect(GERMAN)
    assert kinds(GERMAN, spans).get(piece) == kind
    assert hidden(GERMAN, spans, piece)


def test_a_german_company_is_hidden(detector: Detector) -> None:
    assert hidden(GERMAN, detector.detect(GERMAN), "Süßwaren Brinkmann GmbH")


@pytest.mark.parametrize("piece", ["§ 626 Abs. 1 BGB", "I ZR 12/05, NJW 2008, 2110", "Klägerin", "Beklagte"])
def test_german_law_stays(detector: Detector, piece: str) -> None:
    assert piece in mask_text(GERMAN, detector.detect(GERMAN)).text


def test_a_document_in_two_languages_is_read_by_the_rules_of_both(detector: Detector) -> None:
    text = JUDGMENT + "\n\n" + CHINESE
    found = kinds(text, detector.detect(text))
    assert found["Margaret Thornbury"] == found["赵立强"] == "PERSON"
    assert found["13800138000"] == "PHONE"


def test_the_same_findings_come_from_rules_and_a_learned_detector_as_one_span(detector: Detector) -> None:
    rules = kinds(JUDGMENT, Detector.load("rules").detect(JUDGMENT))
    both = kinds(JUDGMENT, detector.detect(JUDGMENT))
    assert rules["(785) 555-0142"] == both["(785) 555-0142"] == "PHONE"
    assert "Margaret Thornbury" in rules.keys() & both.keys()


@pytest.mark.parametrize(
    "noise",
    ["QUJD" * 200, "=" * 500, " " * 1000 + "x", "." * 300],
    ids=["encoded image", "line", "spaces", "leaders"],
)
def test_long_runs_are_skipped_and_offsets_stay(detector: Detector, noise: str) -> None:
    text = f"The witness, Mr Osgood Pell, spoke.\n{noise}\nOsgood Pell left.\n"
    assert [text[s.start : s.end] for s in detector.detect(text)] == ["Osgood Pell", "Osgood Pell"]


def test_rules_only() -> None:
    spans = Detector.load("rules").detect(JUDGMENT)
    assert hidden(JUDGMENT, spans, "Margaret Thornbury")
    assert all(span.recognizer != "LearntRecognizer" for span in spans)


class WordTagger:
    """A tagger that finds every occurrence of one word."""

    def __init__(
        self,
        word: str,
        kind: str = "MISC",
        score: float = 1.0,
        languages: frozenset[str] | None = None,
        insists: bool = False,
    ) -> None:
        self.languages = languages
        self.insists = insists
        self._word, self._kind, self._score = word, kind, score

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        return [
            [Span(m.start(), m.end(), self._kind, self._score, "x") for m in re.finditer(self._word, text)]
            for text in texts
        ]


def test_a_learned_detector_of_the_user() -> None:
    text = "so zig and Vane v. Ostler, 512 U.S. 477 (1994), zig " * 300
    (found,) = Detector(WordTagger("zig")).detect_many([text])
    assert found.served
    assert [text[s.start : s.end] for s in found.spans] == ["zig"] * 600


def test_a_name_beside_a_title_stays_though_a_model_finds_it_too_and_it_is_short() -> None:
    text = "It was a counter-offer. Ms. Wu could be reached at noon."
    greedy = WordTagger("Wu", "PERSON", 0.99, frozenset({"en"}))
    assert [text[s.start : s.end] for s in Detector(greedy).detect(text)] == ["Wu"]


def test_an_address_that_a_rule_finds_too_is_no_company_within_it() -> None:
    text = "I, Ada Roe, residing at 7113 Jessica Union, Daviston, CT 72805, say so."
    greedy = WordTagger("7113 Jessica Union, Daviston, CT 72805", "ADDRESS", 0.999, frozenset({"en"}))
    found = [(s.type, text[s.start : s.end]) for s in Detector(greedy).detect(text)]
    assert ("ADDRESS", "7113 Jessica Union, Daviston, CT 72805") in found


def test_a_learned_detector_touches_no_citation() -> None:
    greedy = WordTagger(".+", "CASE_NUMBER", languages=frozenset({"en"}))
    assert Detector(greedy).detect("Vane v. Ostler, 512 U.S. 477 (1994)") == []


ENGLISH_SENTENCE = "The court heard that the zig and the zag were in the town on the same day as the trial."
GERMAN_SENTENCE = (
    "Das Gericht hörte, dass die zig und die zag am selben Tag wie der Prozess in der Stadt waren."
)


def test_the_first_tagger_that_knows_a_language_reads_it() -> None:
    first = WordTagger("zig", languages=frozenset({"en"}))
    second = WordTagger("zag", languages=frozenset({"en", "de"}))
    english, german = Detector(first, second).detect_many([ENGLISH_SENTENCE, GERMAN_SENTENCE])
    assert [ENGLISH_SENTENCE[s.start : s.end] for s in english.spans] == ["zig"]
    assert [GERMAN_SENTENCE[s.start : s.end] for s in german.spans] == ["zag"]
    assert (english.language, german.language) == ("en", "de")


@pytest.mark.parametrize(
    ("languages", "served"),
    [(frozenset({"en"}), False), (frozenset({"en", "de"}), True), (None, True)],
    ids=["another language", "this language", "its user knows"],
)
def test_a_language_is_served_by_a_tagger_that_knows_it(
    languages: frozenset[str] | None, served: bool
) -> None:
    (found,) = Detector(WordTagger("zig", languages=languages)).detect_many([GERMAN_SENTENCE])
    assert found.served == served


def test_rules_by_capitals_read_what_no_tagger_knows() -> None:
    """Beside a tagger that knows the language, a capital alone proves nothing."""
    turkish = (
        "Tanık dün mahkemede ifade verdi ve evin önünde Yavuzer Demirkan ile konuştuğunu açıkça söyledi."
    )
    tagger = WordTagger("nobody", languages=frozenset({"en", "fr"}))
    (found,) = Detector(tagger).detect_many([turkish], "tr")
    assert [turkish[s.start : s.end] for s in found.spans] == ["Yavuzer Demirkan"]
    (found,) = Detector(tagger).detect_many([turkish], "fr")
    assert found.spans == ()


def test_a_state_is_nobody() -> None:
    text = (
        "They went to the place of North Carolina in which the two had met, and they stayed for the summer."
    )
    tagger = WordTagger("of North Carolina", "PERSON", 0.9, frozenset({"en"}))
    found = Detector(tagger).detect(text)
    assert [(text[s.start : s.end], s.type) for s in found] == [("North Carolina", "LOCATION")]


def test_a_pronoun_is_no_part_of_the_name_before_it() -> None:
    text = "Oh, and tell Gaz I said hi to the other people in the flat above."
    tagger = WordTagger("Gaz I", "PERSON", languages=frozenset({"en"}))
    assert [text[s.start : s.end] for s in Detector(tagger).detect(text)] == ["Gaz"]


@pytest.mark.parametrize(
    ("score", "insists", "found"),
    [(0.6, False, []), (0.6, True, ["Harbor", "Harbor"]), (0.9, False, ["Harbor", "Harbor"])],
    ids=["a guess gives way", "an insisting detector", "a sure finding"],
)
def test_an_insisting_detector_is_not_contradicted(score: float, insists: bool, found: list[str]) -> None:
    text = "They met at Harbor, near the harbor, and left Harbor."
    tagger = WordTagger("Harbor", "PERSON", score, frozenset({"en"}), insists)
    assert [text[s.start : s.end] for s in Detector(tagger).detect(text)] == found


def test_what_a_tagger_finds_once_is_found_everywhere() -> None:
    text = "First came Osgood Pell, sworn. " + ENGLISH_SENTENCE + " Then Pell left."
    tagger = WordTagger("Osgood Pell", "PERSON", 0.9, frozenset({"en"}))
    assert [text[s.start : s.end] for s in Detector(tagger).detect(text)] == ["Osgood Pell", "Pell"]


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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("那批货最后是孟小勇拉走的，提货单上也是他签的字。", ["孟小勇"]),
        ("據葛蘭芝所述，當天是孟國勇開車載她去銀行的。", ["葛蘭芝", "孟國勇"]),
        (
            "Please find attached the draft of the agreement, with the comments of both sides, and let me know by "
            "Friday whether we can sign it.\n\n我跟葛兰芝说过好几次，让她别再去找孟小勇。\n\nKind regards",
            ["葛兰芝", "孟小勇"],
        ),
    ],
)
def test_chinese_names_without_a_cue_need_the_learned_detector(text: str, names: list[str]) -> None:
    learned, rules = (
        [(s.start, s.end) for s in Detector.load(one).detect(text)] for one in ("light", "rules")
    )
    for name in names:
        place = text.index(name), text.index(name) + len(name)
        assert place in learned
        assert place not in rules
