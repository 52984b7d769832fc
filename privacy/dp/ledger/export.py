"""The ledger as one JSON document for an auditor, who verifies it without the database.

    format, version   FORMAT and VERSION
    recompute         how the fields below follow from the entries, in words
    genesis, head     hash before the first entry, and hash of the last one
    entries           every entry in order, with all columns; `payload` is the JSON text that was hashed
    totals            per population: epsilon at the limit's delta, the limit, runs by state

It contains nothing from a document: only names of populations, numbers, times and digests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lexveil.privacy.dp.accounting import ACCURACY
from lexveil.privacy.dp.ledger.budget import Account, Charge, find_account
from lexveil.privacy.dp.ledger.chain import GENESIS, Entry, canonical_json, find_break
from lexveil.privacy.dp.ledger.verification import LIMIT_WAIVED, Total, Verification, verify

FORMAT = "lexveil-ledger"
VERSION = 1
_RECOMPUTE = {
    "hash": "SHA-256 of the entry without `hash`, as JSON with sorted keys, separators ',' and ':', ASCII; "
    "`previous` is the hash of the entry before, of the first `genesis`; `seq` counts from 1.",
    "limit": "payload epsilon, delta: in force from this entry on.",
    "reserve": "payload noise_multiplier, sample_rate, steps, truncation (if any): a run of Poisson-sampled "
    "Gaussian steps of sensitivity 1 under adding or removing one unit, charged in full; `order`: the Renyi "
    "order of the population, fixed by its first run; `total`: epsilon of all charged runs with this one.",
    "announce": "a schedule: payload as of a reservation, announced (its name), runs: that many such runs, "
    "charged together. It is planned if nothing was charged before it. A reservation with a field schedule "
    "is one of these runs (same sample_rate, steps and truncation, noise_multiplier up to 0.1 % above) and "
    "costs nothing more.",
    "commit": "payload steps: what the reservation is charged from now on, 0 for a run that touched no data; "
    "a schedule with 0 was withdrawn before any of its runs.",
    "abandon": "the reservation stays charged in full. A run that an earlier version stopped at a step that "
    "documents decided is exported as abandoned, and hashes from there on are of this export.",
    "limit_waived": "a reservation that was entered again after a ledger was lost: it counts, and its total "
    "may be above the limit.",
    "total": "R = sum over all charges but a planned schedule of steps times the step's Renyi divergence at "
    "`order` (Mironov, Talwar and Zhang 2019); epsilon = R + log(1 - 1/order) - log(delta order) / (order "
    "- 1). Of a first run, or a planned schedule, the smaller of that and its privacy loss distribution for "
    "all steps. Beside a planned schedule, both count at delta / 2, and their epsilons add up.",
    "totals": "as total, but the epsilon of R is the smallest over `order` at 0.99 delta and the orders 2, "
    "3, 4, 6, 8, 12, 16, 24, 32, 64 at 0.001 delta each. Earlier versions: at `order` alone.",
    "admission": "no `total` above the limit in force; entries that were cut off at the end show only "
    "against a head that was kept elsewhere.",
}


class ExportFormatError(ValueError):
    """The text is not a ledger export of this version."""


@dataclass(frozen=True, slots=True)
class Export:
    """A parsed document.

    Attributes:
        entries: All entries.
        head: Claimed hash of the last entry.
        totals: Claimed totals, one per population.
    """

    entries: tuple[Entry, ...]
    head: str
    totals: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ExportAudit:
    """The result of `audit`.

    Attributes:
        verification: Verification of the entries themselves.
        claims_hold: True if the document's head and totals follow from its entries.
    """

    verification: Verification
    claims_hold: bool


def dump(entries: Sequence[Entry]) -> str:
    """Return the document of a ledger's entries, whether their chain is intact or not."""
    verification = verify(entries)
    return json.dumps(
        {
            "format": FORMAT,
            "version": VERSION,
            "recompute": _RECOMPUTE,
            "genesis": GENESIS,
            "head": verification.head,
            "entries": [asdict(entry) for entry in entries],
            "totals": [_claim(total) for total in verification.totals],
        },
        indent=1,
    )


