"""Names that the first pass missed: their documents need review, and the place is told."""

from __future__ import annotations

import pytest

from lexveil.nlp.masking.anonymize import CheckedText, anonymize_text
from lexveil.nlp.masking.mask import unkeyed_seed
from lexveil.nlp.masking.policy import build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.recognizers.scores import ALLOWED
from lexveil.nlp.text import Span


def check(
    text: str, *people: str, language: str = "en", served: bool = True, readable: str = ""
) -> CheckedText:
    """Mask a text in which the detector found the first occurrence of each of `people`."""
    spans = sorted(
        Span(text.index(name), text.index(name) + len(name), "PERSON", 0.9, "T") for name in people
    )
    scope = Scope([DocumentNames.read(text, spans)], unkeyed_seed)
    kept = [(text.index(readable), text.index(readable) + len(readable))] if readable else []
    return anonymize_text(text, spans, build_policy(), scope, served, kept, language=language)


@pytest.mark.parametrize(
    ("text", "masked", "doubt"),
    [
        ("He met Wieslaw Quorn.", "Quorn", "Wieslaw"),  # one half of a name is masked
        ("Patient: Quorn, Orsolwyn\nGender: f", "Quorn", "Orsolwyn"),
        ("The bag belonged to Gerhard, it seems.", "", "Gerhard"),  # a first name
        ("He answered that Gerhard had left.", "", "Gerhard"),  # "that" makes no term of it
        ("The officer asked Smt. Orsolwyn to wait.", "", "Orsolwyn"),  # a title
        ("Gormlach s/o Birquan was arrested.", "", "Birquan"),
        ("Witnesses: Orsolwyn; two others", "", "Orsolwyn"),
        ("See you on Monday. Best, Orsolwyn", "", "Orsolwyn"),
        ("Mr Thomas Bond paid the bond; in court, Bond was late.", "Thomas Bond", "Bond"),
    ],
)
def test_a_word_like_a_name_asks_for_review_and_is_located(text: str, masked: str, doubt: str) -> None:
    outcome = check(text, *([masked] if masked else []))
    assert outcome.verdict == "REVIEW"
    assert [text[one.start : one.end] for one in outcome.doubts] == [doubt]
    assert outcome.doubts[-1].start == text.rindex(doubt)
    # What is certain enough to be told is masked, too; a word that may be an ordinary one is only told.
    assert (doubt in outcome.text) == (doubt == "Bond")


def test_a_surname_that_is_a_word_is_told_beside_its_first_name() -> None:
    text = "Katarzyna Bond is a tenant."
    assert [text[one.start : one.end] for one in check(text).doubts] == ["Katarzyna", "Bond"]


@pytest.mark.parametrize("name", ["Gerhard\nQuorn", "Gerhard Quorn"])
def test_both_halves_of_a_name_are_one_person(name: str) -> None:
    outcome = check(f"The witness was {name}\nand Mr Quorn left.", "Quorn")
    assert outcome.text.count("[PERSON_1]") == 3
    assert "[PERSON_2]" not in outcome.text


def test_what_is_masked_as_unseen_is_masked_everywhere() -> None:
    outcome = check("The bag of Gerhard stood there. Gerhard came.")
    assert outcome.text == "The bag of [PERSON_1] stood there. [PERSON_1] came."
    assert dict(outcome.reasons) == {"repaired": 1, "unseen": 1}


@pytest.mark.parametrize(
    "text",
    [
        "The order was sent to Mr M.P. Sharma in May.",  # M.P.: Madhya Pradesh
        "The rent was paid by Ms Cass in May.",  # Cass.: the Cour de cassation
        "The witness Orsolwyn Act 1974 was heard.",
        "The tenant called Orsolwyn Quorn Act 1974 twice.",  # one half of a name is masked
    ],
)
def test_a_name_with_a_cue_is_doubted_although_a_rule_takes_it_for_law(text: str) -> None:
    outcome = check(text, *(["Quorn"] if "Quorn" in text else []))
    assert (outcome.verdict, dict(outcome.reasons)) == ("REVIEW", {"unseen": 1})


