"""The second pass: leftovers in any form are found and masked; what is readable on purpose stays."""

from __future__ import annotations

import pytest

from lexveil.nlp.masking.anonymize import (
    MAX_REPAIRS,
    PIECE_SIZE,
    SECOND_PASS,
    CheckedText,
    anonymize_text,
    derive_verdict,
)
from lexveil.nlp.masking.mask import restore_text, unkeyed_seed
from lexveil.nlp.masking.policy import Policy, build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.text import Span

TOKENS = build_policy()


def checked(
    text: str,
    *found: tuple[str, str],
    policy: Policy = TOKENS,
    readable: str = "",
    served: bool = True,
    size: int = PIECE_SIZE,
    repairs: int = MAX_REPAIRS,
) -> CheckedText:
    """Mask a text in which the detector found only the first occurrence of each string."""
    spans = sorted(Span(text.index(s), text.index(s) + len(s), kind, 0.9, "T") for s, kind in found)
    kept = [(text.index(readable), text.index(readable) + len(readable))] if readable else []
    scope = Scope([DocumentNames.read(text, spans)], unkeyed_seed)
    return anonymize_text(text, spans, policy, scope, served, kept, size=size, repairs=repairs)


@pytest.mark.parametrize(
    ("kind", "name", "form"),
    [
        ("PERSON", "John Hawksmoor", "John Hawksmoor"),
        ("PERSON", "John Hawksmoor", "JOHN HAWKSMOOR"),
        ("PERSON", "John Hawksmoor", "john hawksmoor"),
        ("PERSON", "John Hawksmoor", "Hawksmoor, John"),
        ("PERSON", "John Hawksmoor", "Hawksmoor's"),
        ("PERSON", "John Hawksmoor", "Hawksmoor"),
        ("PERSON", "John Hawksmoor", "Hawksmoors"),
        ("PERSON", "John Hawksmoor", "J\u200bohn Haw\u200bksmoor"),
        ("PERSON", "John Hawksmoor", "Jоhn Hаwksmооr"),  # Cyrillic о and а
        ("PERSON", "John A. Hawksmoor", "John Hawksmoor"),
        ("PERSON", "Zoë Béart", "Zoe Beart"),
        ("PERSON", "Jean-Luc Picot", "Jean Luc Picot"),
        ("PERSON", "Angus MacQuarrie", "Mac Quarrie"),
        ("PERSON", "王小虎", "王小虎"),
        ("ORGANIZATION", "Tyrell Holdings", "TYRELL HOLDINGS"),
        ("EMAIL", "j.hawk@example.org", "J.Hawk@Example.org"),
        ("ACCOUNT_NUMBER", "DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
        ("CASE_NUMBER", "KB-2022-012086", "KB 2022 012086"),
    ],
)
def test_what_is_left_in_another_form_is_masked_as_the_same_entity(kind: str, name: str, form: str) -> None:
    outcome = checked(f"It was {name} who came. Then {form} left the house.", (name, kind))
    token = f"[{kind}_1]"
    tail = "'s" if form.endswith("'s") else ""
    assert outcome.text == f"It was {token} who came. Then {token}{tail} left the house."
    assert (outcome.verdict, outcome.reasons) == ("PASS", {"repaired": 1})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mr James Bond paid. The bond is due; a Bond of 2019 too.", ("James Bond", "PERSON")),
        ("He is a lawyer. The lawyer spoke.", ("lawyer", "DEMOGRAPHIC")),
        ("In 2020 he left; in 2020 she came.", ("2020", "DATE")),
        ("The Court sat. The court rose.", ("The Court", "ORGANIZATION")),
        ("His wife left. A wife may claim.", ("wife", "FAMILY_MEMBER")),
        ("John Hawksmoor relied on Hawksmoor v. Tyrell, 384 U.S. 436 (1966).", ("John Hawksmoor", "PERSON")),
    ],
    ids=["bond", "profession", "year", "drafting", "relation", "citation"],
)
def test_words_and_law_are_no_leaks(text: str, found: tuple[str, str]) -> None:
    outcome = checked(text, found)
    assert len(outcome.masked.replacements) == 1
    assert outcome.verdict == "PASS"


