from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.serving.server.errors import StorageFullError
from lexveil.pipeline.serving.server.leakage import LeakageLedger, LeakageLimitError, read_variations
from lexveil.pipeline.serving.server.state import ServerState
from tests.deadlines import HANGS_AFTER

LIMIT = 0.125  # of the total variation: a divergence of 2^-5
ANSWER = 2.0**-10


def test_answers_add_up_for_each_tenant_and_head(tmp_path: Path) -> None:
    ledger = LeakageLedger(ServerState(tmp_path / "endpoint").tables)
    for _ in range(32):
        ledger.charge("a", "head", ANSWER, LIMIT)
    assert ledger.compute_variation("a", "head") == pytest.approx(LIMIT)
    with pytest.raises(LeakageLimitError) as caught:
        ledger.charge("a", "head", ANSWER, LIMIT)
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (429, "leakage", 86_400)
    ledger.charge("a", "other", ANSWER, LIMIT)
    ledger.charge("b", "head", ANSWER, LIMIT)
    ledger.charge("a", "head", ANSWER, 2 * LIMIT)  # the operator has raised the limit


def test_a_restart_forgets_nothing_that_was_answered(tmp_path: Path) -> None:
    for _ in range(3):  # killed: less was answered than is written ahead
        ledger = LeakageLedger(ServerState(tmp_path / "endpoint").tables)
        for _ in range(10):
            ledger.charge("a", "head", 2.0**-20, LIMIT)
    (variation,) = read_variations(ServerState(tmp_path / "endpoint").tables).values()
    written = 2 * variation**2
    assert 30 * 2.0**-20 <= written <= 3 * 1.01 * 2.0**-5 / 100


def test_a_server_that_ends_returns_what_it_has_not_spent(tmp_path: Path) -> None:
    for _ in range(200):  # more often than there are steps
        ledger = LeakageLedger(ServerState(tmp_path / "endpoint").tables)
        ledger.charge("a", "head", 2.0**-20, LIMIT)
        ledger.close()
        ledger.close()
    (variation,) = read_variations(ServerState(tmp_path / "endpoint").tables).values()
    assert 2 * variation**2 == pytest.approx(200 * 2.0**-20)


def test_a_tenant_does_not_wait_for_another(tmp_path: Path) -> None:
    """Whoever writes holds no lock of others."""
    tables = ServerState(tmp_path / "endpoint").tables
    writing, go_on = threading.Event(), threading.Event()

    class Slow:
        transact = tables.transact

        def run(self, query: str, *values: object) -> list[Any]:
            if values[0] == "slow":
                writing.set()
                assert go_on.wait(HANGS_AFTER)
            return tables.run(query, *values)

    ledger = LeakageLedger(Slow())
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(ledger.charge, "slow", "head", ANSWER, LIMIT)
        assert writing.wait(HANGS_AFTER)
        try:
            pool.submit(ledger.charge, "a", "head", ANSWER, LIMIT).result(HANGS_AFTER)
            ledger.compute_variation("slow", "head")
        finally:
            go_on.set()
        slow.result(HANGS_AFTER)


def test_what_was_not_answered_is_returned(tmp_path: Path) -> None:
    ledger = LeakageLedger(ServerState(tmp_path / "endpoint").tables)
    for _ in range(100):
        ledger.charge("a", "head", 0.02, LIMIT)
        ledger.refund("a", "head", 0.02)
    assert ledger.compute_variation("a", "head") == 0


def test_a_full_disk_stops_only_what_cannot_be_written(tmp_path: Path) -> None:
    state = ServerState(tmp_path / "endpoint")
    ledger = LeakageLedger(state.tables)
    ledger.reserve("a", "head", 1e-6, LIMIT)
    state.tables.run("PRAGMA query_only = ON")
    for _ in range(10):
        ledger.charge("a", "head", 1e-6, LIMIT)
    with pytest.raises(StorageFullError):
        ledger.charge("b", "head", 1e-6, LIMIT)


def test_nothing_is_promised_and_nothing_charged(tmp_path: Path) -> None:
    ledger = LeakageLedger(ServerState(tmp_path / "endpoint").tables)
    ledger.charge("a", "fast", 0.0, LIMIT)
    assert ledger.compute_variation("a", "fast") == 0