@pytest.mark.parametrize(
    ("kept", "kind", "doubts"),
    [
        ("ann.hawksmor@mail.example", "EMAIL", [("Ann", "unseen"), ("Hawksmor", "near")]),
        ("Ann Hawksmor", "PERSON", []),
    ],
)
def test_only_names_of_kept_people_are_doubted_no_more(
    kept: str, kind: str, doubts: list[tuple[str, str]]
) -> None:
    text = "Mr Hawksmoor came. Ann Hawksmor, the tenant, left. Write to ann.hawksmor@mail.example."
    ranges = [("Hawksmoor", "PERSON", "T"), (kept, kind, ALLOWED)]
    if kind == "PERSON":
        ranges.append(("ann.hawksmor@mail.example", "EMAIL", "T"))
    spans = [Span(text.index(one), text.index(one) + len(one), of, 0.9, by) for one, of, by in ranges]
    scope = Scope([DocumentNames.read(text, spans)], unkeyed_seed)
    outcome = anonymize_text(text, spans, build_policy(), scope, language="en")
    assert [(text[one.start : one.end], one.reason) for one in outcome.doubts] == doubts


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("The Purchaser shall pay Mr Quorn the Price within ten Business Days.", "Quorn"),
        ("When Quorn left, Ambassador Birquan spoke. Then Birquan left.", "Quorn"),
        ("In Puerto Rico and in North Carolina the Grantee pays Christmas bonuses.", ""),
        ("6.2 Royalty. The Licensee pays Royalties on Net Sales.", ""),
        ("He read the Bill and the Will; the Grant was valid.", ""),
        ("Orsolwyn told Quorn that Orsolwyn knew; the Orsolwyn is a river.", "Quorn"),
        ("The rule of Gerhard v. Smith, 410 U.S. 113 (1973), applies.", ""),
        ("The rule of Ms Orsolwyn Birq v. Smith, 410 U.S. 113 (1973), applies.", ""),
        ("The Court followed Smt. Orsolwyn v. Mr Birq, AIR 1975 SC 2299, there.", ""),
        ("The rule in Mrs Orsolwyn v. Birq Ltd [1999] 2 AC 12 applies.", ""),
    ],
)
def test_terms_places_offices_and_law_are_no_names(text: str, masked: str) -> None:
    outcome = check(text, *(["Quorn"] if masked else []), *(["Birquan"] if "Birquan" in text else []))
    assert (outcome.verdict, outcome.doubts) == ("PASS", ())


def test_a_german_noun_beside_a_name_is_no_part_of_it() -> None:
    text = "Die Unterschrift Quorns ist gefälscht, wie der Kläger Quorn sagte; er sah Waltraud."
    outcome = check(text, "Quorn", language="de")
    assert [text[one.start : one.end] for one in outcome.doubts] == ["Waltraud"]


def test_a_chat_in_lower_case_asks_for_review() -> None:
    text = "i think she has it, ask ruth on monday"
    outcome = check(text, "ruth")
    assert (outcome.verdict, dict(outcome.reasons)) == ("REVIEW", {"case": 1})
    assert check("The Court sat on Monday.").verdict == "PASS"


def test_what_a_reviewer_keeps_is_doubted_no_more() -> None:
    text = "The bag belonged to Gerhard, it seems."
    assert check(text, readable="Gerhard").verdict == "PASS"


def test_the_places_hold_in_a_document_of_several_pieces() -> None:
    text = (
        "The tenant paid the rent on the first day of the month.\n" * 30
        + "The bag belonged to Gerhard, he says.\n"
    )
    spans: list[Span] = []
    scope = Scope([DocumentNames.read(text, spans)], unkeyed_seed)
    outcome = anonymize_text(text, spans, build_policy(), scope, size=200, language="en")
    assert [text[one.start : one.end] for one in outcome.doubts] == ["Gerhard"]


