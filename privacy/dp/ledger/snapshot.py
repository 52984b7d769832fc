"""A ledger as of one moment, read once: all views of it for people, reports and audits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from lexveil.privacy.dp import sampled_gaussian
from lexveil.privacy.dp.ledger.admission import list_populations
from lexveil.privacy.dp.ledger.budget import Account, Limit, Population, Reservation, fold_all
from lexveil.privacy.dp.ledger.chain import Entry, require_intact
from lexveil.privacy.dp.ledger.verification import Verification, verify


class Snapshot:
    """The entries of a ledger, and what follows from them; its methods never read the database again.

    Attributes:
        entries: All entries in order.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Take the entries of a ledger; they are checked by the methods that sum them up."""
        self.entries = tuple(entries)

    @cached_property
    def _accounts(self) -> dict[tuple[str, str, str], Account]:
        return fold_all(require_intact(self.entries))

    def accounts(self) -> tuple[Account, ...]:
        """Return the accounts of all populations, in the order of their first entries.

        Raises:
            LedgerCorruptError: The chain is broken; so in all methods but `populations` and `verify`.
        """
        return tuple(self._accounts.values())

    def account(self, population: Population) -> Account:
        """Return the account of a population."""
        return self._accounts.get(population.key) or Account(population)

    def limit(self, population: Population) -> Limit | None:
        """Return the limit in force; None if there is none."""
        return self.account(population).limit

    def reservations(self, population: Population) -> tuple[Reservation, ...]:
        """Return all runs of a population, in order, without their secrets."""
        return self.account(population).reservations

    def spent_epsilon(self, population: Population, delta: float) -> float:
        """Return the epsilon of all committed, open and abandoned runs at `delta`.

        Raises:
            ValueError: Unless 0 < delta < 1.

        Formal guarantee:
            That of `Account.spent_epsilon`.
        """
        sampled_gaussian.check_delta(delta)
        return self.account(population).spent_epsilon(delta)

    def list_charged(self, name: str) -> tuple[Population, ...]:
        """Return the charged populations of a name: more than one in a ledger of an earlier version."""
        named = (account for account in self.accounts() if account.population.name == name)
        return tuple(account.population for account in named if account.is_charged())

    def populations(self) -> tuple[Population, ...]:
        """Return all populations with an entry, in the order of their first entries."""
        return list_populations(self.entries)

    def verify(self, checked: str | None = None) -> Verification:
        """Recompute the chain, the admissions after the entry `checked`, and all totals.

        See `lexveil.privacy.dp.ledger.verification.verify`.
        """
        return verify(self.entries, checked)
