"""In which order a page is read. All names are invented."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable

import pytest
from reportlab.pdfgen.canvas import Canvas

Drawn = tuple[float, float, str] | tuple[float, float, str, float]
LEFT = (
    "The claimant Marianne", "Oberholzer of 12 Elm", "Street says the rent", "was paid in full and",
    "asks for the deposit.", "She has no other claim.",
)  # fmt: skip
RIGHT = (
    "The defendant Gregor", "Lindqvist denies this", "and says that three", "months are still owed",
    "under the lease made", "on 4 May 2019 in Bath.",
)  # fmt: skip
THIRD = (
    "The court heard both", "parties and Aurelia", "Zwetschgenbaum, who", "collects the rent and",
    "keeps the books since", "the summer of 2011.",
)  # fmt: skip


def pages(*content: Iterable[Drawn]) -> bytes:
    """A PDF of pages with lines at given places: (x, y, text) or (x, y, text, size)."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    for lines in content:
        for x, y, text, *size in lines:
            canvas.setFont("Helvetica", size[0] if size else 11)
            canvas.drawString(x, y, text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def column(x: float, lines: Iterable[str], top: float = 700, step: float = 14) -> list[Drawn]:
    return [(x, top - step * number, line) for number, line in enumerate(lines)]


def by_rows(*columns: list[Drawn]) -> list[Drawn]:
    return [line for row in zip(*columns, strict=True) for line in row]


@pytest.mark.parametrize("order", ["rows", "columns", "shuffled"])
@pytest.mark.parametrize("shift", [0, 5])
def test_each_column_is_read_as_a_whole(read: Callable[..., str], order: str, shift: float) -> None:
    columns = [column(60, LEFT), column(230, RIGHT, 700 - shift), column(400, THIRD)]
    lines = [line for lines in columns for line in lines]
    if order == "rows":
        lines = by_rows(*columns)
    elif order == "shuffled":
        random.Random(3).shuffle(lines)
    title: Drawn = (60, 740, "Decision of the county court at Bath on the claim for a deposit of 900 pounds")
    foot: Drawn = (
        60,
        560,
        "The claim is allowed with costs, and the defendant has leave to appeal until May.",
    )
    text = read("a.pdf", pages([title, *lines, foot]))
    assert text.split("\n") == [title[2], *LEFT, *RIGHT, *THIRD, foot[2]]


def test_a_table_is_read_by_rows_however_it_is_drawn(read: Callable[..., str]) -> None:
    names = [f"Tenant {name}" for name in ("Abernathy", "Brandstaetter", "Quillfeather", "Oduya", "Rehák")]
    sums = [f"{number},450.00" for number in range(3, 8)]
    flats = [f"Flat {number}" for number in range(1, 6)]
    columns = [column(60, flats), column(160, names), column(400, sums)]
    expected = ["\t".join(row) for row in zip(flats, names, sums, strict=True)]
    for lines in (by_rows(*columns), [line for cells in columns for line in cells]):
        assert read("a.pdf", pages(lines)).split("\n") == expected


def test_the_parties_of_a_caption_are_read_apart_from_its_number(read: Callable[..., str]) -> None:
    parties = ["MARIANNE OBERHOLZER and", "RUFUS ABERNATHY,", "Plaintiffs,", "v.", "GREGOR LINDQVIST,"]
    number = ["Appeal from the District", "Court for the Northern", "District of Nowhere.", "", "No. 5-0595"]
    lines = by_rows(column(60, parties), column(300, [")"] * 5), column(312, number))
    text = read("a.pdf", pages([(60, 730, "In the court of appeal"), *lines, (60, 500, "ORDER")]))
    assert text.split("\n") == [
        "In the court of appeal", *parties, "Appeal from the District", "Court for the Northern",
        "District of Nowhere.", "No. 5-0595", "ORDER",
    ]  # fmt: skip


@pytest.mark.parametrize("apart", [True, False])
def test_line_numbers_of_pleading_paper_are_left_out(read: Callable[..., str], apart: bool) -> None:
    words = ("the", "tenant", "Marianne", "Oberholzer", "paid", "rent", "of", "a", "flat", "in", "Bath")
    body = [" ".join(random.Random(line).sample(words, 8)) for line in range(28)]
    numbers = [(60 if number > 9 else 66, 700 - 20 * n, str(number)) for n, number in enumerate(range(1, 29))]
    lines: list[Drawn] = [
        (90, 700 - 20 * number, line) for number, line in enumerate(body) if number % 9 != 8
    ]
    drawn = [*numbers, *lines] if apart else sorted([*numbers, *lines], key=lambda line: (-line[1], line[0]))
    text = read("a.pdf", pages(drawn))
    assert text.split("\n") == [line[2] for line in lines]


def test_a_numbered_list_keeps_its_numbers(read: Callable[..., str]) -> None:
    items = [f"{number} Invoice of the builder Quillfeather;" for number in range(1, 25)]
    assert read("a.pdf", pages(column(60, items))).split("\n") == items


def test_running_heads_and_page_numbers_do_not_cut_a_sentence(read: Callable[..., str]) -> None:
    body = [
        ["The court heard the witness Marianne", "Oberholzer and found that the defendant Gregor"],
        ["Lindqvist had signed the lease. It was", "valid from the first of May, as the clerk Aurelia"],
        ["Zwetschgenbaum confirmed. The claim is allowed."],
    ]
    content = [
        [(60, 800, "Oberholzer v. Lindqvist"), *column(60, lines), (290, 40, f"- {number} -")]
        for number, lines in enumerate(body, 7)
    ]
    text = read("a.pdf", pages(*content))
    assert "Gregor\nLindqvist had signed" in text
    assert "Aurelia\nZwetschgenbaum confirmed" in text
    assert text.count("Oberholzer v. Lindqvist") == 3
    assert all(f"- {number} -" in text.split("\n") for number in (7, 8, 9))


def test_a_page_that_begins_a_new_sentence_follows_its_head(read: Callable[..., str]) -> None:
    content = [
        [
            (60, 800, "Case 1:20-cv-00001 Document 3 Filed 01/02/20"),
            *column(60, [text]),
            (290, 40, str(number)),
        ]
        for number, text in enumerate(["The first page ends here.", "The second page ends here."], 1)
    ]
    assert read("a.pdf", pages(*content)).split("\n\n") == [
        "Case 1:20-cv-00001 Document 3 Filed 01/02/20", "The first page ends here.", "1",
        "Case 1:20-cv-00001 Document 3 Filed 01/02/20", "The second page ends here.", "2",
    ]  # fmt: skip


def test_footnotes_follow_the_text_of_their_page(read: Callable[..., str]) -> None:
    note: Drawn = (60, 90, "1 See the letter of Rufus Abernathy.", 8)
    first = [
        note,
        *column(60, ["The lease was signed by Marianne", "Oberholzer, and the witness Gregor"], 300),
    ]
    second = column(60, ["Lindqvist saw it. Nothing else was", "said about it in court."], 300)
    text = read("a.pdf", pages(first, second))
    assert "Gregor\nLindqvist saw it." in text
    assert text.index("said about it") < text.index("Rufus Abernathy")
    assert read("a.pdf", pages([*first[:2], (60, 286, "Oberholzer.")])).endswith("Oberholzer.\n\n" + note[2])


def test_a_head_that_is_drawn_last_comes_first(read: Callable[..., str]) -> None:
    lines = [*column(60, ["The tenant paid.", "The landlord was heard."]), (60, 800, "County Court at Bath")]
    assert read("a.pdf", pages(lines)) == "County Court at Bath\nThe tenant paid.\nThe landlord was heard."


@pytest.mark.slow
def test_thousands_of_pieces_are_read_in_bounded_time(read: Callable[..., str]) -> None:
    rng = random.Random(1)
    lines = [(rng.uniform(0, 580), rng.uniform(0, 840), f"w{number}", 1.5) for number in range(6000)]
    assert len(read("a.pdf", pages(lines)).split()) == 6000


def test_short_lines_over_a_small_one(read: Callable[..., str]) -> None:
    lines = [(60, 700, "Order"), (60, 680, "Costs"), (60, 660, "1 see below, and the schedule of costs", 7)]
    assert read("a.pdf", pages(lines)).split("\n") == [line[2] for line in lines]


@pytest.mark.parametrize("is_page_turned", [True, False])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_text_in_any_direction_is_read_in_its_order(
    read: Callable[..., str], turn: int, is_page_turned: bool
) -> None:
    """The words of landscape pages came out backwards."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(842, 842), invariant=1)
    if is_page_turned:
        canvas.setPageRotation(turn)
    canvas.translate(421, 421)
    canvas.rotate(turn)
    for x, lines in ((-300, LEFT), (20, RIGHT)):
        for number, line in enumerate(lines):
            canvas.drawString(x, 300 - 14 * number, line)
    canvas.save()
    assert read("a.pdf", buffer.getvalue()).split("\n") == [*LEFT, *RIGHT]
