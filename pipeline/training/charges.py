"""The records of charges outside the ledger: the log, the models' cards and the key table.

A ledger that was deleted, or restored from an older copy, has forgotten what was spent. So before a run
starts, its charge is written to the signed log with all its numbers, and the key table keeps the head that
the ledger had last. Nothing is charged while the ledger lacks something that these three know; what is
missing is entered again from them. A workspace of an earlier version has neither: its first opening takes
over what the ledger holds, if the log and the cards agree.

Not covered: a workspace that was restored as a whole, with its log, cards and key table; and charges of other
workspaces on the same people that this one has never seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lexveil.pipeline.errors import BudgetRefusedError
from lexveil.pipeline.models.card import CARD
from lexveil.pipeline.workspace.audit_log import Entry as LogEntry
from lexveil.pipeline.workspace.documents import split_owners
from lexveil.pipeline.workspace.storage import read_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.budget import Charge, Limit, Population
from lexveil.privacy.dp.ledger.chain import GENESIS, Entry, require_intact
from lexveil.privacy.dp.ledger.ledger import Ledger
from lexveil.privacy.dp.ledger.snapshot import Snapshot
from lexveil.privacy.dp.ledger.verification import Verification
from lexveil.privacy.dp.sampled_gaussian import Truncation

FIXED_GRAPH = "fixed_graph_remove_one"
_RELATIONS = {
    "add_or_remove_one": "add or remove one {unit} with all of its items",
    FIXED_GRAPH: (
        "remove one {unit} with all documents that it has, alone or with others, where who has which "
        "documents is fixed and public"
    ),
}
_CHARGE, _RELEASE, _VERIFIED = "charge", "charge-released", "ledger-verified"
_CHARGES = ("reserve", "announce")  # the kinds of entries of the ledger that charge
_WHAT_TO_DO = (
    "put the newest copy of the ledger back, or enter what is missing with `lexveil recover -w WORKSPACE` "
    "(--log FILE reads a later copy of the log)"
)


def determine_unit(workspace: Workspace) -> str:
    """Return the unit of the guarantee: that of the settings, or "owner" if documents name their owners."""
    return workspace.settings.ledger.unit or ("owner" if has_owners(workspace) else "document")


def has_owners(workspace: Workspace) -> bool:
    """Return True if documents have owners other than themselves."""
    catalogue = workspace.catalogue.read()
    return not catalogue.column("owner").equals(catalogue.column("doc_id"))


def determine_population(workspace: Workspace, ledger: Ledger | Snapshot) -> Population:
    """Return the configured population, in the unit and under the relation of the settings and documents.

    The relation is `FIXED_GRAPH` if any document has several owners, and stays so: it is the same as the
    other one where each document has one owner.
    """
    name, unit = workspace.settings.ledger.population, determine_unit(workspace)
    shared = Population(name, unit, FIXED_GRAPH)
    if unit == "owner":
        owners = {str(owner) for owner in workspace.catalogue.read().column("owner").unique().to_pylist()}
        if any(len(split_owners(owner)) > 1 for owner in owners) or ledger.account(shared).is_charged():
            return shared
    return Population(name, unit)


def describe_relation(population: Population) -> str:
    """Return the neighboring relation of a population in words, as a model's card has it."""
    return _RELATIONS[population.relation].format(unit=population.unit)


