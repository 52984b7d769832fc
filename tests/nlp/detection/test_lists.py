"""Strings that an office always wants masked, and strings that it never wants masked."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.masking.anonymize import anonymize_text
from lexveil.nlp.masking.mask import unkeyed_seed
from lexveil.nlp.masking.policy import Policy, build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.recognizers.own_rules import OwnRules

COURT = build_policy("court-publication")


def mask(
    text: str,
    policy: Policy | None = None,
    deny: dict[str, tuple[str, ...]] | None = None,
    allow: tuple[str, ...] = (),
) -> str:
    rules = OwnRules(deny=tuple((deny or {}).items()), allow=allow)
    (found,) = Detector(own=rules).detect_many([text])
    scope = Scope([DocumentNames.read(text, found.spans)], unkeyed_seed)
    checked = anonymize_text(text, found.spans, policy or Policy(), scope, found.served)
    assert checked.verdict == "PASS", checked.reasons
    return checked.text


@pytest.mark.parametrize(
    ("string", "text", "is_masked"),
    [
        ("blue falcon", "Operation Blue\n Falcon ended.", True),
        ("blue falcon", "Operation BLUE FALCON ended.", True),
        ("blue falcon", "Two blue falcons ended.", False),
        ("Mark", "He met Mark there.", True),
        ("Mark", "He met MARK there.", True),
        ("Mark", "He made a mark there.", False),
        ("Mark", "He met Marks there.", False),
        ("M\u00fcller-Kern", "He met Mu\u0308ller\u2010Kern there.", True),
        ("istanbul", "He met \u0130STANBUL there.", True),
        ("agent_", "He met agent_ there.", True),
        ("\u5b5f\u52c7", "\u8054\u7cfb\u4eba\u5b5f\u52c7\u5df2\u5230\u3002", True),
    ],
)
def test_a_listed_string_is_masked_as_whole_words(string: str, text: str, is_masked: bool) -> None:
    assert ("[PERSON_1]" in mask(text, deny={"PERSON": (string,)})) == is_masked


@pytest.mark.parametrize(
    ("string", "text"),
    [
        ("Quillgold", "被告在{}唱歌,后在宏图{}见面。"),
        ("KTV宏图", "被告在{}唱歌,后在{}见面。"),
        ("宏图KTV", "被告在{}唱歌,后在{}见面。"),
        ("A公司", "被告在{}唱歌,后在{}见面。"),
    ],
)
def test_a_listed_string_is_masked_between_letters_that_need_no_spaces(string: str, text: str) -> None:
    masked = mask(text.format(string, string), deny={"ORGANIZATION": (string,)})
    assert masked == text.format("[ORGANIZATION_1]", "[ORGANIZATION_1]")


def test_it_is_masked_in_law_and_in_what_a_policy_keeps() -> None:
    law = "See Miranda v. Arizona, 384 U.S. 436 (1966)."
    assert mask(law) == law
    assert "Miranda" not in mask(law, deny={"PERSON": ("Miranda",)})
    company = "The claim of Falcon Holdings Ltd failed."
    assert mask(company, COURT) == company
    assert mask(company, COURT, deny={"ORGANIZATION": ("Falcon",)}) != company


def test_an_allowed_string_stays() -> None:
    text = "Mr John Roe, info@court.example and x@y.example."
    assert mask(text, allow=("info@court.example",)) == "Mr [PERSON_1], info@court.example and [EMAIL_1]."
    assert mask(text, allow=("John Roe",)).startswith("Mr John Roe, [EMAIL_1]")


@pytest.mark.parametrize(
    ("text", "allow"),
    [
        ("Mr John Roe came. Mr Roe left.", "Roe"),
        ("Mr Peter Roe came. Mr John Roe left.", "John Roe"),
        ("Mr John Roe came. Write to Roe Ltd at once.", "Roe Ltd"),
    ],
)
def test_it_frees_no_part_of_a_masked_person(text: str, allow: str) -> None:
    """An allowed string that a masked person's name shares a word with is masked in that document."""
    masked = mask(text, allow=(allow,))
    assert "Roe" not in masked


def test_a_name_in_another_piece_takes_the_freedom_back() -> None:
    text = "Mr Roe came."
    rules = OwnRules(allow=("Roe",))
    (found,) = Detector(own=rules).detect_many([text])
    other = "Mr John Roe came."
    (whole,) = Detector(own=rules).detect_many([other])
    assert (
        anonymize_text(
            text, found.spans, Policy(), Scope([DocumentNames.read(text, found.spans)], unkeyed_seed)
        ).text
        == text
    )
    names = [DocumentNames.read(text, found.spans), DocumentNames.read(other, whole.spans)]
    assert "Roe" not in anonymize_text(text, found.spans, Policy(), Scope(names, unkeyed_seed)).text
