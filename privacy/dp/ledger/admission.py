"""Admission of charges: whether a run or a schedule stays within the limit of its population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lexveil.privacy.dp import sampled_gaussian
from lexveil.privacy.dp.ledger.budget import (
    Account,
    Charge,
    Population,
    choose_order,
    filter_order,
    fold_all,
    single_run_epsilon,
)
from lexveil.privacy.dp.ledger.chain import Entry, LedgerError


class NoLimitError(LedgerError):
    """A reservation in a population whose limit was never set."""


class UnitConflictError(LedgerError):
    """The population is charged in another unit, or under another relation, than its first charge fixed.

    Attributes:
        fixed: Every unit in which the population is already charged; more than one only in a ledger of an
            earlier version.
        asked: The unit of the refused charge.
    """

    def __init__(self, fixed: Sequence[Population], asked: Population) -> None:
        units = " and ".join(population.unit for population in fixed)
        first = f"population {asked.name} counts by {units} since its first charge"
        line = f"{first}, this run counts by {asked.unit}"
        if all(population.unit == asked.unit for population in fixed):
            relations = " and ".join(population.relation for population in fixed)
            line += f" under the relation {asked.relation} instead of {relations}"
        super().__init__(line)
        self.fixed, self.asked = tuple(fixed), asked


class BudgetExceededError(LedgerError):
    """The run or schedule would exceed the limit.

    Attributes:
        spent: Epsilon of all runs so far.
        asked: Epsilon of the refused run alone.
        total: Epsilon of all runs with the refused one.
        limit: Epsilon of the limit.
    """

    def __init__(self, spent: float, asked: float, total: float, limit: float, delta: float) -> None:
        super().__init__(
            f"epsilon {spent:.4g} is spent, the run alone costs {asked:.4g}, "
            f"together they would cost {total:.4g} of at most {limit:.4g}, at the ledger's delta {delta:.4g}"
        )
        self.spent, self.asked, self.total, self.limit = spent, asked, total, limit


def pay(account: Account, charge: Charge) -> tuple[str | None, dict[str, Any]]:
    """Return the schedule that has paid for a charge, if there is one, and the payload of its reservation.

    Raises:
        NoLimitError: The population has no limit.
        BudgetExceededError: The charge would exceed the limit.
    """
    if (schedule := account.find_schedule(charge)) is not None:
        return schedule.id, charge.to_payload() | {"order": account.order, "schedule": schedule.id}
    order, total = admit(account, charge)
    return None, charge.to_payload() | {"order": order, "total": total}


def admit(account: Account, charge: Charge, planned: tuple[Charge, int] | None = None) -> tuple[float, float]:
    """Return the filter's order, and the total with `charge`, which may be a planned schedule.

    Raises:
        NoLimitError: The population has no limit.
        BudgetExceededError: The total exceeds the limit.
    """
    if account.limit is None:
        raise NoLimitError("the population has no limit: set one before anything is trained on it")
    first = filter_order(charge, account.limit) if planned is None else choose_order(*planned, account.limit)
    order = account.order or first
    total = account.epsilon_with(charge, account.limit, order)
    shown = total
    if total <= account.limit.epsilon:  # else a tight bound may take minutes
        # What will be shown stays within the limit, too: at the filter's order it has a share of delta only.
        shown = max(total, account.with_run(charge, order).spent_epsilon(account.limit.delta))
    if shown > account.limit.epsilon:
        spent, asked = account.spent_epsilon(account.limit.delta), single_run_epsilon(charge, account.limit)
        raise BudgetExceededError(spent, asked, shown, account.limit.epsilon, account.limit.delta)
    return order, total


def check_schedule(charge: Charge, runs: int) -> Charge:
    """Return all runs of a schedule as one charge.

    Raises:
        ValueError: The charge is impossible, or `runs` is below 1.
    """
    sampled_gaussian.check_run(charge.noise_multiplier, charge.sample_rate, charge.steps)
    if runs < 1:
        raise ValueError(f"a schedule has at least 1 run, found {runs}")
    return charge.repeat(runs)


def require_one_unit(entries: Sequence[Entry], population: Population) -> None:
    """Refuse to count people of one name in two ways. A limit alone fixes nothing: it costs nothing.

    Raises:
        UnitConflictError: The name is charged in another unit or under another relation.
    """
    charged = list_charged(entries, population.name)
    if any(one.key != population.key for one in charged):
        raise UnitConflictError(charged, population)


def list_charged(entries: Sequence[Entry], name: str) -> tuple[Population, ...]:
    """Return the units and relations in which a population of this name is charged."""
    accounts = fold_all(entry for entry in entries if entry.population == name)
    return tuple(account.population for account in accounts.values() if account.is_charged())


def list_populations(entries: Sequence[Entry]) -> tuple[Population, ...]:
    """Return the populations that entries name, in the order of their first entry."""
    return tuple(Population(*key) for key in dict.fromkeys(e.key for e in entries))