@dataclass(frozen=True, slots=True)
class KnownCharge:
    """A charge that the log or a model's card records.

    Attributes:
        reservation: its id in the ledger.
        population: the population that was charged.
        charge: the run; None: an earlier version recorded no numbers.
        order: Renyi order of the ledger's filter, where it is known.
        schedule: the id of the schedule that has paid for the run.
        announced: name and number of runs of a schedule of such runs; None: it is a run.
    """

    reservation: str
    population: Population
    charge: Charge | None
    order: float | None = None
    schedule: str | None = None
    announced: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """What the ledger lacks of a population.

    Attributes:
        charges: charges that it does not contain.
        forgotten: number of further charges, which only the key table has counted.
        other_ledger: True if it does not contain the head that this workspace knew last: it is an older copy,
            or another ledger.
    """

    charges: tuple[KnownCharge, ...]
    forgotten: int
    other_ledger: bool

    def __bool__(self) -> bool:
        return bool(self.charges or self.forgotten) or self.other_ledger

    def describe(self) -> str:
        """Return the gap in a clause, for a refusal."""
        if not self.charges and not self.forgotten:
            return "this is not the ledger that the workspace used last, or it is an older copy"
        count = len(self.charges) + self.forgotten
        charges = "charge" if count == 1 else "charges"
        return f"the ledger lacks {count} {charges} that the log, a model's card or the key table records"


def find_gap(workspace: Workspace, ledger: Ledger, population: str, *, head: bool = True) -> Gap:
    """Compare the ledger with all that is known of a population's charges.

    Args:
        workspace: the workspace.
        ledger: the ledger.
        population: name of the population.
        head: also compare the head in the key table, which the master key opens.
    """
    entries = ledger.entries()
    reserved = {entry.reservation for entry in entries if entry.kind in _CHARGES}
    known = _list_known_charges(workspace, workspace.log.read(), population)
    missing = tuple(one for one in known if one.reservation not in reserved)
    note = workspace.keys.recall(_name_note(population)) if head else None
    if note is None:
        return Gap(missing, 0, other_ledger=False)
    last, count = json.loads(note)
    forgotten = count - len(_list_charged(entries, population)) - len(missing)
    return Gap(missing, max(0, forgotten), last not in {GENESIS, *(entry.hash for entry in entries)})


def count_missing_charges(workspace: Workspace, ledger: Ledger) -> int:
    """Count the charges, of any population, that the log or a card records and the ledger lacks."""
    return sum(
        len(find_gap(workspace, ledger, name, head=False).charges) for name in _list_populations(workspace)
    )


def require_complete(workspace: Workspace, ledger: Ledger, population: str) -> None:
    """Refuse to charge a ledger that has forgotten something, or beside a log that was changed.

    Raises:
        BudgetRefusedError: the ledger lacks a charge or is not the one that was used last, or the log is
            broken.
    """
    if not workspace.log.verify().intact:
        raise BudgetRefusedError(
            "the workspace's log was changed (`lexveil log verify`), so what was spent cannot be compared: "
            "restore the newest copy of the log"
        )
    if gap := find_gap(workspace, ledger, population):
        raise BudgetRefusedError(f"the privacy ledger refuses: {gap.describe()}; {_WHAT_TO_DO}")


def record_charges(
    workspace: Workspace, ledger: Ledger, population: str, names: Mapping[str, str] | None = None
) -> None:
    """Log the charges of a population that the log lacks, and keep the ledger's head in the key table.

    The ledger must be complete (`find_gap`). Charges of other workspaces on the same population are logged
    too: this workspace then misses them as well, should the shared ledger be lost.

    Args:
        workspace: the workspace.
        ledger: the ledger.
        population: name of the population.
        names: what reservations are made for, such as the name of a model.
    """
    entries = require_intact(ledger.entries())
    logged = {entry.facts["reservation"] for entry in workspace.log.read() if entry.action == _CHARGE}
    limits: dict[tuple[str, str, str], Limit] = {}
    for entry in entries:
        if entry.kind == "limit":
            limits[entry.key] = Limit(**entry.parse_payload())
        known = entry.kind not in _CHARGES or entry.reservation in logged
        if known or entry.population != population:
            continue
        name = (names or {}).get(entry.reservation or "")
        facts = _describe_charge(entry, limits.get(entry.key)) | ({} if name is None else {"name": name})
        workspace.log.append(_CHARGE, "done", facts)
    kept = workspace.keys.recall(_name_note(population))
    head = entries[-1].hash if entries else GENESIS
    note = json.dumps([head, len(_list_charged(entries, population))])
    if kept != note and (entries or kept is not None):  # reading a ledger that was never used writes nothing
        workspace.keys.remember(_name_note(population), note)


