"""What is law stays readable, and is found without reading the whole text slowly."""

from __future__ import annotations

import logging
import re
from itertools import pairwise

import pytest

from fixtures.citations import CitedSentence, OwnCase, citation_sentences, own_cases
from lexveil.nlp.citations import citations
from lexveil.nlp.recognizers.case_number import LexveilCaseNumberRecognizer, find_own_numbers


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "As in Doe v. Acme Widgets, Inc., 123 U.S. 456, 460 (1990), so here.",
            "Doe v. Acme Widgets, Inc., 123 U.S. 456",
        ),
        ("under 42 U.S.C. § 1983 and", "42 U.S.C. § 1983"),
        ("under 29 C.F.R. § 1614.105(a) and", "29 C.F.R. § 1614.105(a)"),
        (
            "see Poe v. Turkey [GC], no. 12345/67, § 44, 5 May 2005, and",
            "Poe v. Turkey [GC], no. 12345/67, § 44, 5 May 2005",
        ),
        (
            "Roe and Others v. the United Kingdom, nos. 1234/02 and 345/04.",
            "v. the United Kingdom, nos. 1234/02 and 345/04",
        ),
        ("ECLI:EU:C:2014:317 stands", "ECLI:EU:C:2014:317"),
        ("EU:C:2014:317 stands", "EU:C:2014:317"),
        ("R v Poe [2002] UKHL 1 applies", "R v Poe [2002] UKHL 1"),
        ("BGH, Urteil vom 12. Mai 2010 - I ZR 12/03 und", "BGH, Urteil vom 12. Mai 2010 - I ZR 12/03"),
        ("nach § 823 Abs. 1 BGB haftet", "§ 823 Abs. 1 BGB"),
        ("依照《中华人民共和国刑法》第二百六十四条之规定", "《中华人民共和国刑法》第二百六十四条"),
        ("Article 6 § 1 of the Convention applies", "Article 6 § 1 of the Convention"),
        ("the Securities Act of 1933 applies", "Securities Act of 1933"),
    ],
)
def test_kept(text: str, kept: str) -> None:
    start = text.index(kept)
    assert any(s <= start and start + len(kept) <= e for s, e in citations(text))


def _kept(sentence: CitedSentence) -> bool:
    return any(s <= sentence.start and sentence.end <= e for s, e in citations(sentence.text))


def test_ten_systems_of_law_stay_readable() -> None:
    sentences = citation_sentences()
    kept = [sentence for sentence in sentences if _kept(sentence)]
    assert len(sentences) >= 300
    assert len({sentence.system for sentence in sentences}) == 10
    assert len(kept) >= 0.99 * len(sentences)


@pytest.mark.parametrize("own", own_cases(), ids=lambda own: own.system)
def test_a_cases_own_number_is_found_and_no_citation(own: OwnCase) -> None:
    numbers = find_own_numbers(own.text)
    law = [(s, e) for s, e in citations(own.text) if not any(number in own.text[s:e] for number in numbers)]
    found = [
        (f.start, f.end)
        for f in LexveilCaseNumberRecognizer().find(own.text)
        if not any(s < f.end and f.start < e for s, e in law)
    ]
    found += [m.span() for number in numbers for m in re.finditer(re.escape(number), own.text)]
    for mention in re.finditer(re.escape(own.number), own.text):
        assert any(s <= mention.start() and mention.end() <= e for s, e in found)


@pytest.mark.parametrize(
    "text",
    [
        "according to Mr Roe. In Vane v. Turkey, no. 12345/67, the Court",
        "said Mr Roe, who left. See Vane v. Poe, 1 U.S. 2 (1801).",
        "Mr Roe's 6/24/1991 letter cites Vane v. Turkey, no. 12345/67.",
        "under the Code of Obligations and Mr Roe was heard",
        "Agent, Ambassador Roe, Head of the International Law Department",
    ],
)
def test_a_citation_takes_no_neighbour_along(text: str) -> None:
    at = text.index("Roe")
    assert not any(s <= at < e for s, e in citations(text))


@pytest.mark.parametrize(
    "unit",
    [
        "A v. ",
        "§ 1, ",
        "Vane and ",
        "(",
        "Art. 1 ",
        "1 U.S. 1, ",
        "no. 1/1, ",
        "第一条",
        "[2000] ",
        "of the ",
    ],
)
def test_no_pattern_backtracks(unit: str) -> None:
    """Twice the text takes about twice the steps: a hostile run of 40,000 characters ends at all."""
    citations(unit * (40_000 // len(unit)))


@pytest.mark.parametrize(
    "text", ["Ann Roe lives at 12 Elm Road.", "CASE OF ROE v. TURKEY\n\n(Application no. 1234/05)", ""]
)
def test_nothing_to_keep(text: str) -> None:
    assert citations(text) == []


def test_sorted_and_merged() -> None:
    ranges = citations(
        "See Doe v. Poe, 1 U.S. 1 (1800); 42 U.S.C. § 1983; Roe v. Poe, 2 U.S. 2 (1801). " * 30
    )
    assert ranges == sorted(ranges)
    assert all(a[1] <= b[0] for a, b in pairwise(ranges))


def test_no_text_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        citations("Roe v. Wade, 410 U.S. 113; id. at 5. Canary, 5 F.3d at 12.")
    assert "Canary" not in caplog.text
