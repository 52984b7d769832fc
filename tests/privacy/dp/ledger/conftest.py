"""A ledger for the tests of its rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexveil.privacy.dp.ledger.ledger import Ledger, Population


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger in which the owners of judgments have a limit of epsilon 3."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.set_limit(Population("judgments", unit="owner"), 3.0, 1e-5)
    return ledger