def verify_new_entries(workspace: Workspace, ledger: Snapshot) -> Verification:
    """Verify the ledger, but for the admissions that the signed log says were verified before.

    The chain is recomputed from its first entry, so a history that was changed is found; and the entry up to
    which it was verified must still be there, so one that was cut off is found too. The log's entry counts
    only if its signature is right: whoever can write the ledger cannot make a wrong admission pass for
    a verified one.
    """
    noted = workspace.log.find_last(_VERIFIED)
    checked = None if noted is None else str(noted.facts["head"])
    verification = ledger.verify(checked)
    if verification.ok and verification.head != (checked or GENESIS):
        note_verified(workspace, verification)
    return verification


def note_verified(workspace: Workspace, verification: Verification) -> None:
    """Log that the ledger was verified up to its head."""
    facts = {"head": verification.head, "entries": verification.entries}
    workspace.log.append(_VERIFIED, "done", facts)


def release(workspace: Workspace, ledger: Ledger, reservation: str) -> None:
    """Settle a run that read no document: it costs nothing, and is not missed if the ledger is lost."""
    ledger.commit(reservation, 0)
    log_release(workspace, reservation)


def log_release(workspace: Workspace, reservation: str) -> None:
    """Log that a run or a schedule was settled at no cost, so that it is not missed if the ledger is lost."""
    workspace.log.append(_RELEASE, "done", {"reservation": reservation})


def enter_missing_charges(workspace: Workspace, ledger: Ledger) -> tuple[int, int]:
    """Enter into the ledger all charges that the log and the cards know and it lacks.

    A run whose model is saved counts as completed, any other as abandoned: both are charged in full, whatever
    the limit. The limit is the smaller of the ledger's and the last one in the log. From then on this is the
    ledger that the workspace knows, unless a charge could not be entered.

    Returns:
        The number of charges entered, and of those whose numbers nothing has recorded.
    """
    saved = {card["reservation"] for card in _read_cards(workspace)}
    entered = unknown = 0
    for name in _list_populations(workspace):
        gap = find_gap(workspace, ledger, name)
        _restore_limits(workspace, ledger, name, gap)
        lacking = [known for known in gap.charges if known.charge is None]
        for known in gap.charges:
            if known.charge is not None:
                ledger.enter_lost(
                    known.population,
                    known.charge,
                    known.reservation,
                    known.order,
                    schedule=known.schedule,
                    announced=known.announced,
                )
                if known.announced is None:
                    steps = known.charge.steps if known.reservation in saved else None
                    _settle(ledger, known.reservation, steps)
        entered, unknown = entered + len(gap.charges) - len(lacking), unknown + len(lacking) + gap.forgotten
        if not lacking and not gap.forgotten:
            record_charges(workspace, ledger, name)
    return entered, unknown


def _settle(ledger: Ledger, reservation: str, steps: int | None) -> None:
    if steps is None:
        ledger.abandon(reservation)
    else:
        ledger.commit(reservation, steps)


def _restore_limits(workspace: Workspace, ledger: Ledger, name: str, gap: Gap) -> None:
    """Set the limit that the log had last, if the ledger has none or is an older copy with a larger one."""
    logged = [
        Limit(entry.facts["limit"], entry.facts["delta"])
        for entry in workspace.log.read()
        if entry.facts.get("population") == name and "limit" in entry.facts
    ]
    own = workspace.settings.ledger
    last = logged[-1] if logged else Limit(own.limit_epsilon, own.limit_delta)
    present = [population for population in ledger.populations() if population.name == name]
    for population in dict.fromkeys([*present, *(known.population for known in gap.charges)]):
        limit = ledger.limit(population)
        if limit is None or (gap.other_ledger and last.epsilon < limit.epsilon):
            ledger.set_limit(population, last.epsilon, last.delta)


