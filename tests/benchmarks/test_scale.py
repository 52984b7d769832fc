"""What is counted as lost to the engine, and what a benchmark prints."""

from __future__ import annotations

import pytest

from benchmarks.contract import Figure, Outcome, figure_lines
from benchmarks.scale_jobs import starved_seconds


@pytest.mark.parametrize(
    ("begin", "end", "at_pool", "workers", "lost"),
    [
        (0.0, 10.0, [(0.0, 10.0), (0.0, 10.0)], 2, 0.0),
        # Both workers wait a second for their first shards.
        (0.0, 11.0, [(1.0, 11.0), (1.0, 11.0)], 2, 1.0),
        # One of two waits: half of the stage's capacity for a second.
        (0.0, 10.0, [(0.0, 10.0), (1.0, 10.0)], 2, 0.5),
        # The last shard alone: one worker idles since nothing is left, which is no fault of the engine.
        (0.0, 20.0, [(0.0, 10.0), (0.0, 10.0), (0.0, 20.0)], 2, 0.0),
        # The last result comes back late.
        (0.0, 12.0, [(0.0, 10.0)], 2, 2.0),
        # A gap between two shards of one worker.
        (0.0, 11.0, [(0.0, 5.0), (6.0, 11.0)], 1, 1.0),
        (0.0, 3.0, [], 2, 3.0),
    ],
)
def test_starved_seconds(
    begin: float, end: float, at_pool: list[tuple[float, float]], workers: int, lost: float
) -> None:
    assert starved_seconds(begin, end, at_pool, workers) == pytest.approx(lost)


def test_the_object_that_a_benchmark_prints() -> None:
    figures = {"speed": Figure(2.0, 1.5, "x", "higher"), "loss": Figure(0.2, 0.1, "share", "lower")}
    found = Outcome(figures, {"documents": 3}, [7]).to_json()
    assert found.keys() == {"figures", "machine", "n", "seeds", "details"}
    assert found["figures"]["speed"] == {"value": 2.0, "target": 1.5, "unit": "x", "better": "higher"}
    met, missed = figure_lines(found["figures"])
    assert met.endswith("met")
    assert missed.endswith("MISSED")
