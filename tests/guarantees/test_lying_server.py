"""A server that answered honestly and then lies is found out before it gives one wrong label."""

from __future__ import annotations

import pytest

from benchmarks.lying_server import LIES, attack


@pytest.mark.parametrize(
    ("kind", "lie"),
    [
        ("linear", "published"),
        ("square", "equal_sizes"),
        ("square", "published"),
        ("cubic", "equal_sizes"),
        ("cubic", "published"),
    ],
)
def test_no_wrong_label_passes(kind: str, lie: str) -> None:
    """What the lie is zero at is all that a server can know: published probes, and how probes are made."""
    tally = attack(kind, LIES[lie], answers=40, documents=40)
    assert (tally.undetected, tally.caught) == (0, tally.requests)


def test_a_lie_from_the_first_request_on_passes() -> None:
    """The limit that docs/threat-model.md states: such a server serves another head, and was never better."""
    assert attack("linear", LIES["published"], answers=40, documents=40, honest_first=False).undetected > 0
