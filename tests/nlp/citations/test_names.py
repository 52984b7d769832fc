"""The name of a case, outwards from its "v."; all names are invented and marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.citations.names import find_case_names, find_name_start
from tests.nlp.recognizers.marked import mark, unmark


@pytest.mark.parametrize(
    "text",
    [
        "as in ⟦Vane v. Poe⟧, so",
        "See ⟦Vane v. Poe⟧.",
        "See ⟦Vane v Poe⟧ again",
        "⟦VANE V POE⟧ is",
        "⟦Vane vs. Poe⟧ is",
        "(see ⟦Vane v. Poe⟧)",
        "in ⟦Vane and Others v. the United Kingdom⟧, the Court",
        "⟦Vane, Roe and Others v. Poland⟧",
        "according to Vane, ⟦Roe and Others v. Poland⟧",
        "⟦Acme Widgets, Inc. v. Roe⟧, 5",
        "⟦Roe v. Acme Widgets, Inc.⟧, 5",
        "⟦Roe v. Acme Widgets Co.⟧, it",
        "⟦Roe & Vane v. Poe⟧",
        "⟦United States ex rel. Roe v. Acme⟧",
        "⟦Van der Berg v. de la Cruz⟧",
        "⟦Roe v. Commissioner of Police (No. 2)⟧ says",
        "⟦Roe v. Secretary (Minister of Health)⟧ says",
        "⟦Roe v. Poe⟧ (1999) says",
        "⟦Roe v. Poe⟧ [1999] says",
        "⟦R v Poe⟧ is",
        "Mr Roe's 6/24/1991 letter cites ⟦Vane v. Turkey⟧, no. 1/02",
        "said Mr Roe, who left. ⟦Vane v. Poe⟧ is",
        "first\n\n⟦Vane v. Poe⟧\n\nRoe",
    ],
)
def test_both_parties_and_no_more(text: str) -> None:
    plain = unmark(text)
    assert mark(plain, [(name.start, name.end) for name in find_case_names(plain)]) == text


@pytest.mark.parametrize(
    "text",
    [
        "the plaintiff v. the defendant",
        "v. Poe",
        "Vane v.",
        "Vane v. 1234",
        "Vane\n\nv. Poe",
        "Vane vs",
        "",
    ],
)
def test_no_name(text: str) -> None:
    assert list(find_case_names(text)) == []


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Vane v. Poe", "Vane"),
        ("the Vane Company v. Poe", "Vane"),
        ("Dr. Vane v. Poe", "Vane"),
        ("Acme, Inc. v. Poe", "Acme"),
        ("A.B. v. Poe", "A.B"),
        ("R v Poe", ""),
    ],
)
def test_the_word_by_which_a_case_is_mentioned_later(text: str, short: str) -> None:
    assert [name.short for name in find_case_names(text)] == [short]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("as held in Vane", "Vane"),
        ("as held in Acme Widgets, Inc.", "Acme Widgets, Inc."),
        ("the judgment in Vane and Others", "Vane and Others"),
        ('he said "Vane', "Vane"),
        ("he left. Vane", "Vane"),
        ("nobody", ""),
        ("", ""),
    ],
)
def test_the_name_before_a_place(text: str, name: str) -> None:
    assert text[find_name_start(text, len(text)) :] == name
