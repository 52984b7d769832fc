from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexveil.privacy.dp import accounting, renyi
from lexveil.privacy.dp.ledger.admission import BudgetExceededError, NoLimitError, UnitConflictError
from lexveil.privacy.dp.ledger.chain import LedgerCorruptError
from lexveil.privacy.dp.ledger.ledger import (
    Charge,
    Ledger,
    LedgerConflictError,
    Limit,
    Population,
    filter_order,
)
from lexveil.privacy.dp.sampled_gaussian import Truncation

OWNERS = Population("judgments", unit="owner")
RUN = Charge(noise_multiplier=8.0, sample_rate=0.2, steps=100)
DELTA = 1e-5
SECRET = b"wrapped key of the run"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Ledger:
    ledger = Ledger(f"sqlite:///{path}")
    ledger.set_limit(OWNERS, 3.0, DELTA)
    return ledger


def test_reserve_commit_and_spent(ledger, path):
    assert ledger.spent_epsilon(OWNERS, DELTA) == 0
    reservation = ledger.reserve(OWNERS, RUN, "run 1", SECRET)
    assert reservation.state == "open"
    full = ledger.spent_epsilon(OWNERS, DELTA)
    assert full == pytest.approx(RUN.epsilon(DELTA))
    ledger.commit(reservation.id, 100)
    assert ledger.spent_epsilon(OWNERS, DELTA) == full
    assert [e.kind for e in ledger.entries(OWNERS)] == ["limit", "reserve", "commit"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_as_many_runs_fit_as_the_best_renyi_order_allows(ledger):
    fit = next(
        n - 1
        for n in range(2, 100)
        if renyi.rdp_epsilon(RUN.noise_multiplier, RUN.sample_rate, 100 * n, DELTA) > 3.0
    )
    assert fit > 3
    for n in range(fit):
        ledger.commit(ledger.reserve(OWNERS, RUN, str(n)).id, 100)
    # What adaptive runs are charged is never less than what one run of as many steps would be.
    assert Charge(8.0, 0.2, 100 * fit).epsilon(DELTA) < ledger.spent_epsilon(OWNERS, DELTA) <= 3.0
    with pytest.raises(BudgetExceededError):
        ledger.reserve(OWNERS, RUN, "one too many")


def test_the_limit_refuses_before_anything_is_written(ledger):
    heavy = Charge(1.0, 0.2, 100)
    ledger.reserve(OWNERS, RUN, "a")
    before = ledger.entries()
    with pytest.raises(BudgetExceededError) as refusal:
        ledger.reserve(OWNERS, heavy, "b")
    assert refusal.value.limit == 3.0
    assert refusal.value.spent == ledger.spent_epsilon(OWNERS, DELTA)
    assert refusal.value.asked == heavy.epsilon(DELTA)
    assert refusal.value.total > 3
    assert ledger.entries() == before


def test_a_single_run_may_use_the_whole_limit_and_closes_the_population(ledger):
    noise = accounting.noise_multiplier(3.0, 0.2, 100, DELTA)
    whole = ledger.reserve(OWNERS, Charge(noise, 0.2, 100), "whole")
    assert 2.99 < ledger.spent_epsilon(OWNERS, DELTA) <= 3
    with pytest.raises(BudgetExceededError):
        ledger.reserve(OWNERS, Charge(1000.0, 0.001, 1), "least")
    # Whether it stopped early may tell of the data, so that frees nothing for a second run...
    ledger.commit(whole.id, 50)
    with pytest.raises(BudgetExceededError):
        ledger.reserve(OWNERS, Charge(1000.0, 0.001, 1), "least")
    # ...until a person raises the limit.
    ledger.set_limit(OWNERS, 8.0, DELTA)
    ledger.reserve(OWNERS, RUN, "next")
    assert ledger.verify().ok


def test_fewer_steps_charge_fewer(ledger):
    first = ledger.reserve(OWNERS, RUN, "a")
    second = ledger.reserve(OWNERS, RUN, "b")
    full = ledger.spent_epsilon(OWNERS, DELTA)
    ledger.commit(second.id, 10)
    assert ledger.spent_epsilon(OWNERS, DELTA) < full
    ledger.commit(first.id, 0)
    assert ledger.spent_epsilon(OWNERS, DELTA) <= RUN.epsilon(DELTA)


def test_a_retry_finds_its_reservation(ledger):
    first = ledger.reserve(OWNERS, RUN, "same", SECRET)
    again = ledger.reserve(OWNERS, RUN, "same", b"another key")
    assert (again.id, again.state, again.secret) == (first.id, "open", SECRET)
    ledger.commit(first.id, 100)
    ledger.commit(first.id, 100)
    done = ledger.reserve(OWNERS, RUN, "same", b"another key")
    assert (done.id, done.state, done.secret) == (first.id, "committed", None)
    assert len(ledger.entries()) == 3
    with pytest.raises(LedgerConflictError):
        ledger.reserve(OWNERS, Charge(9.0, 0.2, 100), "same")


def test_without_a_secret_an_open_run_is_not_repeated(ledger):
    first = ledger.reserve(OWNERS, RUN, "same")
    with pytest.raises(LedgerConflictError, match="secret"):
        ledger.reserve(OWNERS, RUN, "same")
    ledger.abandon(first.id)
    ledger.abandon(first.id)
    assert ledger.reserve(OWNERS, RUN, "same").state == "abandoned"
    assert ledger.spent_epsilon(OWNERS, DELTA) == pytest.approx(RUN.epsilon(DELTA))


@pytest.mark.parametrize("charge", [Charge(1e9, 1e-4, 3), Charge(1e6, 1.0, 1), Charge(0.05, 0.9, 10)])
def test_extreme_charges_are_counted_or_refused(ledger, charge):
    try:
        ledger.reserve(OWNERS, charge, "extreme")
    except BudgetExceededError:
        assert ledger.spent_epsilon(OWNERS, DELTA) == 0
    else:
        assert 0 <= ledger.spent_epsilon(OWNERS, DELTA) <= 3
        ledger.reserve(OWNERS, RUN, "ordinary")
    assert ledger.verify().ok


def test_settling_is_final_and_bounded(ledger):
    first = ledger.reserve(OWNERS, RUN, "a")
    for steps in (-1, 101):
        with pytest.raises(ValueError, match="steps"):
            ledger.commit(first.id, steps)
    ledger.commit(first.id, 60)
    for settle in (lambda: ledger.commit(first.id, 59), lambda: ledger.abandon(first.id)):
        with pytest.raises(LedgerConflictError):
            settle()
    with pytest.raises(LedgerConflictError, match="no such"):
        ledger.commit("0" * 32, 1)


def test_the_secret_leaves_the_file_at_the_commit_and_no_repr(ledger, path):
    reservation = ledger.reserve(OWNERS, RUN, "a", SECRET)
    assert SECRET in path.read_bytes()
    assert SECRET.decode() not in repr(reservation)
    ledger.commit(reservation.id, 100)
    assert SECRET not in path.read_bytes()
    assert all(SECRET not in file.read_bytes() for file in path.parent.iterdir())


def test_populations_add_up_apart(ledger):
    ledger.reserve(OWNERS, RUN, "a")
    documents = Population("provisions", unit="document")
    assert ledger.spent_epsilon(documents, DELTA) == 0
    with pytest.raises(NoLimitError):
        ledger.reserve(documents, RUN, "a")
    ledger.set_limit(documents, 8.0, DELTA)
    ledger.reserve(documents, RUN, "a")
    assert ledger.populations() == (OWNERS, documents)
    assert [total.open for total in ledger.verify().totals] == [1, 1]


@pytest.mark.parametrize("other", [{"unit": "document"}, {"unit": "owner", "relation": "replace_one"}])
def test_one_name_has_one_unit_and_relation_which_its_first_charge_fixes(ledger, other):
    counted_otherwise = Population("judgments", **other)
    ledger.set_limit(counted_otherwise, 8.0, DELTA)  # a limit fixes nothing
    unused = ledger.reserve(counted_otherwise, RUN, "no step")
    ledger.commit(unused.id, 0)  # nor does a run that released nothing
    ledger.reserve(OWNERS, RUN, "a")
    with pytest.raises(UnitConflictError, match="judgments counts by owner since its first charge"):
        ledger.reserve(counted_otherwise, RUN, "b")
    ledger.reserve(OWNERS, RUN, "b")
    assert ledger.verify().ok


class TestALostCharge:
    LOST = Charge(2.0, 0.2, 100)

    def test_is_entered_whatever_the_limit_and_counts(self, ledger):
        ledger.reserve(OWNERS, RUN, "a")
        ledger.enter_lost(OWNERS, self.LOST, "lost")
        ledger.enter_lost(OWNERS, self.LOST, "lost")
        assert [run.id for run in ledger.reservations(OWNERS)][1:] == ["lost"]
        assert ledger.spent_epsilon(OWNERS, DELTA) > 3.0
        assert ledger.verify().ok
        with pytest.raises(BudgetExceededError):
            ledger.reserve(OWNERS, Charge(1000.0, 0.001, 1), "least")

    def test_keeps_the_order_of_the_lost_filter(self, ledger):
        ledger.enter_lost(OWNERS, RUN, "lost", order=7.0)
        ledger.reserve(OWNERS, RUN, "a")
        assert [e.parse_payload()["order"] for e in ledger.entries() if e.kind == "reserve"] == [7.0, 7.0]
        assert ledger.verify().ok

    def test_needs_a_limit(self, ledger):
        with pytest.raises(NoLimitError):
            ledger.enter_lost(Population("others"), RUN, "lost")


def test_a_limit_is_an_entry_and_the_same_limit_none(ledger):
    ledger.set_limit(OWNERS, 3.0, DELTA)
    assert len(ledger.entries()) == 1
    ledger.set_limit(OWNERS, 2.0, DELTA)
    assert [e.parse_payload()["epsilon"] for e in ledger.entries()] == [3.0, 2.0]
    for epsilon, delta in ((0.0, DELTA), (-1.0, DELTA), (float("inf"), DELTA), (1.0, 0.0), (1.0, 1.0)):
        with pytest.raises(ValueError):
            ledger.set_limit(OWNERS, epsilon, delta)


def test_the_order_is_fixed_by_the_first_reservation(ledger):
    ledger.reserve(OWNERS, RUN, "a")
    ledger.reserve(OWNERS, Charge(30.0, 0.01, 5), "b")
    orders = {e.parse_payload()["order"] for e in ledger.entries() if e.kind == "reserve"}
    limit = ledger.limit(OWNERS)
    assert limit is not None
    assert orders == {filter_order(RUN, limit)}


def test_entries_cannot_be_changed_by_accident(ledger, path):
    ledger.reserve(OWNERS, RUN, "a")
    with sqlite3.connect(path) as raw:
        for statement in ("UPDATE entries SET payload = '{}'", "DELETE FROM entries"):
            with pytest.raises(sqlite3.DatabaseError, match="append-only"):
                raw.execute(statement)


def _tamper(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TRIGGER entries_refuse_update")
        raw.execute("DROP TRIGGER entries_refuse_delete")
        raw.execute(statement)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE entries SET payload = replace(payload, '100', '10') WHERE kind = 'reserve'", 2),
        ("UPDATE entries SET payload = replace(payload, '3.0', '9.0') WHERE kind = 'limit'", 1),
        ("UPDATE entries SET at = '2020-01-01T00:00:00+00:00' WHERE seq = 3", 3),
        ("DELETE FROM entries WHERE seq = 2", 2),
        ("DELETE FROM entries WHERE seq = 1", 1),
    ],
)
def test_verify_names_the_first_broken_entry(ledger, path, statement, broken):
    ledger.commit(ledger.reserve(OWNERS, RUN, "a").id, 100)
    ledger.reserve(OWNERS, RUN, "b")
    assert ledger.verify().ok
    _tamper(path, statement)
    verification = ledger.verify()
    assert (verification.ok, verification.broken_at) == (False, broken)
    with pytest.raises(LedgerCorruptError):
        ledger.reserve(OWNERS, RUN, "c")