@pytest.mark.parametrize(
    "cue",
    [
        "the deceased {} was",
        "a man named {} was",
        "Mrs {} was",
        "Miss {} was",
        "Shri {} was",
        "Kumari {} was",
        "Herr {} war",
        "Frau {} war",
        "Monsieur {} était",
        "Señora {} estaba",
        "the minor {} was",
        "née {} in",
        "D/o {} of",
        "signed by {} here",
        "he said:\nDear {} and",
        "so long.\nRegards, {}\n",
        "the form.\nTenant: {}\n",
        "the form.\nName of the patient: {}\n",
        "das Ende.\nViele Grüße {}\n",
        "Da schlug {} ohne Vorwarnung zu, so",
    ],
)
def test_what_introduces_a_name_makes_the_next_word_one(cue: str) -> None:
    text = f"In the year {cue.format('Orsolwyn')} there at the time."
    outcome = check(text)
    assert [text[one.start : one.end] for one in outcome.doubts] == ["Orsolwyn"]
    assert outcome.reasons == {"unseen": 1}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The file is with the Ministry. In der Lage war er, und Tage danach auch.", "de"),
        ("Er hat Anspruch auf Ersatz; der Wille der Partei zählt, nicht Treu und Glauben.", "de"),
        ("Schedule: 12 Austin 204, 13 Marion 17, 14 Jackson 9", "en"),  # rows of a table
        ("The Borrower, the Lender and each Guarantor sign. Lender keeps one copy.", "en"),
        ("See http://Gerhard.example.org or write to Gerhard@example.org", "en"),
        ("THE CASE OF GERHARD AGAINST NOBODY", "en"),
        ("被告人到庭参加诉讼。", "zh"),
    ],
)
def test_what_only_resembles_a_name_passes(text: str, language: str) -> None:
    assert check(text, language=language).doubts == ()


def test_a_document_that_needs_review_anyway_is_searched_for_no_more() -> None:
    text = "Laukku kuului Gerhard Quornille."
    outcome = check(text, language="fi", served=False)
    assert (dict(outcome.reasons), outcome.doubts) == ({"language": 1}, ())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("The IBM Contact is our contact. A Quillon Contact may call.", "IBM Contact"),
        ("The Voice Detection fails. No detection, and Signal Detection is off.", "Voice Detection"),
        ("The targets are met. Gordon Target paid; the Targets are listed.", "Gordon Target"),
        (
            "Gordon Quorn signed. Quorn Edition and Gordon Quorn Edit the file. See Right to Edit.",
            "Gordon Quorn",
        ),
    ],
)
def test_what_only_a_detector_takes_for_a_name_raises_nothing(text: str, masked: str) -> None:
    assert "unseen" not in check(text, masked).reasons
    assert "ambiguous" not in check(text, masked).reasons


def test_near_spellings_are_located_too() -> None:
    text = "Mr Hawksmoor came. Later Hawksmor was on the list."
    outcome = check(text, "Hawksmoor")
    assert [(text[one.start : one.end], one.reason) for one in outcome.doubts] == [("Hawksmor", "near")]


def test_a_chinese_name_that_the_rules_missed_asks_for_review() -> None:
    text = "那批货最后是孟小勇拉走的，提货单上也是他签的字。原告葛兰芝对此没有异议。"
    outcome = check(text, "葛兰芝", language="zh")
    assert (outcome.verdict, dict(outcome.reasons)) == ("REVIEW", {"unseen": 1})
    assert [text[one.start : one.end] for one in outcome.doubts] == ["孟小勇"]


@pytest.mark.parametrize(
    "text",
    [
        "依照《中华人民共和国民事诉讼法》第一百七十七条之规定，判决驳回上诉，维持原判。",
        "双方约定马上开工，水泥由施工方自备，黄金、白银等贵重物品应当妥善保管。",
        "原告葛兰芝与被告孟小勇之间的合同合法有效，被告应当按约付款。",
    ],
)
def test_chinese_without_a_missed_name_passes(text: str) -> None:
    people = [name for name in ("葛兰芝", "孟小勇") if name in text]
    assert check(text, *people, language="zh").verdict == "PASS"
