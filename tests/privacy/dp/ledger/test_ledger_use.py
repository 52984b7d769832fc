"""The ledger the way its users meet it: a week of trainings, a kill, a second machine, a wrong file."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lexveil.privacy.dp import accounting, renyi
from lexveil.privacy.dp.ledger.admission import BudgetExceededError, NoLimitError
from lexveil.privacy.dp.ledger.budget import fold_entries, spending_history
from lexveil.privacy.dp.ledger.chain import LedgerUnavailableError, LedgerUrlError, find_break
from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, LedgerConflictError, LedgerError, Population
from lexveil.privacy.dp.ledger.verification import verify

OWNERS = Population("judgments", unit="owner")
RUN = Charge(noise_multiplier=8.0, sample_rate=0.2, steps=100)
DELTA = 1e-5


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def ledger(url: str) -> Ledger:
    ledger = Ledger(url)
    ledger.set_limit(OWNERS, 3.0, DELTA)
    return ledger


def test_a_run_that_is_killed_and_started_again_is_charged_once(ledger: Ledger, url: str) -> None:
    first = ledger.reserve(OWNERS, RUN, "digest of data and code", b"wrapped")
    ledger.close()
    # Another process, after the kill, brings a fresh key: it gets the first one.
    again = Ledger(url)
    resumed = again.reserve(OWNERS, RUN, "digest of data and code", b"fresh")
    assert (resumed.id, resumed.secret, resumed.state) == (first.id, b"wrapped", "open")
    again.commit(resumed.id, RUN.steps)
    assert again.spent_epsilon(OWNERS, DELTA) == pytest.approx(RUN.epsilon(DELTA))
    assert [entry.kind for entry in again.entries()] == ["limit", "reserve", "commit"]


def test_two_users_of_one_file_see_each_others_runs(ledger: Ledger, url: str) -> None:
    other = Ledger(url)
    mine = ledger.reserve(OWNERS, RUN, "mine")
    theirs = other.reserve(OWNERS, RUN, "theirs")
    assert [run.id for run in ledger.reservations(OWNERS)] == [mine.id, theirs.id]
    ledger.commit(theirs.id, 100)  # whoever knows the reservation may settle it
    assert [run.state for run in other.reservations(OWNERS)] == ["open", "committed"]
    assert other.verify() == ledger.verify()


def test_a_week_of_trainings_ends_in_a_refusal_that_says_what_is_left(ledger: Ledger) -> None:
    def train_every_day() -> None:
        for day in range(1000):
            before = ledger.spent_epsilon(OWNERS, DELTA)
            ledger.commit(ledger.reserve(OWNERS, RUN, str(day)).id, 100)
            assert before < ledger.spent_epsilon(OWNERS, DELTA) <= 3.0

    with pytest.raises(BudgetExceededError) as refusal:
        train_every_day()
    error = refusal.value
    assert error.spent <= error.limit < error.total
    assert error.spent == ledger.spent_epsilon(OWNERS, DELTA)
    for number in (error.spent, error.asked, error.total, error.limit):
        assert f"{number:.4g}" in str(error)


def test_a_limit_below_what_is_spent_stops_everything_and_reveals_the_rest(ledger: Ledger) -> None:
    ledger.reserve(OWNERS, RUN, "a")
    ledger.set_limit(OWNERS, 0.5, DELTA)
    with pytest.raises(BudgetExceededError):
        ledger.reserve(OWNERS, Charge(1000.0, 0.001, 1), "least")
    assert ledger.spent_epsilon(OWNERS, DELTA) > 0.5  # what was spent is not forgotten
    assert ledger.verify().ok  # at the time it was admitted


def test_a_limit_at_another_delta_counts_at_that_delta(ledger: Ledger) -> None:
    ledger.reserve(OWNERS, RUN, "a")
    ledger.set_limit(OWNERS, 3.0, 1e-8)
    (total,) = ledger.verify().totals
    assert total.epsilon == ledger.spent_epsilon(OWNERS, 1e-8) > ledger.spent_epsilon(OWNERS, DELTA)


def test_the_smaller_delta_is_the_larger_the_spend(ledger: Ledger) -> None:
    for key in "abc":
        ledger.reserve(OWNERS, RUN, key)
    spends = [ledger.spent_epsilon(OWNERS, delta) for delta in (1e-3, 1e-5, 1e-9)]
    assert spends == sorted(spends)
    assert spends[0] < spends[-1]
    for delta in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="delta"):
            ledger.spent_epsilon(OWNERS, delta)


def test_several_runs_are_admitted_by_renyi_dp_at_the_filters_order(ledger: Ledger) -> None:
    other = Charge(6.0, 0.1, 50)
    ledger.reserve(OWNERS, RUN, "a")
    ledger.reserve(OWNERS, other, "b")
    payload = json.loads(ledger.entries()[-1].payload)
    total = renyi.rdp(8.0, 0.2, 100, payload["order"]) + renyi.rdp(6.0, 0.1, 50, payload["order"])
    expected = renyi.rdp_to_epsilon(total, payload["order"], DELTA)
    assert payload["total"] == pytest.approx(expected, rel=1e-12)


def test_several_runs_are_shown_by_the_best_order_for_its_share_of_delta(ledger: Ledger) -> None:
    """The filter's order is fixed for a whole limit: two runs of 1 were shown as 5."""
    ledger.set_limit(OWNERS, 10.0, DELTA)
    small = Charge(accounting.noise_multiplier(1.0, 0.5, 60, DELTA), 0.5, 60)
    for key in "ab":
        ledger.reserve(OWNERS, small, key)
    assert json.loads(ledger.entries()[-1].payload)["total"] > 4
    best = renyi.rdp_epsilon(small.noise_multiplier, 0.5, 120, DELTA)
    assert small.repeat(2).epsilon(DELTA) < best < ledger.spent_epsilon(OWNERS, DELTA) < 2.5


