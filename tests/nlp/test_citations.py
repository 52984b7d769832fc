"""What is law stays readable, and is found without reading the whole text slowly."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from nlp.citations import citations


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