def test_verify_recomputes_admissions(ledger, path):
    """Somebody who knows the hash rule writes a run past the limit: the sums give it away."""
    from lexveil.privacy.dp.ledger.chain import Store

    ledger.reserve(OWNERS, RUN, "a")
    store = Store(f"sqlite:///{path}")
    payload = {"noise_multiplier": 0.5, "sample_rate": 0.2, "steps": 100, "order": 4.0, "total": 1.0}
    store.write(lambda t: t.append(t.entries(), "reserve", OWNERS.key, payload, "ff", "forged"))
    assert ledger.verify().broken_at == 3


@pytest.mark.parametrize(("share", "ok"), [(1.004, True), (0.9, False)])
def test_a_single_runs_total_may_be_that_of_another_version_of_the_accountant(ledger, path, share, ok):
    from lexveil.privacy.dp.ledger.chain import Store

    total = share * RUN.epsilon(DELTA)
    order = filter_order(RUN, Limit(3.0, DELTA))
    payload = RUN.to_payload() | {"order": order, "total": total}
    store = Store(f"sqlite:///{path}")
    store.write(lambda t: t.append(t.entries(), "reserve", OWNERS.key, payload, "ff", "other version"))
    assert ledger.verify().ok is ok


@pytest.mark.parametrize("capped", [True, False])
def test_a_first_run_with_a_cap_had_a_larger_total_in_earlier_versions(ledger, monkeypatch, capped):
    run = replace(RUN, truncation=Truncation(40, 150) if capped else None)
    with monkeypatch.context() as earlier:
        earlier.setattr(Charge, "epsilon", Charge.rdp_epsilon)
        ledger.reserve(OWNERS, run, "first", b"s")
    assert ledger.verify().ok is capped


