"""Points of chaos: evenly over a run's time, all kinds in turn, the same for the same seed."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.chaos import KINDS, draw_points

TIMES = [0.0, 20.0, 21.0, 40.0, 60.0]  # three parts, and the end


def test_kinds_take_turns() -> None:
    points = draw_points(50, list(KINDS), TIMES, 7)
    assert Counter(point.kind for point in points) == dict.fromkeys(KINDS, 10)
    assert points == draw_points(50, list(KINDS), TIMES, 7)
    assert points != draw_points(50, list(KINDS), TIMES, 8)


def test_moments_are_even_over_the_run() -> None:
    points = draw_points(2000, list(KINDS), TIMES, 7)
    moments = [TIMES[point.parts] + point.wait for point in points]
    assert all(moment < TIMES[point.parts + 1] for moment, point in zip(moments, points, strict=True))
    assert sum(moments) / len(moments) == pytest.approx(30, abs=2)
    assert {point.parts for point in points} == {0, 1, 2, 3}