def test_rule_families_run_again() -> None:
    outcome = checked("Mail john@example.org, IBAN DE89370400440532013000, phone +49 30 901820.")
    assert outcome.text == "Mail [EMAIL_1], IBAN [ACCOUNT_NUMBER_1], phone [PHONE_1]."
    assert outcome.reasons == {"repaired": 3}
    keeping = build_policy(types={"EMAIL": "keep"})
    assert "john@example.org" in checked("Mail john@example.org now.", policy=keeping).text


def test_what_cannot_be_repaired_fails() -> None:
    outcome = checked("John Hawksmoor came. Hawksmoor left.", ("John Hawksmoor", "PERSON"), repairs=0)
    assert (outcome.verdict, outcome.reasons) == ("FAIL", {"surname": 1})


@pytest.mark.parametrize("near", ["Hawksmore", "Hawksmor", "Hawskmoor"])
def test_nearly_equal_spellings_are_for_a_human(near: str) -> None:
    outcome = checked(f"John Hawksmoor came. Then {near} left.", ("John Hawksmoor", "PERSON"))
    assert (outcome.verdict, outcome.reasons) == ("REVIEW", {"near": 1})
    assert "Hawks" not in repr(outcome)


def test_far_spellings_are_other_words() -> None:
    outcome = checked("John Hawksmoor came. Then Hawthorne left, Moor too.", ("John Hawksmoor", "PERSON"))
    assert outcome.verdict == "PASS"


def test_a_language_that_is_not_served_is_for_a_human() -> None:
    assert checked("Quid novi?", served=False).reasons == {"language": 1}
    assert checked("Quid novi?", served=False).verdict == "REVIEW"


def test_what_the_policy_keeps_is_no_leak() -> None:
    text = "Judge Ann Roper and the applicant, Mr Bob Roper, met. Roper Ltd paid."
    policy = build_policy("court-publication")
    outcome = checked(
        text, ("Ann Roper", "PERSON"), ("Bob Roper", "PERSON"), ("Roper Ltd", "ORGANIZATION"), policy=policy
    )
    assert outcome.text == "Judge Ann Roper and the applicant, Mr [PERSON_1], met. Roper Ltd paid."


def test_a_reviewers_no_stands() -> None:
    text = "Holborn met John Hawksmoor. In Holborn, Hawksmoor left."
    outcome = checked(text, ("John Hawksmoor", "PERSON"), readable="Hawksmoor.")
    assert outcome.text == "Holborn met [PERSON_1]. In Holborn, Hawksmoor left."


def test_a_generalization_reveals_nothing_that_is_masked_elsewhere() -> None:
    text = "He lived in Leeds, at 12 Mill Lane, Leeds LS1 4AB."
    address = ("12 Mill Lane, Leeds LS1 4AB", "ADDRESS")
    policy = build_policy(types={"ADDRESS": "generalise"})
    assert checked(text, address, policy=policy).text == "He lived in Leeds, at Leeds."
    outcome = checked(text, ("Leeds", "LOCATION"), address, policy=policy)
    assert outcome.text == "He lived in [LOCATION_1], at [ADDRESS_1]."


def test_pieces_are_checked_against_each_other() -> None:
    text = "First came Hawksmoor alone, it is said.\n\nThen all went home to sleep.\n\nJohn Hawksmoor stayed."
    outcome = checked(text, ("John Hawksmoor", "PERSON"), size=40)
    assert "Hawksmoor" not in outcome.text
    assert outcome.text.count("[PERSON_1]") == 2


