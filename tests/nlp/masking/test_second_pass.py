"""The second look: what is left in any form is found and masked; what stays on purpose stays."""

from __future__ import annotations

import pytest

from lexveil.nlp.masking.anonymize import CheckedText, anonymize_text
from lexveil.nlp.masking.mask import unkeyed_seed
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
    **limits: int,
) -> CheckedText:
    """What becomes of `text` of which the detector found only the first place of each string."""
    spans = sorted(Span(text.index(s), text.index(s) + len(s), kind, 0.9, "T") for s, kind in found)
    kept = [(text.index(readable), text.index(readable) + len(readable))] if readable else []
    scope = Scope([DocumentNames.read(text, spans)], unkeyed_seed)
    return anonymize_text(text, spans, policy, scope, served, kept, **limits)


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


def test_a_language_that_nobody_serves_is_for_a_human() -> None:
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


def test_a_generalisation_reveals_nothing_that_is_masked_elsewhere() -> None:
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
