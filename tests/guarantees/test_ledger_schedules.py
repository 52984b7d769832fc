"""Promise: whatever crashes and races, no run passes the limit and no released step is uncharged."""

from __future__ import annotations

import random

import pytest

from benchmarks import ledger as schedules
from fixtures.postgres import NoPostgres, server
from lexveil.privacy.dp.ledger.chain import Store
from lexveil.privacy.dp.ledger.ledger import Ledger

CLEAN = (0, 0, 0)


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    schedules.warm()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1004))
def test_schedules_on_sqlite(seed: int) -> None:
    found = schedules.on_sqlite(seed)
    assert (found.past_limit, found.under_counts, found.broken) == CLEAN
    assert found.runs


@pytest.mark.slow
def test_schedules_on_postgresql() -> None:
    try:
        with server() as url:
            found = [schedules.on_postgres(seed, url) for seed in range(1100, 1102)]
    except NoPostgres as reason:
        pytest.skip(str(reason))
    assert [(one.past_limit, one.under_counts, one.broken) for one in found] == [CLEAN] * 2


def test_the_oracle_sees_what_it_looks_for(tmp_path) -> None:
    """A step past a run's charge, a second secret, a run that was never reserved."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    people = schedules.POPULATIONS[0]
    ledger.set_limit(people, 3.0, schedules.DELTA)
    ledger.set_limit(schedules.POPULATIONS[1], 3.0, schedules.DELTA)
    run = ledger.reserve(people, schedules.CHARGES[0], "a", b"key")
    ledger.commit(run.id, 10)
    good = {"kind": "released", "reservation": run.id, "secret": "00", "step": 9}
    assert schedules.judge(ledger, [good]) == (0, 0, 1)
    for bad in (good | {"step": 10}, good | {"secret": "01"}, good | {"reservation": "none"}):
        assert schedules.judge(ledger, [good, bad])[1] == 1


def test_the_oracle_sees_a_run_past_the_limit(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    for people in schedules.POPULATIONS:
        ledger.set_limit(people, 1.5, schedules.DELTA)
    heavy = schedules.CHARGES[-1].to_payload() | {"order": 8.0, "total": 1.0}
    key = schedules.POPULATIONS[0].key
    Store(url).write(lambda t: t.append(t.entries(), "reserve", key, heavy, "ff", "forged"))
    assert schedules.judge(ledger, [])[0] == 1


def test_jobs_repeat_with_their_seed() -> None:
    assert schedules.jobs_of(random.Random(5)) == schedules.jobs_of(random.Random(5))
