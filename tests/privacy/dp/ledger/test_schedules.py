"""Schedules: runs that are announced together, composed by their loss distribution, and charged once."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from lexveil.privacy.dp import accounting, renyi, sampled_gaussian
from lexveil.privacy.dp.ledger import export as exported
from lexveil.privacy.dp.ledger.admission import BudgetExceededError, UnitConflictError
from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, LedgerConflictError, Population, ScheduleError
from lexveil.privacy.dp.ledger.verification import verify

OWNERS = Population("judgments", unit="owner")
WEEKLY = Charge(noise_multiplier=16.0, sample_rate=0.2, steps=60)
OTHER = Charge(noise_multiplier=8.0, sample_rate=0.2, steps=60)
DELTA = 1e-5


def spend_weeks(ledger: Ledger, first: int, last: int) -> None:
    for week in range(first, last):
        ledger.commit(ledger.reserve(OWNERS, WEEKLY, str(week)).id, WEEKLY.steps)


def test_a_schedule_costs_what_its_distribution_says_and_its_runs_cost_nothing_more(ledger: Ledger) -> None:
    """An independent accountant composes the same steps."""
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    schedule = ledger.announce(OWNERS, "2027", WEEKLY, 20)
    step = dp_accounting.PoissonSampledDpEvent(0.2, dp_accounting.GaussianDpEvent(16.0))
    accountant = PLDAccountant(value_discretization_interval=1e-3)
    accountant.compose(dp_accounting.SelfComposedDpEvent(step, 20 * 60))
    truth = accountant.get_epsilon(DELTA)
    spent = ledger.spent_epsilon(OWNERS, DELTA)
    assert spent == pytest.approx(truth, rel=accounting.ACCURACY)
    assert schedule.planned
    spend_weeks(ledger, 0, 20)
    assert ledger.spent_epsilon(OWNERS, DELTA) == spent
    assert ledger.account(OWNERS).count_used(schedule) == 20
    assert {run.schedule for run in ledger.reservations(OWNERS)} == {schedule.id}
    assert ledger.verify().ok


def test_one_after_the_other_the_same_runs_are_shown_as_more(ledger: Ledger, tmp_path: Path) -> None:
    ledger.announce(OWNERS, "2027", WEEKLY, 20)
    unannounced = Ledger(f"sqlite:///{tmp_path / 'other.db'}")
    unannounced.set_limit(OWNERS, 3.0, DELTA)
    spend_weeks(unannounced, 0, 20)
    assert ledger.spent_epsilon(OWNERS, DELTA) < unannounced.spent_epsilon(OWNERS, DELTA)


def test_more_runs_than_announced_are_charged_beside_it(ledger: Ledger) -> None:
    ledger.announce(OWNERS, "2027", WEEKLY, 3)
    spend_weeks(ledger, 0, 3)
    before = ledger.spent_epsilon(OWNERS, DELTA)
    spend_weeks(ledger, 3, 4)
    beside = min(renyi.rdp_to_epsilon(WEEKLY.rdp(order), order, DELTA / 2) for order in renyi.RDP_ORDERS)
    assert ledger.spent_epsilon(OWNERS, DELTA) >= WEEKLY.repeat(3).epsilon(DELTA / 2) + beside > before
    assert ledger.verify().ok


def test_the_same_key_draws_once_and_a_run_without_a_step_gives_its_place_back(ledger: Ledger) -> None:
    schedule = ledger.announce(OWNERS, "2027", WEEKLY, 1)
    run = ledger.reserve(OWNERS, WEEKLY, "week", b"key")
    assert ledger.reserve(OWNERS, WEEKLY, "week", b"other") == run
    ledger.commit(run.id, 0)
    assert ledger.account(OWNERS).count_used(schedule) == 0
    spend_weeks(ledger, 0, 1)
    assert ledger.account(OWNERS).count_used(schedule) == 1
    assert ledger.spent_epsilon(OWNERS, DELTA) == WEEKLY.epsilon(DELTA)


@pytest.mark.parametrize(
    ("run", "pays"),
    [
        (Charge(16.0001, 0.2, 60), True),
        (Charge(15.999, 0.2, 60), False),
        (Charge(17.0, 0.2, 60), False),
        (Charge(16.0, 0.19, 60), False),
        (Charge(16.0, 0.2, 59), False),
        (Charge(16.0, 0.2, 60, sampled_gaussian.Truncation(30, 100)), False),
    ],
)
def test_only_the_announced_run_is_paid_for(ledger: Ledger, run: Charge, pays: bool) -> None:
    ledger.announce(OWNERS, "2027", WEEKLY, 5)
    before = ledger.spent_epsilon(OWNERS, DELTA)
    assert (ledger.reserve(OWNERS, run, "a").schedule is not None) == pays
    assert (ledger.spent_epsilon(OWNERS, DELTA) == before) == pays


@pytest.mark.slow
def test_whatever_comes_beside_a_schedule_stays_within_the_limit(ledger: Ledger) -> None:
    """Results may decide on the other runs, so they are held by Renyi DP, with half of delta."""
    ledger.announce(OWNERS, "2027", WEEKLY, 20)

    def fill() -> None:
        for number in range(1000):
            assert ledger.reserve(OWNERS, OTHER, f"other {number}").schedule is None
            assert ledger.spent_epsilon(OWNERS, DELTA) <= 3.0

    with pytest.raises(BudgetExceededError) as refusal:
        fill()
    fitted = len(ledger.reservations(OWNERS))
    assert fitted >= 1
    assert refusal.value.spent == ledger.spent_epsilon(OWNERS, DELTA)
    last = json.loads(ledger.entries()[-1].payload)
    beside = renyi.rdp_to_epsilon(fitted * OTHER.rdp(last["order"]), last["order"], DELTA / 2)
    assert last["total"] == pytest.approx(WEEKLY.repeat(20).epsilon(DELTA / 2) + beside)
    spend_weeks(ledger, 0, 20)  # what was announced is not refused
    assert ledger.verify().ok


def test_a_schedule_after_a_charge_is_charged_by_the_filter(ledger: Ledger, tmp_path: Path) -> None:
    """A result may have decided what is in it: its distribution bounds nothing then."""
    ledger.reserve(OWNERS, OTHER, "a")
    assert not ledger.announce(OWNERS, "2027", WEEKLY, 10).planned
    other = Ledger(f"sqlite:///{tmp_path / 'other.db'}")
    other.set_limit(OWNERS, 3.0, DELTA)
    other.reserve(OWNERS, OTHER, "a")
    for week in range(10):
        other.reserve(OWNERS, WEEKLY, str(week))
    assert ledger.spent_epsilon(OWNERS, DELTA) == pytest.approx(other.spent_epsilon(OWNERS, DELTA))
    spend_weeks(ledger, 0, 10)
    assert ledger.spent_epsilon(OWNERS, DELTA) == pytest.approx(other.spent_epsilon(OWNERS, DELTA))
    assert ledger.verify().ok


def test_a_schedule_above_the_limit_is_refused_and_costs_nothing(ledger: Ledger) -> None:
    with pytest.raises(BudgetExceededError):
        ledger.announce(OWNERS, "2027", WEEKLY, 1000)
    assert ledger.spent_epsilon(OWNERS, DELTA) == 0
    with pytest.raises(ValueError, match="at least 1 run"):
        ledger.announce(OWNERS, "2027", WEEKLY, 0)


def test_a_schedule_is_announced_once_and_its_name_means_one(ledger: Ledger) -> None:
    schedule = ledger.announce(OWNERS, "2027", WEEKLY, 5)
    spent = ledger.spent_epsilon(OWNERS, DELTA)
    assert ledger.announce(OWNERS, "2027", WEEKLY, 5) == schedule
    assert ledger.spent_epsilon(OWNERS, DELTA) == spent
    for charge, runs in ((WEEKLY, 6), (OTHER, 5)):
        with pytest.raises(ScheduleError, match="another schedule of the name 2027"):
            ledger.announce(OWNERS, "2027", charge, runs)


def test_only_an_unused_schedule_is_withdrawn(ledger: Ledger) -> None:
    ledger.announce(OWNERS, "2027", WEEKLY, 5)
    ledger.withdraw(OWNERS, "2027")
    assert ledger.spent_epsilon(OWNERS, DELTA) == 0
    assert ledger.reserve(OWNERS, WEEKLY, "a").schedule is None
    ledger.announce(OWNERS, "2028", WEEKLY, 5)
    run = ledger.reserve(OWNERS, WEEKLY, "b")
    ledger.commit(run.id, 0)
    for name in ("2027", "2028"):
        with pytest.raises(ScheduleError):
            ledger.withdraw(OWNERS, name)
    assert ledger.verify().ok


def test_an_announcement_fixes_the_unit(ledger: Ledger) -> None:
    ledger.announce(OWNERS, "2027", WEEKLY, 5)
    documents = Population("judgments", unit="document")
    ledger.set_limit(documents, 3.0, DELTA)
    with pytest.raises(UnitConflictError):
        ledger.reserve(documents, WEEKLY, "a")
    with pytest.raises(UnitConflictError):
        ledger.announce(documents, "2027", WEEKLY, 5)


def test_a_check_counts_the_runs_that_are_left(ledger: Ledger) -> None:
    ledger.announce(OWNERS, "2027", WEEKLY, 2)
    limit = ledger.limit(OWNERS)
    assert limit is not None
    ledger.set_limit(OWNERS, ledger.spent_epsilon(OWNERS, DELTA), DELTA)
    ledger.check(OWNERS, {"a": WEEKLY, "b": WEEKLY}, limit)
    with pytest.raises(BudgetExceededError):
        ledger.check(OWNERS, {"a": WEEKLY, "b": WEEKLY, "c": WEEKLY}, limit)


def test_a_lost_schedule_is_entered_again_with_its_runs(ledger: Ledger, tmp_path: Path) -> None:
    schedule = ledger.announce(OWNERS, "2027", WEEKLY, 5)
    spend_weeks(ledger, 0, 2)
    order = json.loads(ledger.entries()[1].payload)["order"]
    fresh = Ledger(f"sqlite:///{tmp_path / 'fresh.db'}")
    fresh.set_limit(OWNERS, 3.0, DELTA)
    fresh.enter_lost(OWNERS, WEEKLY, schedule.id, order, announced=("2027", 5))
    for run in ledger.reservations(OWNERS):
        fresh.enter_lost(OWNERS, run.charge, run.id, order, schedule=run.schedule)
    assert fresh.spent_epsilon(OWNERS, DELTA) == ledger.spent_epsilon(OWNERS, DELTA)
    assert fresh.account(OWNERS).count_used(schedule) == 2
    assert fresh.verify().ok
    # Without its schedule, a run is charged itself.
    alone = Ledger(f"sqlite:///{tmp_path / 'alone.db'}")
    alone.set_limit(OWNERS, 3.0, DELTA)
    alone.enter_lost(OWNERS, WEEKLY, "lost", order, schedule=schedule.id)
    assert alone.spent_epsilon(OWNERS, DELTA) == WEEKLY.epsilon(DELTA)


def test_an_auditor_recomputes_schedules(ledger: Ledger) -> None:
    ledger.announce(OWNERS, "2027", WEEKLY, 5)
    spend_weeks(ledger, 0, 2)
    ledger.reserve(OWNERS, OTHER, "a")
    found = exported.audit(exported.load(exported.dump(ledger.entries())))
    assert found.verification.ok
    assert found.claims_hold


def test_a_run_that_no_schedule_pays_for_is_found(ledger: Ledger, tmp_path: Path) -> None:
    """A forged draw: without places left, of another charge, or of a schedule that is not there."""
    from lexveil.privacy.dp.ledger.chain import Store

    schedule = ledger.announce(OWNERS, "2027", WEEKLY, 1)
    spend_weeks(ledger, 0, 1)
    assert ledger.verify().ok
    payload = WEEKLY.to_payload() | {"order": ledger.account(OWNERS).order, "schedule": schedule.id}
    Store(f"sqlite:///{tmp_path / 'ledger.db'}").write(
        lambda t: t.append(t.entries(), "reserve", OWNERS.key, payload, "ff", "forged")
    )
    assert ledger.verify().broken_at == len(ledger.entries())
    assert not verify(ledger.entries()).ok


def test_the_runs_of_a_schedule_cannot_be_settled_as_another(ledger: Ledger) -> None:
    schedule = ledger.announce(OWNERS, "2027", WEEKLY, 1)
    with pytest.raises(LedgerConflictError):
        ledger.commit(schedule.id, 0)
    with pytest.raises(LedgerConflictError):
        ledger.abandon(schedule.id)


class Chance:
    """Random commands to a ledger, and what they may have released, counted apart."""

    CHARGES = (WEEKLY, OTHER, Charge(20.0, 0.1, 40))

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger, self.random, self.keys = ledger, random.Random(seed), itertools.count()
        self.steps: Counter[Charge] = Counter()

    def act(self) -> None:
        charge = self.random.choice(self.CHARGES)
        action = self.random.choice((self.announce, self.reserve, self.reserve, self.reserve, self.withdraw))
        with suppress(BudgetExceededError, ScheduleError):
            action(charge)

    def announce(self, charge: Charge) -> None:
        self.ledger.announce(OWNERS, str(next(self.keys)), charge, self.random.randint(1, 6))

    def reserve(self, charge: Charge) -> None:
        run = self.ledger.reserve(OWNERS, charge, str(next(self.keys)))
        end = self.random.choice(("walk away", "abandon", "commit", "no step"))
        if end == "abandon":
            self.ledger.abandon(run.id)
        elif end != "walk away":
            self.ledger.commit(run.id, charge.steps if end == "commit" else 0)
        self.steps[charge] += 0 if end == "no step" else charge.steps

    def withdraw(self, _: Charge) -> None:
        schedules = self.ledger.account(OWNERS).schedules
        if schedules:
            self.ledger.withdraw(OWNERS, self.random.choice(schedules).name)

    def epsilon(self) -> float:
        """What was released, as if it had been planned: by another accountant."""
        import dp_accounting
        from dp_accounting.pld import PLDAccountant

        accountant = PLDAccountant(value_discretization_interval=1e-2)
        for charge, steps in self.steps.items():
            if steps:
                gaussian = dp_accounting.GaussianDpEvent(charge.noise_multiplier)
                step = dp_accounting.PoissonSampledDpEvent(charge.sample_rate, gaussian)
                accountant.compose(dp_accounting.SelfComposedDpEvent(step, steps))
        return float(accountant.get_epsilon(DELTA))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_announced_made_and_withdrawn(ledger: Ledger, seed: int) -> None:
    chance = Chance(ledger, seed)
    for _ in range(14):
        chance.act()
        assert ledger.spent_epsilon(OWNERS, DELTA) <= 3.0
    assert chance.epsilon() * (1 - accounting.ACCURACY) <= ledger.spent_epsilon(OWNERS, DELTA)
    assert ledger.verify().ok
    assert exported.audit(exported.load(exported.dump(ledger.entries()))).claims_hold