def test_runs_that_made_no_step_free_the_budget(ledger: Ledger) -> None:
    for number in range(6):
        ledger.commit(ledger.reserve(OWNERS, RUN, str(number)).id, 0)
    assert ledger.spent_epsilon(OWNERS, DELTA) == 0
    (total,) = ledger.verify().totals
    assert (total.open, total.committed, total.abandoned) == (0, 6, 0)
    assert {run.charged_steps for run in ledger.reservations(OWNERS)} == {0}


def test_an_abandoned_run_is_charged_for_good(ledger: Ledger) -> None:
    run = ledger.reserve(OWNERS, RUN, "a", b"wrapped")
    ledger.abandon(run.id)
    with pytest.raises(LedgerConflictError, match="already settled"):
        ledger.commit(run.id, 0)
    (kept,) = ledger.reservations(OWNERS)
    assert (kept.state, kept.charged_steps, kept.secret) == ("abandoned", 100, None)
    assert ledger.spent_epsilon(OWNERS, DELTA) == pytest.approx(RUN.epsilon(DELTA))


def test_one_key_in_two_populations_is_two_runs(ledger: Ledger) -> None:
    statutes = Population("statutes", unit="owner")
    with pytest.raises(NoLimitError, match="limit"):
        ledger.reserve(statutes, RUN, "same")
    ledger.set_limit(statutes, 3.0, DELTA)
    runs = [ledger.reserve(population, RUN, "same") for population in (OWNERS, statutes)]
    assert runs[0].id != runs[1].id
    assert [total.open for total in ledger.verify().totals] == [1, 1]
    assert [entry.population for entry in ledger.entries(statutes)] == ["statutes", "statutes"]


@pytest.mark.parametrize(
    "charge", [Charge(0.0, 0.2, 10), Charge(1.0, 0.0, 10), Charge(1.0, 1.5, 10), Charge(1.0, 0.2, 0)]
)
def test_an_impossible_run_is_refused_and_leaves_no_entry(ledger: Ledger, charge: Charge) -> None:
    with pytest.raises(ValueError, match="found"):
        ledger.reserve(OWNERS, charge, "a")
    assert len(ledger.entries()) == 1


