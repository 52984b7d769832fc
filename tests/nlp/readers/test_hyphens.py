"""Words divided at the end of a line. All names are invented."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lexveil.nlp.readers.hyphens import join_words


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("Anneliese Wolfen-\nberger, was heard.", "Anneliese Wolfenberger, was heard."),
        ("Wolfen\xad\nberger", "Wolfenberger"),
        ("Wolfen\u2010\n  berger", "Wolfenberger"),
        ("(„Wolfen-\nberger“)", "(„Wolfenberger“)"),
        ("Anne-\nMarie Rehák", "Anne-Marie Rehák"),
        ("OBER-\nHOLZER", "OBERHOLZER"),
        ("a sale-and-lease-\nback agreement", "a sale-and-lease-back agreement"),
        ("The long-term lease. A long-\nterm lease.", "The long-term lease. A long-term lease."),
        (
            "The landlord and the tenant: landlord-\ntenant law",
            "The landlord and the tenant: landlord-tenant law",
        ),
        ("The rent of land. The landlord paid, land-\nlord and tenant.", None),
        ("self-\nemployed", "self-employed"),
        ("Haus-\nund Grundbesitz", None),
        ("pre-\nand post-trial", None),
        ("the years 2019-\n2020", None),
        ("see www.example-\ncourt.org and a.b/c-\nd", None),
        ("a dash -\nand more", None),
        ("- one\n- two", None),
        ("张三-\n李四", None),
    ],
)
def test_a_hyphen_at_the_end_of_a_line(text: str, joined: str | None) -> None:
    if "landlord paid" in text:
        joined = text.replace("land-\nlord", "landlord")
    assert join_words(text) == (text if joined is None else joined)


def test_plain_text_and_pdf_have_one_spelling_of_a_name(read: Callable[..., str]) -> None:
    text = "The witness Anneliese Wolfen-\r\nberger was heard.\r\nWolfenberger said nothing."
    assert read("a.txt", text.encode()).count("Wolfenberger") == 2


def test_many_hyphens_are_joined_in_bounded_time() -> None:
    assert join_words("a-\nb" * 50_000).count("\n") < 50_000
    assert join_words("x" * 200_000 + "-\n" + "y" * 200_000).count("\n") == 0
