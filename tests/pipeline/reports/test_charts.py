"""Drawings of pages: what they show stands in them, and nothing of it reaches over their border."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.pipeline.reports.charts import (
    WIDTH,
    Axis,
    Panel,
    draw_legend,
    draw_line,
    draw_rows,
    draw_scale,
    list_ticks,
    render,
)

HOSTILE = """<script>alert(1)</script>'"--><img src=//evil.example>$x_{1}$&amp;"""
finite = st.floats(-1e3, 1e3)


@given(finite, st.floats(1e-3, 1e9), st.integers(1, 8))
def test_ticks_are_few_evenly_spaced_and_told_apart(low: float, length: float, most: int) -> None:
    axis = Axis(low, low + length, 0.0, 1.0)
    ticks = list_ticks(axis, most)
    assert len(ticks) <= most + 1
    assert all(-1e-6 <= axis.at(value) <= 1 + 1e-6 for value, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)
    assert all(float(text.replace(",", "")) == pytest.approx(value, abs=1e-9) for value, text in ticks)
    steps = [above - below for (below, _), (above, _) in pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6, abs=1e-9) if steps else len(ticks) < 2


@pytest.mark.parametrize(
    ("high", "texts"),
    [
        (1.0, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (50.0, ["0", "20", "40"]),
        (12_345.0, ["0", "5,000", "10,000"]),
    ],
)
def test_ticks_are_round(high: float, texts: list[str]) -> None:
    assert [text for _, text in list_ticks(Axis(0.0, high, 0.0, 1.0))] == texts


def test_a_logarithmic_axis_shows_powers_of_ten() -> None:
    axis = Axis(0.7, 7_500.0, 0.0, 1.0, logarithmic=True)
    assert [text for _, text in list_ticks(axis)] == ["1", "10", "100", "1,000"]
    places = [axis.at(value) for value, _ in list_ticks(axis)]
    assert places[1] - places[0] == pytest.approx(places[3] - places[2])
    assert axis.at(0.0) == 0.0  # nothing is drawn below the axis


def test_bars_are_as_long_as_their_values_and_stay_inside() -> None:
    parts, axis, height = draw_rows(
        ["a", "b" * 40, HOSTILE], [1.0, 4.0, 0.0], ["1", "4", "0"], ["red"] * 3, 5.0
    )
    drawing = etree.fromstring(render(height, HOSTILE, parts))
    assert drawing.get("aria-label") == HOSTILE
    bars = [{name: float(bar.get(name) or "") for name in ("x", "y", "width", "height")}
            for bar in drawing.iter("rect")]  # fmt: skip
    assert bars[1]["width"] == pytest.approx(4 * bars[0]["width"], abs=0.05)
    assert bars[2]["width"] == 0
    assert all(bar["x"] == pytest.approx(axis.start, abs=0.01) for bar in bars)
    assert all(bar["x"] + bar["width"] <= WIDTH and bar["y"] + bar["height"] <= height for bar in bars)
    texts = [text.text for text in drawing.iter("text")]
    assert texts == ["a", "1", "b" * 25 + "…", "4", HOSTILE[:25] + "…", "0"]


def test_a_line_passes_through_its_points() -> None:
    panel = Panel(Axis(0.0, 10.0, 50.0, 450.0), Axis(0.0, 1.0, 100.0, 0.0))
    line = etree.fromstring(draw_line(panel.at([(0, 0), (5, 0.5), (10, 1)]), "red", dash="4 3"))
    assert line.get("points") == "50,100 250,50 450,0"
    texts = [part for part in draw_scale(panel, HOSTILE) if part.startswith("<text")]
    assert [etree.fromstring(text).text for text in texts] == [
        HOSTILE,
        "0.00",
        "0.25",
        "0.50",
        "0.75",
        "1.00",
    ]


def test_a_long_legend_takes_several_rows() -> None:
    short, low = draw_legend([("ingest", "red", 1.0)])
    long, high = draw_legend([(f"a stage of a long name {n}", "red", 1.0) for n in range(9)])
    assert (len(short), len(long)) == (2, 18)
    assert high > low
    assert draw_legend([]) == ([], 0.0)
    squares = [etree.fromstring(part) for part in long[::2]]
    assert len({(square.get("x"), square.get("y")) for square in squares}) == 9
    assert all(float(square.get("x") or "") < WIDTH for square in squares)
