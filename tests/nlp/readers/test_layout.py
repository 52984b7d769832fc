"""Running text with lines, cells and rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.readers.layout import TextLayout

STEPS = st.one_of(
    st.text("ab \n", max_size=4).map(lambda piece: ("write", piece)),
    st.sampled_from([("break_line", 1), ("break_line", 2), ("open_cell",), ("close_cell",), ("close_row",)]),
)


def build(*steps: tuple[object, ...]) -> str:
    layout = TextLayout()
    for name, *arguments in steps:
        getattr(layout, str(name))(*arguments)
    return layout.getvalue()


def cell(*pieces: str) -> list[tuple[object, ...]]:
    return [("open_cell",), *(("write", piece) for piece in pieces), ("close_cell",)]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], ""),
        ([("write", "one"), ("write", "two")], "onetwo"),
        ([("write", "one"), ("break_line",), ("break_line",), ("write", "two")], "one\ntwo"),
        ([("write", "one"), ("break_line", 2), ("break_line",), ("write", "two")], "one\n\ntwo"),
        ([("break_line", 2), ("write", "one"), ("break_line", 2)], "one"),
        ([("write", "one "), ("break_line",), ("write", " two")], "one\n two"),
        ([("write", ""), ("break_line",), ("write", "")], ""),
        ([*cell("a"), *cell("b"), ("close_row",), *cell("c"), *cell("d"), ("close_row",)], "a\tb\nc\td"),
        ([*cell("a"), *cell(), *cell("c"), ("close_row",)], "a\t\tc"),
        ([*cell("a"), ("close_row",), *cell(), *cell("b"), ("close_row",), ("write", "c")], "a\n\tb\nc"),
        ([*cell(), *cell("b"), ("close_row",), ("write", "after")], "b\nafter"),
        ([*cell("a"), *cell(), *cell(), ("close_row",), ("write", "after")], "a\nafter"),
    ],
)
def test_separators_stand_only_between_texts(steps: list[tuple[object, ...]], text: str) -> None:
    assert build(*steps) == text


def test_an_empty_line_within_a_cell_does_not_break_its_row() -> None:
    blank = [("open_cell",), ("break_line",), ("close_cell",)]
    assert build(*cell("a"), *blank, *cell("c"), ("close_row",)) == "a\t\tc"


def test_a_paragraph_before_a_table_keeps_its_distance() -> None:
    assert build(("write", "before"), ("break_line", 2), *cell("a"), ("close_row",)) == "before\n\na"


@given(st.lists(STEPS, max_size=30))
def test_no_step_loses_or_repeats_text(steps: list[tuple[object, ...]]) -> None:
    written = "".join(str(step[1]) for step in steps if step[0] == "write")
    text = build(*steps)
    assert "".join(text.split()) == "".join(written.split())
    assert text.endswith(("\t", "\n")) <= written.endswith("\n")


@given(st.lists(STEPS, max_size=30))
def test_a_space_is_superfluous_exactly_after_a_separator_or_a_space(steps: list[tuple[object, ...]]) -> None:
    layout = TextLayout()
    for name, *arguments in steps:
        getattr(layout, str(name))(*arguments)
    was_at_start = layout.is_at_line_start()
    before = layout.getvalue()
    layout.write("x")
    follows = layout.getvalue()[:-1]
    assert was_at_start == (not before or follows.endswith((" ", "\n", "\t")) or follows != before)