def test_many_names_take_no_square_of_time() -> None:
    names = [
        f"{chr(65 + n % 26)}{'aeiou'[n % 5]}lb{'rstmn'[n // 5 % 5]}o{n:04d}x".replace("0", "q")
        for n in range(3000)
    ]
    text = " ".join(f"Mr John {name} spoke." for name in names)
    spans = [
        Span(m, m + len(f"John {name}"), "PERSON", 0.9, "T")
        for name in names
        for m in [text.index(f"John {name} ")]
    ]
    outcome = anonymize_text(text, spans, TOKENS, Scope([DocumentNames.read(text, spans)], unkeyed_seed))
    assert len(outcome.masked.replacements) == len(names)


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        (
            "云帆（北京）科技有限公司，即云帆(北京)科技有限公司、云帆北京科技有限公司。",
            ("云帆（北京）科技有限公司", "ORGANIZATION"),
            "[ORGANIZATION_1]，即[ORGANIZATION_1]、[ORGANIZATION_1]。",
        ),
        (
            "（2019）京0108刑初76号，即(2019)京0108刑初76号。",
            ("（2019）京0108刑初76号", "CASE_NUMBER"),
            "[CASE_NUMBER_1]，即([CASE_NUMBER_1]。",
        ),
        (
            "被告人赵立强到庭。赵立强的证言，赵立强。",
            ("赵立强", "PERSON"),
            "被告人[PERSON_1]到庭。[PERSON_1]的证言，[PERSON_1]。",
        ),
        (
            "他住海淀区。海淀区人民法院判决。",
            ("海淀区", "LOCATION"),
            "他住[LOCATION_1]。海淀区人民法院判决。",
        ),
    ],
    ids=["company", "case number", "person", "place in the name of a court"],
)
def test_leftovers_in_chinese(text: str, found: tuple[str, str], expected: str) -> None:
    outcome = checked(text, found)
    assert outcome.text == expected
    assert outcome.verdict == "PASS"


def test_a_long_run_of_letters_takes_no_square_of_time() -> None:
    outcome = checked("被告人赵立强到庭。" + "A" * 50_000 + " 赵立强。", ("赵立强", "PERSON"))
    assert outcome.text.count("[PERSON_1]") == 2


@pytest.mark.parametrize(
    ("reasons", "verdict"),
    [
        ({}, "PASS"),
        ({"repaired": 9}, "PASS"),
        ({"near": 1}, "REVIEW"),
        ({"ambiguous": 1}, "REVIEW"),
        ({"language": 1, "repaired": 2}, "REVIEW"),
        ({"reviewer": 3}, "REVIEW"),
        ({"string": 1}, "FAIL"),
        ({"surname": 1, "near": 4}, "FAIL"),
        ({"rule": 1, "language": 1}, "FAIL"),
        ({"revealed": 1}, "FAIL"),
        ({"string": 0, "near": 0}, "PASS"),
    ],
)
def test_the_verdict_follows_from_the_reasons(reasons: dict[str, int], verdict: str) -> None:
    assert derive_verdict(reasons) == verdict


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        (
            "Die Zeugin Anneliese Querfurth sagte aus. QUERFURTH, Anneliese ging.",
            ("Anneliese Querfurth", "PERSON"),
            "Die Zeugin [PERSON_1] sagte aus. [PERSON_1] ging.",
        ),
        (
            "Frau Querfurth klagt. Die Klage der Querfurths ist zulässig.",
            ("Querfurth", "PERSON"),
            "Frau [PERSON_1] klagt. Die Klage der [PERSON_1] ist zulässig.",
        ),
        (
            "Die Süßwaren Brinkmann GmbH zahlt. SÜSSWAREN BRINKMANN GMBH schuldet.",
            ("Süßwaren Brinkmann GmbH", "ORGANIZATION"),
            "Die [ORGANIZATION_1] zahlt. [ORGANIZATION_1] schuldet.",
        ),
    ],
    ids=["surname first", "genitive", "company in capitals"],
)
def test_leftovers_in_german(text: str, found: tuple[str, str], expected: str) -> None:
    outcome = checked(text, found)
    assert outcome.text == expected
    assert outcome.verdict == "PASS"


def test_two_people_are_repaired_with_their_own_numbers() -> None:
    text = "John Hawksmoor met Zoë Béart. Hawksmoor left; Béart stayed, Hawksmoor returned."
    outcome = checked(text, ("John Hawksmoor", "PERSON"), ("Zoë Béart", "PERSON"))
    first, second = "[PERSON_1]", "[PERSON_2]"
    assert outcome.text == f"{first} met {second}. {first} left; {second} stayed, {first} returned."
    assert outcome.reasons == {"repaired": 3}


def test_a_repaired_document_is_restored_exactly() -> None:
    text = "John Hawksmoor came.\r\nThen HAWKS\u200bMOOR left; john@example.org is his."
    outcome = checked(text, ("John Hawksmoor", "PERSON"))
    assert "HAWKS" not in outcome.text
    assert restore_text(outcome.text, outcome.masked.replacements) == text