def _list_known_charges(
    workspace: Workspace, log: Sequence[LogEntry], population: str
) -> tuple[KnownCharge, ...]:
    """List the charges of a population that the log or a card records, in the order of the log."""
    known: dict[str, KnownCharge] = {}
    for entry in log:
        facts = entry.facts
        if facts.get("population") == population and facts.get("reservation"):
            one = _read_logged(entry)
            if one.charge is not None or one.reservation not in known:
                known[one.reservation] = one
    for card in _read_cards(workspace):
        one = known.get(card["reservation"])
        if card["population"] == population and (one is None or one.charge is None):
            who = _read_population(card)
            known[card["reservation"]] = KnownCharge(card["reservation"], who, _read_charge(card))
    released = {entry.facts["reservation"] for entry in log if entry.action == _RELEASE}
    return tuple(one for one in known.values() if one.reservation not in released)


def _read_logged(entry: LogEntry) -> KnownCharge:
    """Read a charge from the log: with its numbers, or from an earlier version, which logged only its id."""
    facts = entry.facts
    if entry.action != _CHARGE:
        return KnownCharge(facts["reservation"], Population(facts["population"], facts["unit"]), None)
    who = Population(facts["population"], facts["unit"], facts["relation"])
    announced = (facts["announced"], facts["runs"]) if "announced" in facts else None
    schedule = facts.get("schedule")
    return KnownCharge(
        facts["reservation"], who, Charge.from_payload(facts), facts["order"], schedule, announced
    )


def _list_populations(workspace: Workspace) -> list[str]:
    """List the names of the configured population and of all of which the log or a card records a charge."""
    log = [entry.facts for entry in workspace.log.read()]
    named = [facts["population"] for facts in log if "population" in facts and "reservation" in facts]
    cards = [card["population"] for card in _read_cards(workspace)]
    return list(dict.fromkeys([workspace.settings.ledger.population, *named, *cards]))


def _describe_charge(entry: Entry, limit: Limit | None) -> dict[str, Any]:
    """Return what the log keeps of a charge: the ledger's numbers, and its head with it."""
    population, unit, relation = entry.key
    key = {"reservation": entry.reservation, "population": population, "unit": unit, "relation": relation}
    limits = {} if limit is None else {"limit": limit.epsilon, "delta": limit.delta}
    return key | entry.parse_payload() | limits | {"head": entry.hash}


def _read_cards(workspace: Workspace) -> list[dict[str, Any]]:
    """Read the cards of all saved models, oldest first."""
    cards = [
        card
        for path in workspace.models.glob(f"*/{CARD}")
        if not path.parent.name.startswith(".") and (card := read_json(path)) is not None
    ]
    return sorted(cards, key=lambda card: card["created"])


def _read_population(card: Mapping[str, Any]) -> Population:
    shared = Population(card["population"], card["unit"], FIXED_GRAPH)
    return shared if card["relation"] == describe_relation(shared) else Population(*shared.key[:2])


def _read_charge(card: Mapping[str, Any]) -> Charge:
    cut = None if card["max_batch"] is None else Truncation(card["max_batch"], card["owners"])
    return Charge(card["noise_multiplier"], card["sample_rate"], card["steps"], cut)


def _list_charged(entries: Sequence[Entry], population: str) -> set[str | None]:
    """List the reservations of a population but for those that were settled at no cost."""
    mine = [entry for entry in entries if entry.population == population]
    free = {one.reservation for one in mine if one.kind == "commit" and not one.parse_payload()["steps"]}
    return {one.reservation for one in mine if one.kind in _CHARGES} - free


def _name_note(population: str) -> str:
    return f"ledger/{population}"