def test_a_truncated_run_is_charged_as_one(ledger):
    cut = Charge(8.0, 0.2, 100, Truncation(40, 150))
    first = ledger.reserve(OWNERS, cut, "a", SECRET)
    assert ledger.reservations(OWNERS)[0].charge == cut
    assert ledger.spent_epsilon(OWNERS, DELTA) == cut.epsilon(DELTA) > RUN.epsilon(DELTA)
    assert ledger.reserve(OWNERS, cut, "a").id == first.id
    with pytest.raises(LedgerConflictError):
        ledger.reserve(OWNERS, RUN, "a")
    assert ledger.verify().ok
    assert "truncation" not in RUN.to_payload()  # entries of before it was offered keep their hashes


def test_a_cut_tail_shows_in_the_head(ledger, path):
    ledger.reserve(OWNERS, RUN, "a")
    kept = ledger.verify()
    _tamper(path, "DELETE FROM entries WHERE seq = 2")
    cut = ledger.verify()
    assert cut.ok
    assert (cut.head, cut.entries) != (kept.head, kept.entries)


def test_a_database_whose_locks_are_unknown_is_refused():
    with pytest.raises(ValueError, match="SQLite or PostgreSQL"):
        Ledger("mysql://somewhere/ledger")


def test_a_ledger_in_memory_is_refused():
    for url in ("sqlite://", "sqlite:///:memory:"):
        with pytest.raises(ValueError, match="memory"):
            Ledger(url)


