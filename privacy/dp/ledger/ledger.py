"""The privacy ledger: what the training runs on a population spent, and the refusal of runs over the limit.

    reserve (the most that the run can spend) -> train -> commit (what it did spend)

A run that dies between the two stays charged in full. A run that is restarted under the same idempotency key
gets the same reservation, and with it the secret from which its randomness is replayed: the same output,
hence the same spend. Nothing is ever refunded: an erased document has been used.

A schedule is announced and charged as a whole; a run that is one of its runs costs nothing more.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

from lexveil.privacy.dp import sampled_gaussian
from lexveil.privacy.dp.ledger.admission import (
    NoLimitError,
    admit,
    check_schedule,
    pay,
    require_one_unit,
)
from lexveil.privacy.dp.ledger.budget import (
    Account,
    Charge,
    Limit,
    Population,
    Reservation,
    Schedule,
    filter_order,
    fold_entries,
)
from lexveil.privacy.dp.ledger.chain import Entry, LedgerError, Store, Transaction, require_intact
from lexveil.privacy.dp.ledger.snapshot import Snapshot
from lexveil.privacy.dp.ledger.verification import LIMIT_WAIVED, Verification


class LedgerConflictError(LedgerError):
    """The request contradicts what the ledger already contains."""


class SecretLostError(LedgerConflictError):
    """The open run kept no secret to replay from: fresh randomness would be a second result under one charge.

    Attributes:
        reservation: The run.
    """

    def __init__(self, reservation: Reservation) -> None:
        super().__init__("the open run kept no secret to replay from: abandon it and reserve a new one")
        self.reservation = reservation


class ScheduleError(LedgerError):
    """A schedule of this name is another one, is not there, or has been used."""


class Ledger:
    """The ledger at a SQLAlchemy URL, `sqlite:///path` or `postgresql://...`, for any number of processes.

    Writers wait for each other. A lost PostgreSQL connection is opened again and the request repeated, under
    the same identity; if that does not help, `LedgerUnavailableError` is raised, by every method.

    Formal guarantee:
        For each population: what all reserved runs have released together is (epsilon, delta)-DP for the
        largest limit that was ever set, under its neighboring relation, although each run may have been
        chosen after seeing the results of those before. Several runs are held by a Renyi filter (Feldman &
        Zrnic 2021, "Individual Privacy Accounting via a Renyi Filter") at one order, fixed by
        the first charge before anything is released; choosing the best order afterwards would need a union
        bound. A single run may instead be admitted by its privacy loss distribution, which is tighter, its
        numbers being fixed before any release; it then closes the population unless the filter holds it as
        well. A schedule that was announced before any other charge is composed by its privacy loss
        distribution for the same reason; it has half of delta as soon as the filter admits runs beside it,
        which have the other half (`Account.spent_epsilon`). Assumptions: runs are what they were charged as;
        the secret of a run is used by that run only, with the same data and code under the same idempotency
        key; owners of populations of different names are disjoint; nobody rewrites the file (`verify` finds a
        change of an entry, not the loss of the last). One name has one unit and relation, which its first
        charge fixes: the same people counted twice would have two limits.

    Secrets are stored as given: wrap them. Their bytes leave the table's file when the reservation is
    settled. Out of reach are blocks that a file system keeps, and with PostgreSQL the write-ahead log until
    it is recycled, its archive, standbys, base backups and dumps made before.
    """

    def __init__(self, url: str) -> None:
        """Open or create the ledger.

        Raises:
            LedgerUrlError: The URL cannot name a ledger.
            LedgerUnavailableError: The database does not answer.
        """
        self._store = Store(url)

    def close(self) -> None:
        """Close the connections to the database."""
        self._store.close()

    def set_limit(self, population: Population, epsilon: float, delta: float) -> Limit:
        """Set the limit from now on, as a separate entry; nothing is written if it is already in force.

        Raises:
            ValueError: Unless epsilon > 0 and 0 < delta < 1.
        """
        sampled_gaussian.check_epsilon(epsilon)
        sampled_gaussian.check_delta(delta)
        limit = Limit(float(epsilon), float(delta))

        def append(transaction: Transaction) -> Limit:
            entries = require_intact(transaction.entries())
            if fold_entries(entries, population).limit != limit:
                transaction.append(entries, "limit", population.key, asdict(limit))
            return limit

        return self._store.write(append)

    def reserve(
        self, population: Population, charge: Charge, idempotency_key: str, secret: bytes | None = None
    ) -> Reservation:
        """Charge a run before it starts, or find the charge it already has.

        Args:
            population: Population to charge.
            charge: The run.
            idempotency_key: A digest of everything that decides the run: data, configuration, code.
            secret: Wrapped key of the run's randomness. A reservation that is found again carries the first
                one, and the run must replay from it.

        Returns:
            The reservation. If it is `committed` or `abandoned`, it must not run.

        Raises:
            BudgetExceededError: The run would exceed the limit.
            NoLimitError: The population has no limit.
            UnitConflictError: The population is charged in another unit.
            ValueError: The charge is impossible.
            LedgerConflictError: The key belongs to another charge.
            SecretLostError: An open run kept no secret to replay from.
            LedgerCorruptError: The chain is broken.

        Formal guarantee:
            That of the class: with the returned reservation everything that is charged stays within the
            limit.
        """
        sampled_gaussian.check_run(charge.noise_multiplier, charge.sample_rate, charge.steps)
        identifier = secrets.token_hex(16)

        def append(transaction: Transaction) -> Reservation:
            entries = require_intact(transaction.entries())
            account = fold_entries(entries, population)
            if idempotency_key in account.keys:
                known = account.keys[idempotency_key]
                if known == identifier:  # our own: the connection was lost before the answer arrived
                    return Reservation(identifier, population, charge, "open", None, secret)
                return _find_reservation(transaction, account, charge, known)
            require_one_unit(entries, population)
            schedule, payload = pay(account, charge)
            transaction.append(entries, "reserve", population.key, payload, identifier, idempotency_key)
            if secret is not None:
                transaction.keep_secret(identifier, secret)
            return Reservation(identifier, population, charge, "open", None, secret, schedule)

        return self._store.write(append)

    def announce(self, population: Population, name: str, charge: Charge, runs: int) -> Schedule:
        """Charge `runs` runs together, before any of them is reserved, or find the schedule of this name.

        Args:
            population: Population to charge.
            name: Name of the schedule.
            charge: Each of its runs.
            runs: Number of runs.

        Raises:
            BudgetExceededError: The schedule would exceed the limit.
            NoLimitError: The population has no limit.
            UnitConflictError: The population is charged in another unit.
            ValueError: The charge is impossible, or `runs` is below 1.
            ScheduleError: The name is that of another schedule.
            LedgerCorruptError: The chain is broken.

        Formal guarantee:
            That of the class: the schedule and all other charges stay within the limit.
        """
        whole = check_schedule(charge, runs)
        identifier, key = secrets.token_hex(16), _name_schedule(name)

        def append(transaction: Transaction) -> Schedule:
            entries = require_intact(transaction.entries())
            account = fold_entries(entries, population)
            if (known := next((e for e in entries if _is_announced(e, population, key)), None)) is not None:
                found = next((one for one in account.schedules if one.id == known.reservation), None)
                if found is None or (found.charge, found.runs) != (charge, runs):
                    raise ScheduleError(f"there was another schedule of the name {name}: choose another name")
                return found
            require_one_unit(entries, population)
            order, total = admit(account, whole, None if account.is_charged() else (charge, runs))
            payload = _describe_schedule(name, charge, runs) | {"order": order, "total": total}
            transaction.append(entries, "announce", population.key, payload, identifier, key)
            return Schedule(identifier, name, charge, runs, not account.is_charged())

        return self._store.write(append)

    def withdraw(self, population: Population, name: str) -> Schedule:
        """Take back a schedule of which no run was reserved: it has released nothing, so it costs nothing.

        Raises:
            ScheduleError: There is no such schedule, or a run of it was reserved.
            LedgerCorruptError: The chain is broken.
        """

        def append(transaction: Transaction) -> Schedule:
            entries = require_intact(transaction.entries())
            account = fold_entries(entries, population)
            found = next((one for one in account.schedules if one.name == name), None)
            if found is None:
                raise ScheduleError(f"the population has no schedule of the name {name}")
            if any(run.schedule == found.id for run in account.reservations):
                raise ScheduleError(f"a run of the schedule {name} was reserved, so it stays charged")
            transaction.append(entries, "commit", population.key, {"steps": 0}, found.id)
            return found

        return self._store.write(append)

    def check(self, population: Population, charges: Mapping[str, Charge], limit: Limit) -> None:
        """Check that `reserve` would admit charges one after the other. Nothing is charged.

        `reserve` decides nevertheless: another process may charge the population in between.

        Args:
            population: Population to charge.
            charges: Charges by their idempotency keys. An open run is not charged again, a settled one is.
            limit: Limit of a population that has none yet.

        Raises:
            BudgetExceededError: The charges would exceed the limit.
            UnitConflictError: The population is charged in another unit.
            ValueError: A charge is impossible.
            LedgerCorruptError: The chain is broken.
        """
        entries = require_intact(self.entries())
        account = fold_entries(entries, population)
        account.limit = account.limit or limit
        open_runs = {run.id for run in account.reservations if run.state == "open"}
        for key, charge in charges.items():
            sampled_gaussian.check_run(charge.noise_multiplier, charge.sample_rate, charge.steps)
            if account.keys.get(key) in open_runs:
                continue
            require_one_unit(entries, population)
            schedule, payload = pay(account, charge)
            account = account.with_run(charge, payload["order"], schedule)

    def enter_lost(
        self,
        population: Population,
        charge: Charge,
        reservation_id: str,
        order: float | None = None,
        *,
        schedule: str | None = None,
        announced: tuple[str, int] | None = None,
    ) -> None:
        """Enter a charge that a lost ledger contained; nothing happens if this one contains it.

        The run has been made, so the limit is not checked: the entry says so, and `verify` leaves it out of
        the check of the limit. Units are not compared either; `reserve` refuses a population of two.

        A schedule that is entered beside charges is no longer a planned one, and a run whose schedule is not
        there is charged itself: neither makes the total smaller than it was.

        Args:
            population: Population that was charged. It has a limit.
            charge: The run.
            reservation_id: Its identifier in the lost ledger.
            order: Renyi order of the lost filter, for a population without a charge.
            schedule: Id of the schedule that paid for the run.
            announced: Name and number of runs of a schedule of such runs; None: it is a run.

        Raises:
            NoLimitError: The population has no limit.
            LedgerCorruptError: The chain is broken.
        """
        sampled_gaussian.check_run(charge.noise_multiplier, charge.sample_rate, charge.steps)

        def append(transaction: Transaction) -> None:
            entries = require_intact(transaction.entries())
            if any(entry.reservation == reservation_id for entry in entries):
                return
            account = fold_entries(entries, population)
            if account.limit is None:
                raise NoLimitError("the population has no limit: set one before charges are entered")
            kept = account.order or order or filter_order(charge, account.limit)
            if announced is not None:
                name, runs = announced
                kind, key, payload = "announce", _name_schedule(name), _describe_schedule(name, charge, runs)
                paid, spends = None, charge.repeat(runs)
            else:
                kind, key, payload = "reserve", f"entered again: {reservation_id}", charge.to_payload()
                paid, spends = account.find_schedule(charge), charge
            if paid is not None and paid.id == schedule:
                payload |= {"order": kept, "schedule": paid.id}
            else:
                total = account.epsilon_with(spends, account.limit, kept)
                payload |= {"order": kept, "total": total, LIMIT_WAIVED: True}
            transaction.append(entries, kind, population.key, payload, reservation_id, key)

        self._store.write(append)

    def commit(self, reservation_id: str, actual_steps: int) -> None:
        """Settle a completed run: it is charged `actual_steps`, and its secret is destroyed.

        Call it when the run's result is safely stored: afterwards it cannot be replayed. 0 means that no step
        used the data. Committing the same steps again changes nothing.

        Raises:
            ValueError: The steps are outside 0..reserved.
            LedgerConflictError: The reservation is unknown, or was settled otherwise.
        """
        self._settle(reservation_id, "commit", actual_steps)

    def abandon(self, reservation_id: str) -> None:
        """Give up a run: it stays charged in full, and its secret is destroyed.

        It may have released something. No stage calls this: a person does, for an open run that can no longer
        be replayed, which `reserve` refuses to continue. The simulated schedules of crashes and races that
        test the guarantee of this class rest on it too.

        Raises:
            LedgerConflictError: The reservation is unknown or committed.
        """
        self._settle(reservation_id, "abandon", None)

    def read(self) -> Snapshot:
        """Read the ledger as of this moment; each of the methods below reads it again."""
        return Snapshot(self._store.entries())

    def spent_epsilon(self, population: Population, delta: float) -> float:
        """See `Snapshot.spent_epsilon`."""
        return self.read().spent_epsilon(population, delta)

    def reservations(self, population: Population) -> tuple[Reservation, ...]:
        """See `Snapshot.reservations`."""
        return self.read().reservations(population)

    def account(self, population: Population) -> Account:
        """See `Snapshot.account`."""
        return self.read().account(population)

    def limit(self, population: Population) -> Limit | None:
        """See `Snapshot.limit`."""
        return self.read().limit(population)

    def list_charged(self, name: str) -> tuple[Population, ...]:
        """See `Snapshot.list_charged`."""
        return self.read().list_charged(name)

    def populations(self) -> tuple[Population, ...]:
        """See `Snapshot.populations`."""
        return self.read().populations()

    def entries(self, population: Population | None = None) -> tuple[Entry, ...]:
        """Return the entries of one population, or of all, in order."""
        return tuple(e for e in self._store.entries() if population is None or e.key == population.key)

    def verify(self, checked: str | None = None) -> Verification:
        """See `Snapshot.verify`."""
        return self.read().verify(checked)

    def _settle(self, identifier: str, kind: Literal["commit", "abandon"], steps: int | None) -> None:
        def settle(transaction: Transaction) -> None:
            entries = require_intact(transaction.entries())
            reserved = next((e for e in entries if (e.kind, e.reservation) == ("reserve", identifier)), None)
            if reserved is None:
                raise LedgerConflictError("there is no such reservation")
            reserved_steps = reserved.parse_payload()["steps"]
            if steps is not None and not 0 <= steps <= reserved_steps:
                raise ValueError(f"steps must be between 0 and the {reserved_steps} reserved, found {steps}")
            payload = {} if steps is None else {"steps": int(steps)}
            settled = next((e for e in entries if e.reservation == identifier and e.kind != "reserve"), None)
            if settled is None:
                transaction.append(entries, kind, reserved.key, payload, identifier)
                transaction.destroy_secret(identifier)
            elif (settled.kind, settled.parse_payload()) != (kind, payload):
                raise LedgerConflictError("the reservation was already settled in another way")

        self._store.write(settle)


def _name_schedule(name: str) -> str:
    return f"announced: {name}"


def _is_announced(entry: Entry, population: Population, key: str) -> bool:
    return (entry.kind, entry.key, entry.idempotency_key) == ("announce", population.key, key)


def _describe_schedule(name: str, charge: Charge, runs: int) -> dict[str, Any]:
    return charge.to_payload() | {"announced": name, "runs": runs}


def _find_reservation(
    transaction: Transaction, account: Account, charge: Charge, identifier: str
) -> Reservation:
    run = next(r for r in account.reservations if r.id == identifier)
    if run.charge != charge:
        raise LedgerConflictError("the idempotency key belongs to another charge")
    secret = transaction.secret(identifier) if run.state == "open" else None
    if run.state == "open" and secret is None:
        raise SecretLostError(run)
    return replace(run, secret=secret)