def test_the_spans_of_the_second_pass_are_marked() -> None:
    outcome = checked("John Hawksmoor came. Hawksmoor left.", ("John Hawksmoor", "PERSON"))
    assert [r.recognizer for r in outcome.masked.replacements] == ["T", SECOND_PASS]
    assert len({r.entity for r in outcome.masked.replacements}) == 1


@pytest.mark.parametrize("repairs", [0, 1])
def test_the_number_of_repairs_is_limited(repairs: int) -> None:
    outcome = checked("Mail john@example.org.", repairs=repairs)
    assert outcome.verdict == ("PASS" if repairs else "FAIL")
    assert outcome.reasons == ({"repaired": 1} if repairs else {"rule": 1})


def test_a_surname_that_a_kept_person_shares_needs_review() -> None:
    policy = build_policy("court-publication")
    text = "Before: Judge Ann Roper. The applicant, Mr Bob Roper, spoke. Roper wept."
    outcome = checked(text, ("Ann Roper", "PERSON"), ("Bob Roper", "PERSON"), policy=policy)
    assert outcome.text == "Before: Judge Ann Roper. The applicant, Mr [PERSON_1], spoke. Roper wept."
    assert (outcome.verdict, outcome.reasons) == ("REVIEW", {"ambiguous": 1})


def test_a_reviewer_may_keep_a_certain_finding_but_the_document_needs_review() -> None:
    outcome = checked("Mail press@example.org.", readable="press@example.org")
    assert outcome.text == "Mail press@example.org."
    assert (outcome.verdict, outcome.reasons) == ("REVIEW", {"reviewer": 1})


def test_each_near_spelling_is_reported_once() -> None:
    outcome = checked("John Hawksmoor came. Hawksmor left; Hawksmor wept.", ("John Hawksmoor", "PERSON"))
    assert outcome.reasons == {"near": 1}


@pytest.mark.parametrize(
    "other",
    ["hawksmor", "Hawk", "Hawksmoors", "The Haksmoors have haksmoors"],
    ids=["lower case", "short", "plural", "a word of the document"],
)
def test_what_is_not_a_near_spelling(other: str) -> None:
    outcome = checked(f"John Hawksmoor came. {other} too.", ("John Hawksmoor", "PERSON"))
    assert "near" not in outcome.reasons


def test_a_citation_excuses_a_name_but_not_an_address() -> None:
    text = "John Hawksmoor relied on Hawksmoor v. Tyrell, 384 U.S. 436 (1966), see john@example.org."
    outcome = checked(text, ("John Hawksmoor", "PERSON"))
    assert "Hawksmoor v. Tyrell, 384 U.S. 436 (1966)" in outcome.text
    assert "john@example.org" not in outcome.text


def test_reasons_of_all_pieces_are_summed() -> None:
    text = "John Hawksmoor came home late.\n\nThen Hawksmoor left again.\n\nHawksmoor, he is called."
    outcome = checked(text, ("John Hawksmoor", "PERSON"), size=36, served=False)
    assert outcome.reasons == {"language": 1, "repaired": 2}
    assert outcome.text.count("[PERSON_1]") == 3


def test_a_kept_span_near_a_leftover_stays() -> None:
    policy = build_policy(types={"MISC": "keep"})
    text = "The file Hawksmoor 12 of John Hawksmoor."
    outcome = checked(text, ("John Hawksmoor", "PERSON"), ("file", "MISC"), policy=policy)
    assert outcome.text == "The file [PERSON_1] 12 of [PERSON_1]."


@pytest.mark.parametrize("control", ["\x1f", "\x1f\x1f", "\x1e"])
def test_a_control_character_of_the_text_is_not_taken_for_a_replacement(control: str) -> None:
    text = (
        f"00{control}Leeds Hawksmoor. {control} Quarrie met Ann Hawksmoor{control} in Leeds. {control} Mill."
    )
    done = checked(text, ("Ann Hawksmoor", "PERSON"))
    assert "Hawksmoor" not in done.text
    assert restore_text(done.text, done.masked.replacements) == text
