"""Verification of a ledger's entries: their chain, every admission and all totals, recomputed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.ledger.budget import Account, Charge, Limit, Population, find_account
from lexveil.privacy.dp.ledger.chain import GENESIS, Entry, find_break

# In the payload of a reservation that was entered without regard to the limit.
LIMIT_WAIVED = "limit_waived"
# Totals recomputed on another machine differ by rounding.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Total:
    """The totals of a population, recomputed by `verify`.

    Attributes:
        population: The population.
        epsilon: Epsilon spent, at the limit's delta.
        filter_epsilon: The same as earlier versions computed it.
        limit: Limit in force; None if there is none.
        open: Number of open runs.
        committed: Number of committed runs.
        abandoned: Number of abandoned runs.
    """

    population: Population
    epsilon: float
    filter_epsilon: float
    limit: Limit | None
    open: int
    committed: int
    abandoned: int


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify`.

    Entries cut off at the end leave a shorter chain that is intact too: keep `head` and `entries` elsewhere
    (the run report prints them), and compare.

    Attributes:
        ok: True if the chain is intact, every reservation was admitted correctly, and nothing is missing.
        entries: Number of entries.
        broken_at: Position of the first bad entry; None if there is none.
        head: Hash of the last entry.
        totals: Totals of all populations, counting the entries before the first bad one.
        complete: False if no entry has the hash up to which the ledger was verified before: it was cut off,
            or replaced by another.
    """

    ok: bool
    entries: int
    broken_at: int | None
    head: str
    totals: tuple[Total, ...]
    complete: bool = True


def verify(entries: Sequence[Entry], checked: str | None = None) -> Verification:
    """Recompute the chain, the admissions and all totals of `entries`, wherever they were kept.

    It reads the entries once: its time is linear in their number.

    Args:
        entries: The entries.
        checked: Hash of an entry up to which this function has found everything right before. The admissions
            up to there are not recomputed, the chain and the totals are. It must come from a place where
            nobody can write who can write the ledger, such as a sealed note: whoever forges it hides a wrong
            admission. If no entry has this hash, everything is recomputed, and the result is not `ok`.

    Formal guarantee:
        If the result is `ok`, the chain is intact (see `find_break`), and every reservation was admitted by
        the filter under the limit in force at the time, up to the accuracy of `accounting.epsilon`, but for
        those that say that their limit was waived (`Ledger.enter_lost`), which count like all others. With
        `checked`: if it was the head of a ledger that was verified so. Its hash covers all entries before
        it, so these are the ones that were verified, if SHA-256 is collision-resistant.
    """
    broken = find_break(entries)
    sound = entries if broken is None else entries[: broken - 1]
    known = 0 if checked is None else next((entry.seq for entry in sound if entry.hash == checked), None)
    accounts: dict[tuple[str, str, str], Account] = {}
    for entry in sound:
        if entry.seq > (known or 0) and not _follows(accounts, entry):
            broken = entry.seq
            break
        find_account(accounts, entry.key).add(entry)
    totals = tuple(_compute_total(account) for account in accounts.values())
    head = entries[-1].hash if entries else GENESIS
    complete = known is not None or checked == GENESIS
    return Verification(broken is None and complete, len(entries), broken, head, totals, complete)


def _follows(accounts: Mapping[tuple[str, str, str], Account], entry: Entry) -> bool:
    """Return True unless an entry is a reservation or schedule that is not reproducible."""
    if entry.kind not in ("reserve", "announce"):
        return True
    account = accounts.get(entry.key) or Account(Population(*entry.key))
    return _is_admitted(account, entry.parse_payload())


def _is_admitted(account: Account, data: Mapping[str, Any]) -> bool:
    """Return True if the numbers of a reservation or schedule follow from the account before it."""
    charge = Charge.from_payload(data)
    if account.limit is None or (account.order or data["order"]) != data["order"]:
        return False
    if "schedule" in data:
        paid = next((one for one in account.schedules if one.id == data["schedule"]), None)
        return paid is not None and paid.pays_for(charge) and account.count_used(paid) < paid.runs
    total = account.epsilon_with(charge.repeat(data.get("runs", 1)), account.limit, data["order"])
    # Totals with a privacy loss distribution are computed to ACCURACY only.
    by_filter = account.has_charged_runs() and not any(one.planned for one in account.schedules)
    slack = (_TOLERANCE if by_filter else accounting.ACCURACY) * max(1.0, total)
    over = total > account.limit.epsilon + slack and not data.get(LIMIT_WAIVED)
    # Earlier versions had a looser bound for a first run with a cap on its draws: a larger total.
    looser = charge.truncation is not None and not account.has_charged_runs() and data["total"] > total
    return not over and (abs(total - data["total"]) <= slack or looser)


def _compute_total(account: Account) -> Total:
    states = [r.state for r in account.reservations]
    limit = account.limit
    return Total(
        account.population,
        account.spent_epsilon(limit.delta) if limit else 0.0,
        account.filter_epsilon(limit.delta) if limit else 0.0,
        limit,
        states.count("open"),
        states.count("committed"),
        states.count("abandoned"),
    )
