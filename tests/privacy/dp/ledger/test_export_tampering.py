"""An exported ledger in the hands of somebody who can recompute hashes, or only edits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lexveil.privacy.dp.ledger import export as exported
from lexveil.privacy.dp.ledger.budget import fold_entries
from lexveil.privacy.dp.ledger.chain import GENESIS, Entry, canonical_json
from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, Population

OWNERS = Population("judgments", unit="owner")
RUN = Charge(8.0, 0.2, 100)
DELTA = 1e-5


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> tuple[Entry, ...]:
    """limit 3, reserve, commit 60, reserve, limit 2.9."""
    folder: Path = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    ledger.set_limit(OWNERS, 3.0, DELTA)
    ledger.commit(ledger.reserve(OWNERS, RUN, "a").id, 60)
    ledger.reserve(OWNERS, RUN, "b")
    ledger.set_limit(OWNERS, 2.9, DELTA)
    return ledger.entries()


def rehash(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The same entries as a chain again, as somebody makes it who knows the rule."""
    previous, made = GENESIS, []
    for seq, entry in enumerate(entries, start=1):
        draft = replace(entry, seq=seq, previous=previous)
        made.append(replace(draft, hash=draft.digest()))
        previous = made[-1].hash
    return tuple(made)


def with_payload(entry: Entry, **changes: Any) -> Entry:
    return replace(entry, payload=canonical_json(entry.parse_payload() | changes))


def outcome(entries: Sequence[Entry]) -> tuple[bool, bool, int | None]:
    """(chain and admissions hold, claims hold, first bad entry) of an export of the entries."""
    result = exported.audit(exported.load(exported.dump(entries)))
    return result.verification.ok, result.claims_hold, result.verification.broken_at


def test_an_untouched_export_holds(entries: tuple[Entry, ...]) -> None:
    assert outcome(entries) == (True, True, None)
    assert rehash(entries) == entries


EDITS: dict[str, Callable[[list[Entry]], list[Entry]]] = {
    "an entry is left out": lambda e: [*e[:2], *e[3:]],
    "the first is left out": lambda e: e[1:],
    "two change places": lambda e: [e[0], e[2], e[1], *e[3:]],
    "one is repeated": lambda e: [*e[:2], e[1], *e[2:]],
    "the steps of a commit": lambda e: [*e[:2], with_payload(e[2], steps=1), *e[3:]],
    "the time of an entry": lambda e: [replace(e[0], at="2020-01-01T00:00:00+00:00"), *e[1:]],
    "the population": lambda e: [*e[:3], replace(e[3], population="others"), *e[4:]],
    "an idempotency key": lambda e: [*e[:3], replace(e[3], idempotency_key="c"), *e[4:]],
    "one more hash": lambda e: [*e[:4], replace(e[4], hash="0" * 64)],
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_without_new_hashes_breaks_the_chain(entries: tuple[Entry, ...], name: str) -> None:
    ok, _, broken = outcome(EDITS[name](list(entries)))
    assert not ok
    assert broken is not None


FORGERIES: dict[str, tuple[Callable[[list[Entry]], list[Entry]], int]] = {
    "less noise under the same total": (
        lambda e: [*e[:3], with_payload(e[3], noise_multiplier=2.0), *e[4:]],
        4,
    ),
    "more steps under the same total": (lambda e: [e[0], with_payload(e[1], steps=400), *e[2:]], 2),
    "a smaller total": (lambda e: [*e[:3], with_payload(e[3], total=0.1), *e[4:]], 4),
    "another order in the second run": (lambda e: [*e[:3], with_payload(e[3], order=64.0), *e[4:]], 4),
    "a limit that was lower all along": (lambda e: [with_payload(e[0], epsilon=0.5), *e[1:]], 2),
    "a limit that was never set": (lambda e: e[1:], 1),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_with_new_hashes_the_sums_give_it_away(entries: tuple[Entry, ...], name: str) -> None:
    forge, where = FORGERIES[name]
    ok, _, broken = outcome(rehash(forge(list(entries))))
    assert not ok
    assert broken == where


def test_an_order_chosen_afterwards_is_found_out_though_its_total_fits(entries: tuple[Entry, ...]) -> None:
    """The best order after the fact would need a union bound: the first run fixes it."""
    account = fold_entries(entries[:3], OWNERS)
    assert account.order is not None
    assert account.limit is not None
    order = account.order + 1
    total = account.epsilon_with(RUN, account.limit, order)
    assert total < account.limit.epsilon
    forged = [*entries[:3], with_payload(entries[3], order=order, total=total), entries[4]]
    assert outcome(rehash(forged))[::2] == (False, 4)


def test_a_cut_off_tail_shows_in_the_head_alone(entries: tuple[Entry, ...]) -> None:
    whole = exported.audit(exported.load(exported.dump(entries))).verification
    cut = exported.audit(exported.load(exported.dump(entries[:4])))
    assert (cut.verification.ok, cut.claims_hold) == (True, True)
    assert cut.verification.head != whole.head
    assert cut.verification.head in {entry.hash for entry in entries}


CLAIMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another head": lambda d: d.update(head="0" * 64),
    "no head": lambda d: d.update(head=None),
    "no totals": lambda d: d.update(totals=[]),
    "a total twice": lambda d: d.update(totals=d["totals"] * 2),
    "an epsilon of nothing": lambda d: d["totals"][0].update(epsilon=0.0),
    "an epsilon that is not a number": lambda d: d["totals"][0].update(epsilon=float("nan")),
    "an epsilon in words": lambda d: d["totals"][0].update(epsilon="1.0"),
    "fewer open runs": lambda d: d["totals"][0].update(open=0),
    "another unit": lambda d: d["totals"][0].update(unit="document"),
    "another limit": lambda d: d["totals"][0].update(limit=9.0),
    "a claim more": lambda d: d["totals"][0].update(audited=True),
    "a total that is none": lambda d: d.update(totals=["all is well"]),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_changed_claim_does_not_hold_though_the_entries_do(entries: tuple[Entry, ...], name: str) -> None:
    document = json.loads(exported.dump(entries))
    CLAIMS[name](document)
    result = exported.audit(exported.load(json.dumps(document)))
    assert result.verification.ok
    assert not result.claims_hold


def test_an_epsilon_of_another_version_of_the_accountant_holds(entries: tuple[Entry, ...]) -> None:
    document = json.loads(exported.dump(entries))
    document["totals"][0]["epsilon"] *= 1.004
    assert exported.audit(exported.load(json.dumps(document))).claims_hold


DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "another format": lambda d: d.update(format="ledger"),
    "a later version": lambda d: d.update(version=2),
    "no entries": lambda d: d.pop("entries"),
    "no head": lambda d: d.pop("head"),
    "no totals": lambda d: d.pop("totals"),
    "an entry that is a list": lambda d: d.update(entries=[[]]),
    "an entry with a column more": lambda d: d["entries"][0].update(note="x"),
    "an entry with a column less": lambda d: d["entries"][0].pop("payload"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_document_of_another_shape_is_refused(entries: tuple[Entry, ...], name: str) -> None:
    document = json.loads(exported.dump(entries))
    DAMAGE[name](document)
    with pytest.raises(exported.ExportFormatError):
        exported.load(json.dumps(document))


def test_an_export_says_how_to_recompute_it(
    entries: tuple[Entry, ...],
) -> None:
    document = json.loads(exported.dump(entries))
    assert (document["format"], document["version"]) == ("lexveil-ledger", 1)
    assert document["genesis"] == GENESIS
    assert {entry.kind for entry in entries} <= set(document["recompute"])
    assert document["head"] == entries[-1].hash