_charges = st.builds(
    Charge, st.sampled_from([4.0, 8.0, 16.0]), st.sampled_from([0.05, 0.2]), st.sampled_from([1, 20, 100])
)
_actions = st.lists(
    st.tuples(st.sampled_from(["reserve", "retry", "commit", "abandon"]), _charges, st.floats(0, 1)),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=_actions)
def test_any_history_stays_within_the_limit(tmp_path_factory, actions):
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.set_limit(OWNERS, 1.5, DELTA)
    runs: list = []
    for number, (action, charge, share) in enumerate(actions):
        before = ledger.spent_epsilon(OWNERS, DELTA)
        if action == "reserve":
            try:
                runs.append((ledger.reserve(OWNERS, charge, str(number), SECRET), str(number)))
            except BudgetExceededError:
                assert ledger.spent_epsilon(OWNERS, DELTA) == before
            assert ledger.spent_epsilon(OWNERS, DELTA) >= before - 1e-12
        elif runs and action == "retry":
            run, key = runs[int(share * (len(runs) - 1))]
            assert ledger.reserve(OWNERS, run.charge, key, SECRET).id == run.id
            assert ledger.spent_epsilon(OWNERS, DELTA) == before
        elif runs:
            run, _ = runs[int(share * (len(runs) - 1))]
            try:
                if action == "commit":
                    ledger.commit(run.id, max(1, int(share * run.charge.steps)))
                else:
                    ledger.abandon(run.id)
                    assert ledger.spent_epsilon(OWNERS, DELTA) == before
            except LedgerConflictError:
                assert ledger.spent_epsilon(OWNERS, DELTA) == before
        assert ledger.spent_epsilon(OWNERS, DELTA) <= 1.5
    assert ledger.verify().ok