def test_secrets_are_with_open_runs_only_and_never_in_a_listing(ledger: Ledger, tmp_path: Path) -> None:
    runs = [ledger.reserve(OWNERS, RUN, key, key.encode() * 20) for key in "ab"]
    assert [run.secret for run in ledger.reservations(OWNERS)] == [None, None]
    ledger.commit(runs[0].id, 10)
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        assert raw.execute("SELECT reservation, secret FROM secrets").fetchall() == [(runs[1].id, b"b" * 20)]


def test_entries_are_times_in_utc_and_a_chain_from_the_genesis(ledger: Ledger) -> None:
    ledger.commit(ledger.reserve(OWNERS, RUN, "a").id, 5)
    entries = ledger.entries()
    for entry in entries:
        at = datetime.fromisoformat(entry.at)
        assert at.tzinfo is not None
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [entry.previous for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]
    assert find_break(entries) is None
    assert find_break(entries[1:]) == 1
    assert find_break([entries[0], entries[2]]) == 2
    assert find_break([]) is None


def test_the_account_can_be_folded_without_the_database(ledger: Ledger) -> None:
    ledger.commit(ledger.reserve(OWNERS, RUN, "a").id, 40)
    ledger.reserve(OWNERS, RUN, "b")
    account = fold_entries(ledger.entries(), OWNERS)
    assert [run.charged_steps for run in account.reservations] == [40, 100]
    assert account.keys == {"a": account.reservations[0].id, "b": account.reservations[1].id}
    assert account.spent_epsilon(DELTA) == ledger.spent_epsilon(OWNERS, DELTA)
    assert verify(ledger.entries()) == ledger.verify()
    assert fold_entries(ledger.entries(), Population("nobody")).reservations == ()


def test_the_history_of_a_population_starts_at_its_limit_and_follows_each_limit(ledger: Ledger) -> None:
    ledger.reserve(OWNERS, RUN, "a")
    ledger.set_limit(OWNERS, 5.0, DELTA)
    points = spending_history(ledger.entries(), OWNERS)
    assert [(point.seq, point.limit.epsilon) for point in points] == [(1, 3.0), (2, 3.0), (3, 5.0)]
    assert points[0].spent == 0
    assert points[1].spent == points[2].spent == ledger.spent_epsilon(OWNERS, DELTA)
    assert spending_history(ledger.entries(), Population("nobody")) == ()


def test_an_empty_ledger_is_intact(url: str) -> None:
    result = Ledger(url).verify()
    assert (result.ok, result.entries, result.totals) == (True, 0, ())


def test_a_file_of_its_own_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").set_limit(OWNERS, 1.0, DELTA)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "ledger.db").stat().st_mode) == 0o600


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    path.chmod(0o644)
    Ledger(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_no_ledger_is_refused_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("The parties agreed on 3,000 GBP. " * 40)
    with pytest.raises(LedgerUnavailableError, match="does not answer") as refusal:
        Ledger(f"sqlite:///{path}")
    assert "parties" not in str(refusal.value)
    assert path.read_text().startswith("The parties")


@pytest.mark.parametrize("url", ["", "ledger.db", "not a url at all", "sqlite:/ledger.db"])
def test_what_is_no_url_is_called_not_valid(url: str) -> None:
    with pytest.raises(LedgerUrlError, match="not valid"):
        Ledger(url)


def test_every_refusal_can_be_caught_as_one(ledger: Ledger) -> None:
    for use in (
        lambda: ledger.reserve(Population("nobody"), RUN, "a"),
        lambda: ledger.reserve(OWNERS, Charge(0.1, 0.9, 100), "b"),
        lambda: ledger.commit("unknown", 1),
        lambda: ledger.abandon("unknown"),
        lambda: Ledger("mysql://somewhere/ledger"),
    ):
        with pytest.raises(LedgerError):
            use()
