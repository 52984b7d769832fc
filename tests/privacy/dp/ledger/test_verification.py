"""Verification from a head that was checked before, and sums that follow a long ledger entry by entry."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from lexveil.privacy.dp import renyi
from lexveil.privacy.dp.ledger.budget import Charge, Population, fold_entries, spending_history
from lexveil.privacy.dp.ledger.chain import Entry, canonical_json
from lexveil.privacy.dp.ledger.ledger import Ledger
from lexveil.privacy.dp.ledger.verification import verify
from lexveil.privacy.dp.sampled_gaussian import Truncation
from tests.privacy.dp.ledger.test_export_tampering import rehash, with_payload

OWNERS, OTHERS = Population("judgments", unit="owner"), Population("letters")
RUN = Charge(8.0, 0.2, 100)
DELTA = 1e-5


@pytest.fixture
def entries(ledger: Ledger) -> tuple[Entry, ...]:
    """limit 3, reserve, commit 60, reserve, limit 2.9."""
    ledger.commit(ledger.reserve(OWNERS, RUN, "a").id, 60)
    ledger.reserve(OWNERS, RUN, "b")
    ledger.set_limit(OWNERS, 2.9, DELTA)
    return ledger.entries()


def test_from_a_checked_head_the_result_is_that_of_the_whole_ledger(entries: tuple[Entry, ...]) -> None:
    for entry in entries:
        assert verify(entries, entry.hash) == verify(entries)
        assert verify(entries, entry.hash).ok


def test_a_wrong_admission_after_the_checked_head_is_found(entries: tuple[Entry, ...]) -> None:
    forged = rehash([*entries[:3], with_payload(entries[3], total=0.1), entries[4]])
    found = verify(forged, entries[2].hash)
    assert (found.ok, found.broken_at, found.complete) == (False, 4, True)


def test_a_change_before_the_checked_head_breaks_the_chain(entries: tuple[Entry, ...]) -> None:
    """The head alone is as it was."""
    forged = [entries[0], with_payload(entries[1], steps=400), *entries[2:]]
    found = verify(forged, entries[4].hash)
    assert (found.ok, found.broken_at, found.head) == (False, 2, entries[4].hash)
    swapped = [entries[0], entries[2], entries[1], *entries[3:]]
    assert verify(swapped, entries[4].hash).broken_at == 2


def test_a_forged_history_does_not_have_the_checked_head(entries: tuple[Entry, ...]) -> None:
    forged = rehash([entries[0], with_payload(entries[1], steps=400), *entries[2:]])
    found = verify(forged, entries[2].hash)
    assert (found.ok, found.broken_at, found.complete) == (False, 2, False)
    consistent = rehash([replace(entries[0], at="2020-01-01T00:00:00+00:00"), *entries[1:]])
    assert verify(consistent).ok  # somebody who knows the rule, and forges every total
    assert not verify(consistent, entries[2].hash).ok


def test_a_history_that_was_cut_off_lacks_the_checked_head(entries: tuple[Entry, ...]) -> None:
    assert verify(entries[:3]).ok
    found = verify(entries[:3], entries[3].hash)
    assert (found.ok, found.broken_at, found.complete) == (False, None, False)
    assert not verify([], entries[0].hash).ok


def test_an_entry_may_not_borrow_the_checked_hash(entries: tuple[Entry, ...]) -> None:
    """A wrong admission that carries the checked hash, or stands before a copy of it."""
    wrong = with_payload(entries[3], total=0.1)
    for forged in ([*entries[:3], replace(wrong, hash=entries[4].hash)], [*entries[:3], wrong, entries[4]]):
        assert not verify(forged, entries[4].hash).ok


CHARGES = (RUN, Charge(16.0, 0.1, 50), Charge(12.0, 0.2, 40, Truncation(30, 100)), Charge(9.0, 1.0, 3))


def work(ledger: Ledger, seed: int, rounds: int) -> None:
    """Runs of two populations, settled in every way, beside schedules that are used and withdrawn."""
    source = random.Random(seed)
    for population in (OWNERS, OTHERS):
        ledger.set_limit(population, 40.0, DELTA)
    if seed % 2:
        ledger.announce(OWNERS, "weekly", RUN, 3)
    for number in range(rounds):
        population, charge = source.choice((OWNERS, OTHERS)), source.choice(CHARGES)
        run = ledger.reserve(population, charge, str(number))
        end = source.choice(("all", "some", "none", "give up", "walk away"))
        if end == "give up":
            ledger.abandon(run.id)
        elif end != "walk away":
            ledger.commit(run.id, {"all": charge.steps, "some": 2, "none": 0}[end])
        if number % 5 == 0:
            ledger.announce(population, f"extra {number}", charge, 2)
            if number % 2:
                ledger.withdraw(population, f"extra {number}")


def sum_afresh(entries: Sequence[Entry], population: Population, order: float) -> float:
    """The divergence of all that the filter holds, from the entries alone."""
    charges: dict[str, Charge] = {}
    planned: set[str] = set()
    for entry in entries:
        data, name = entry.parse_payload(), entry.reservation or ""
        if entry.key != population.key or entry.kind in ("limit", "abandon"):
            continue
        if entry.kind == "announce":
            if not charges:
                planned.add(name)
            charges[name] = Charge.from_payload(data).repeat(data["runs"])
        elif entry.kind == "reserve" and "schedule" not in data:
            charges[name] = Charge.from_payload(data)
        elif entry.kind == "commit" and not data["steps"]:
            charges.pop(name, None)
        elif entry.kind == "commit" and name in charges:
            charges[name] = replace(charges[name], steps=data["steps"])
    return sum(charge.rdp(order) for name, charge in charges.items() if name not in planned)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_sums_after_each_entry_are_those_of_the_entries_up_to_it(ledger: Ledger, seed: int) -> None:
    work(ledger, seed, 25)
    entries = ledger.entries()
    assert verify(entries).ok
    for population in (OWNERS, OTHERS):
        for point in spending_history(entries, population):
            account = fold_entries(entries[: point.seq], population)
            assert point.spent == pytest.approx(account.spent_epsilon(DELTA), rel=1e-12)
            for order in (account.order or 4.0, 16.0):
                afresh = sum_afresh(entries[: point.seq], population, order)
                assert account.rdp(order) == pytest.approx(afresh, rel=1e-12)


def test_each_entry_is_read_a_few_times_however_many_there_are(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        ledger.reserve(OWNERS, Charge(200.0, 0.1, 1), str(number))
    entries, reads = ledger.entries(), Counter[int]()
    parse = Entry.parse_payload

    def count(entry: Entry) -> dict[str, object]:
        reads[entry.seq] += 1
        return parse(entry)

    monkeypatch.setattr(Entry, "parse_payload", count)
    assert verify(entries).ok
    assert len(spending_history(entries, OWNERS)) == len(entries)
    assert max(reads.values()) <= 3


def test_many_runs_at_once_have_the_divergence_of_each(ledger: Ledger) -> None:
    source = random.Random(5)
    runs = [
        (source.uniform(0.6, 9), 10 ** source.uniform(-5, -0.01), source.randint(1, 99), None)
        for _ in range(60)
    ]
    runs += [(3.0, 1.0, 4, None), (5.0, 0.2, 7, Truncation(10, 40))]
    for order in (2.0, 3.0, 16.0, 64.0, 512.0, 2.75):
        alone = [renyi.rdp(*run[:3], order, truncation=run[3]) for run in runs]
        assert renyi.total_rdp(runs, order) == pytest.approx(sum(alone), rel=1e-12)
    for run in runs[:60]:  # a small one is not lost among the large ones
        many = renyi.total_rdp([run] * 40, 8.0) / 40
        assert many == pytest.approx(renyi.rdp(*run[:3], 8.0), rel=1e-9, abs=run[2] * 1e-12)
    with pytest.raises(ValueError, match="noise_multiplier"):
        renyi.total_rdp([(1.0, 0.1, 1, None)] * 40 + [(-1.0, 0.1, 1, None)], 2.0)


def test_the_json_of_an_entry_is_what_its_hash_was_made_of(entries: tuple[Entry, ...]) -> None:
    """The spelling is fixed for good: other spellings would break every ledger there is."""
    value = {"b": [1, 0.1, None], "a": "é"}
    assert canonical_json(value) == '{"a":"\\u00e9","b":[1,0.1,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))
