from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.encoders.chunks import (
    MASK_WORDS,
    Border,
    DocumentChunks,
    replace_masks,
    sample_windows,
    select_evenly,
    skip_to_border,
    split_at_borders,
    split_evenly,
    split_paragraphs,
)
from lexveil.nlp.entity_types import ENTITY_TYPES


def test_every_entity_type_has_a_word() -> None:
    assert set(MASK_WORDS) == set(ENTITY_TYPES)


@given(st.sampled_from(ENTITY_TYPES), st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_of_masks_never_show(kind: str, one: int, other: int) -> None:
    assert replace_masks(f"whereas [{kind}_{one}] sues") == replace_masks(f"whereas [{kind}_{other}] sues")


def test_masks_side_by_side_stay_two_words_and_other_brackets_stay() -> None:
    assert replace_masks("被告人[PERSON_1][DATE_2]于").split() == ["被告人", "person", "date", "于"]
    assert replace_masks("[EXHIBIT_1] [sic] [PERSON]") == "[EXHIBIT_1] [sic] [PERSON]"


@given(st.lists(st.integers(0, 9), max_size=400), st.integers(1, 50))
def test_even_chunks_are_the_whole_and_equally_long(ids: list[int], size: int) -> None:
    chunks = split_evenly(ids, size)
    assert [i for chunk in chunks for i in chunk] == ids
    lengths = [len(chunk) for chunk in chunks]
    assert len(chunks) == -(-len(ids) // size)
    assert not lengths or (0 < min(lengths) <= max(lengths) <= min(size, min(lengths) + 1))


@given(st.integers(0, 500), st.integers(1, 40))
def test_a_selection_is_even_and_within_the_limit(total: int, limit: int) -> None:
    chosen = select_evenly(total, limit)
    assert len(chosen) == len(set(chosen)) == min(total, limit)
    assert chosen == sorted(chosen)
    gaps = [b - a for a, b in pairwise(chosen)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    if limit > 1 and total:
        assert (chosen[0], chosen[-1]) == (0, total - 1)


def test_windows_bound_what_is_tokenized_and_start_at_words() -> None:
    word = "agreement "
    found = sample_windows(word * 100_000, size=10, limit=4)
    assert found is not None
    assert len(found) == 4
    assert all(len(window) <= 120 and window.startswith("agreement") for window in found)
    assert sample_windows("short", size=10, limit=4) is None
    unbroken = sample_windows("诉" * 10_000, size=10, limit=4)
    assert unbroken == ["诉" * 120] * 4


def test_repr_shows_no_tokens() -> None:
    assert "4711" not in repr(DocumentChunks([[4711]], 1))


@pytest.mark.parametrize(
    ("masked", "readable"),
    [
        ("[PERSON_1] sued [ORGANIZATION_12].", "person sued organization ."),
        ("[CASE_NUMBER_1]:[DATE_2]", "case : date"),
        ("born on [BIRTH_DATE_1], [AGE_1] years", "born on birthday , age years"),
        ("原告[PERSON_1]诉被告[PERSON_2]", "原告 person 诉被告 person"),
        ("[[PERSON_1]]", "[ person ]"),
        ("[person_1] [PERSON_] [PERSON_x] [PERSON 1]", "[person_1] [PERSON_] [PERSON_x] [PERSON 1]"),
        ("[1] see [2020] EWCA Civ 1", "[1] see [2020] EWCA Civ 1"),
    ],
)
def test_masks_become_words_and_other_brackets_stay(masked: str, readable: str) -> None:
    assert " ".join(replace_masks(masked).split()) == readable


@given(st.text(alphabet="[]_PERSON DATE_12\n被告", max_size=80))
def test_no_running_number_of_a_mask_is_left(text: str) -> None:
    replaced = replace_masks(f"{text}[PERSON_7]{text}[DATE_8]")
    assert "[PERSON_7]" not in replaced
    assert "[DATE_8]" not in replaced


def test_a_text_without_masks_is_unchanged() -> None:
    text = "The lessee [sic] pays 1,000 EUR (see [12], [A_1]).\n"
    assert replace_masks(text) == text


@pytest.mark.parametrize(
    ("total", "limit", "chosen"),
    [
        (0, 5, []),
        (1, 1, [0]),
        (10, 1, [0]),
        (10, 2, [0, 9]),
        (3, 16, [0, 1, 2]),
        (16, 16, list(range(16))),
        (101, 5, [0, 25, 50, 75, 100]),
        (10**9, 3, [0, 499_999_999 + 1, 999_999_999]),
    ],
)
def test_selections(total: int, limit: int, chosen: list[int]) -> None:
    assert select_evenly(total, limit) == pytest.approx(chosen, abs=1)
    assert select_evenly(total, limit)[:1] == chosen[:1]
    assert select_evenly(total, limit)[-1:] == chosen[-1:]


@pytest.mark.parametrize(
    ("count", "size", "lengths"),
    [
        (0, 126, []),
        (1, 126, [1]),
        (126, 126, [126]),
        (127, 126, [64, 63]),
        (128, 126, [64, 64]),
        (253, 126, [84, 85, 84]),
        (5, 1, [1, 1, 1, 1, 1]),
    ],
)
def test_no_chunk_is_a_short_remainder(count: int, size: int, lengths: list[int]) -> None:
    assert sorted(map(len, split_evenly(range(count), size))) == sorted(lengths)


@pytest.mark.slow
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 9_000))
def test_windows_never_overlap_and_bound_the_work(size: int, limit: int, length: int) -> None:
    text = "".join(chr(0x20000 + index) for index in range(length))
    windows = sample_windows(text, size, limit)
    if windows is None:
        assert length <= 16 * size * limit
        return
    assert len(windows) == limit
    assert sum(map(len, windows)) <= 12 * size * limit
    starts = [text.index(window) for window in windows]
    assert all(a + len(w) <= b for a, b, w in zip(starts, starts[1:], windows, strict=False))
    assert starts[0] == 0
    assert limit == 1 or starts[-1] + len(windows[-1]) == length


def test_windows_of_prose_begin_with_a_whole_word() -> None:
    words = [f"word{index}" for index in range(50_000)]
    windows = sample_windows(" ".join(words), size=20, limit=8)
    assert windows is not None
    assert all(window.split()[0] in set(words) for window in windows)


def test_the_choice_of_windows_depends_on_the_length_alone() -> None:
    one, other = (sample_windows(letter * 20_000, 20, 4) for letter in "ab")
    assert one is not None
    assert other is not None
    assert [len(window) for window in one] == [len(window) for window in other]


def test_chunks_are_compared_by_their_tokens() -> None:
    assert DocumentChunks([[1, 2]], 1) == DocumentChunks([[1, 2]], 1) != DocumentChunks([[1, 2]], 2)
    assert repr(DocumentChunks([[1, 2]], 9)) == "DocumentChunks(total=9)"


def test_a_text_is_divided_before_its_headings_and_paragraphs() -> None:
    text = (
        "LEASE AGREEMENT\n\n1. Definitions.\nThe lease begins here and the\nsentence goes on.\nIt is due.\n"
        "2. Rent\nis 100.\n\nBackground of the case\n\n  \nThe claimant sued in the\n\nsecond year.\n(b) or\n"
        "§ 5 Kosten\n第三条 租金\n"
    )
    pieces = split_paragraphs(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert [(piece.strip(), border.name) for piece, border in pieces] == [
        ("LEASE AGREEMENT", "none"),
        ("1. Definitions.", "heading"),
        ("The lease begins here and the\nsentence goes on.", "line"),
        ("It is due.", "line"),
        ("2. Rent", "heading"),
        ("is 100.", "line"),
        ("Background of the case", "heading"),
        ("The claimant sued in the", "heading"),
        ("second year.", "paragraph"),
        ("(b) or", "heading"),
        ("§ 5 Kosten", "heading"),
        ("第三条 租金", "heading"),
    ]
    assert split_paragraphs("") == []


@given(st.text(alphabet="aB1. \n:§()", max_size=300))
def test_the_pieces_are_the_text(text: str) -> None:
    pieces = split_paragraphs(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert all(piece for piece, _ in pieces)


LENGTHS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from([*Border])), max_size=60)


@given(LENGTHS, st.integers(1, 40))
def test_chunks_at_borders_are_the_whole_and_none_is_much_shorter(
    pieces: list[tuple[int, Border]], size: int
) -> None:
    lengths, borders = [length for length, _ in pieces], [border for _, border in pieces]
    edges = split_at_borders(lengths, borders, size)
    total = sum(lengths)
    assert edges == sorted({*edges})
    assert not total or (edges[0], edges[-1]) == (0, total)
    left = total
    for start, end in pairwise(edges):
        assert 0 < end - start <= size
        assert end - start >= 0.75 * round(left / -(-left // size))
        left -= end - start


def test_a_heading_is_preferred_to_a_nearer_paragraph() -> None:
    none, line, paragraph, heading = Border
    assert split_at_borders([38, 4, 4, 46], [none, heading, paragraph, line], 50) == [0, 38, 65, 92]
    assert split_at_borders([40, 6, 46], [none, paragraph, line], 50) == [0, 40, 66, 92]
    assert split_at_borders([45, 2, 45], [none, line, line], 50) == [0, 45, 92]
    assert split_at_borders([10, 82], [none, heading], 50) == [0, 46, 92]


def test_a_window_begins_where_a_heading_is_near() -> None:
    window = "the end of it.\nMore text here.\n\n2. Rent\n" + "The rent is due. " * 9
    assert skip_to_border(window).startswith("2. Rent")
    assert skip_to_border("x" * 90 + "\n\n2. Rent\n") == "x" * 90 + "\n\n2. Rent\n"