def conceal_stops(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the entries without the steps at which runs stopped.

    Earlier versions stopped a run at a number that was not finite, and committed the steps until then: a fact
    from documents, without noise. Such a run appears as abandoned at the time of its reservation, charged in
    full. Without its number, its hash would still confirm a guess of it, so the chain is made anew from there
    on, with the totals that follow; other ledgers are returned as they are. A broken chain stays broken: from
    the first bad entry on, nothing is touched.
    """
    broken = find_break(entries)
    sound = entries if broken is None else entries[: broken - 1]
    reserved = {entry.reservation: entry for entry in sound if entry.kind == "reserve"}
    stopped = {entry.seq for entry in sound if _is_stopped(entry, reserved)}
    if not stopped:
        return tuple(entries)
    made: list[Entry] = []
    accounts: dict[tuple[str, str, str], Account] = {}
    for entry in sound:
        account = find_account(accounts, entry.key)
        if entry.seq in stopped:
            entry = replace(entry, kind="abandon", payload="{}", at=reserved[entry.reservation].at)
        elif entry.kind in ("reserve", "announce"):
            entry = replace(entry, payload=_recompute_total(account, entry))
        draft = replace(entry, previous=made[-1].hash if made else GENESIS)
        made.append(replace(draft, hash=draft.digest()))
        account.add(made[-1])
    return (*made, *entries[len(made) :])


def _is_stopped(entry: Entry, reserved: Mapping[str | None, Entry]) -> bool:
    if entry.kind != "commit":
        return False
    return 0 < entry.parse_payload()["steps"] < reserved[entry.reservation].parse_payload()["steps"]


def _recompute_total(account: Account, entry: Entry) -> str:
    """Return the payload of a charge with the total that follows from the account before it."""
    data = entry.parse_payload()
    if "total" not in data:
        return entry.payload  # paid by a schedule
    assert account.limit is not None
    charge = Charge.from_payload(data).repeat(data.get("runs", 1))
    total = account.epsilon_with(charge, account.limit, data["order"])
    if abs(total - data["total"]) <= ACCURACY * total:
        return entry.payload
    waived = {LIMIT_WAIVED: True} if total > account.limit.epsilon else {}
    return canonical_json(data | {"total": total} | waived)


def load(text: str) -> Export:
    """Parse a document.

    Raises:
        ExportFormatError: The text is anything but a document of this version.
    """
    try:
        document = json.loads(text)
        if (document["format"], document["version"]) != (FORMAT, VERSION):
            raise ExportFormatError("not a ledger export, or of another version")
        entries = tuple(Entry.from_row(row) for row in document["entries"])
        return Export(entries, document["head"], tuple(document["totals"]))
    except (ValueError, KeyError, TypeError):
        raise ExportFormatError("not a ledger export, or of another version") from None


def audit(export: Export) -> ExportAudit:
    """Recompute everything that a document claims.

    Formal guarantee:
        If `verification.ok` and `claims_hold`, the entries are a chain in which every reservation was
        admitted under the limit in force, and head and totals follow from them. Assumption: the head is
        compared with one that was kept elsewhere; entries cut off at the end leave an intact chain.
    """
    verification = verify(export.entries)
    totals_hold = len(verification.totals) == len(export.totals) and all(
        map(_agree, verification.totals, export.totals)
    )
    return ExportAudit(verification, totals_hold and export.head == verification.head)


def _claim(total: Total) -> dict[str, Any]:
    population = {"population": total.population.name, "unit": total.population.unit}
    limit = {"limit": total.limit.epsilon, "delta": total.limit.delta} if total.limit else {}
    states = {"open": total.open, "committed": total.committed, "abandoned": total.abandoned}
    return {**population, "relation": total.population.relation, "epsilon": total.epsilon, **limit, **states}


def _agree(total: Total, theirs: Any) -> bool:
    ours = _claim(total)
    if not isinstance(theirs, dict) or ours.keys() != theirs.keys():  # pyright: ignore[reportUnknownMemberType]
        return False
    epsilon = theirs["epsilon"]
    if not isinstance(epsilon, float | int):
        return False
    close = any(abs(one - epsilon) <= ACCURACY * one for one in (total.epsilon, total.filter_epsilon))
    return close and all(theirs[name] == value for name, value in ours.items() if name != "epsilon")
