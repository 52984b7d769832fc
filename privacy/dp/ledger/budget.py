"""The arithmetic of the ledger: folding entries into an account, and the filter that admits the next run.

Pure functions of the entries, so that `verify` recomputes what `reserve` decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.accounting import Truncation
from lexveil.privacy.dp.ledger.chain import Entry

# Renyi DP overstates epsilon by less than this factor.
_RDP_EXCESS = 8


@dataclass(frozen=True, slots=True)
class Population:
    """A set of people whose privacy is counted together.

    Populations of two names are counted separately, so they must share no owner. One name has one unit, which
    its first charge fixes (`Ledger.reserve`): an owner of k documents loses up to k times the epsilon of a
    unit of one document.

    Attributes:
        name: Name of the population.
        unit: Privacy unit.
        relation: Neighboring relation.
    """

    name: str
    unit: str = "document"
    relation: str = "add_or_remove_one"

    @property
    def key(self) -> tuple[str, str, str]:
        """The triple (population, unit, relation), as in the entries."""
        return (self.name, self.unit, self.relation)


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a population may ever spend."""

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class Charge:
    """A run of DP-SGD: a Poisson-sampled Gaussian mechanism, `steps` times.

    Attributes:
        noise_multiplier: Noise multiplier.
        sample_rate: Probability with which each owner takes part in a step.
        steps: Number of steps.
        truncation: Cap of truncated Poisson sampling, if there is one.
    """

    noise_multiplier: float
    sample_rate: float
    steps: int
    truncation: Truncation | None = None

    @classmethod
    def from_payload(cls, data: Mapping[str, Any]) -> Charge:
        """Return the charge of a reservation's payload, whose other fields are ignored."""
        cut = data.get("truncation")
        return cls(
            data["noise_multiplier"], data["sample_rate"], data["steps"], Truncation(**cut) if cut else None
        )

    def to_payload(self) -> dict[str, Any]:
        """Return the fields of the charge in a reservation's payload."""
        data = asdict(self)
        if self.truncation is None:
            del data["truncation"]
        return data

    def epsilon(self, delta: float) -> float:
        """Return the epsilon of this run alone, by privacy loss distributions (see `accounting.epsilon`)."""
        return accounting.epsilon(
            self.noise_multiplier, self.sample_rate, self.steps, delta, truncation=self.truncation
        )

    def rdp_epsilon(self, delta: float) -> float:
        """Return the epsilon of this run alone by Renyi DP, which is looser and fast."""
        return accounting.rdp_epsilon(
            self.noise_multiplier, self.sample_rate, self.steps, delta, truncation=self.truncation
        )

    def rdp(self, order: float, steps: int | None = None) -> float:
        """Return the Renyi divergence of `order`, of all steps or of `steps` of them."""
        count = self.steps if steps is None else steps
        return accounting.rdp(
            self.noise_multiplier, self.sample_rate, count, order, truncation=self.truncation
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reserved charge. Only an `open` one may be run, with randomness from its secret.

    Attributes:
        id: Identifier of the reservation.
        population: Population that is charged.
        charge: Reserved charge.
        state: State of the run.
        actual_steps: Number of steps that a commit recorded.
        secret: Wrapped key of the run's randomness, where it was requested and is still kept.
    """

    id: str
    population: Population
    charge: Charge
    state: Literal["open", "committed", "abandoned"]
    actual_steps: int | None
    secret: bytes | None = field(default=None, repr=False)

    @property
    def charged_steps(self) -> int:
        """Number of steps that count: all, unless a commit recorded fewer."""
        return self.charge.steps if self.actual_steps is None else self.actual_steps


def filter_order(charge: Charge, limit: Limit) -> float:
    """Return the Renyi order under which the most copies of `charge` fit into `limit`."""

    def copies(order: float) -> float:
        return _budget(order, limit) / charge.rdp(order)

    return max(accounting.RDP_ORDERS, key=copies)


def single_run_epsilon(charge: Charge, limit: Limit) -> float:
    """Return the epsilon of one run.

    Where it exceeds `limit` by far, only a loose bound is computed: the tight one would take minutes.
    """
    loose = charge.rdp_epsilon(limit.delta)
    return loose if loose > _RDP_EXCESS * limit.epsilon else min(loose, charge.epsilon(limit.delta))


def _budget(order: float, limit: Limit) -> float:
    # The inverse of rdp_to_epsilon, which is an offset beyond zero.
    offset = accounting.rdp_to_epsilon(1e6, order, limit.delta) - 1e6
    return limit.epsilon - offset


@dataclass(frozen=True, slots=True)
class Account:
    """The folded entries of one population.

    Attributes:
        population: The population.
        limit: Limit in force; None if there is none.
        order: Renyi order of the filter; None before the first reservation.
        reservations: All runs, in order.
        keys: Reservation by idempotency key.
    """

    population: Population
    limit: Limit | None
    order: float | None
    reservations: tuple[Reservation, ...]
    keys: dict[str, str]

    def charged_runs(self) -> list[Reservation]:
        """Return the runs that count: a run without a step has released nothing."""
        return [r for r in self.reservations if r.charged_steps]

    def rdp(self) -> float:
        """Return the Renyi divergence of all runs at the filter's order."""
        order = self.order or 0.0
        return sum(r.charge.rdp(order, r.charged_steps) for r in self.charged_runs())

    def spent_epsilon(self, delta: float) -> float:
        """Return the epsilon of all runs at `delta`.

        Formal guarantee:
            Everything that the charged runs released together is (epsilon, delta)-DP: for several runs by the
            Renyi filter at its fixed order, for a single one by the smaller of that and its privacy loss
            distribution. Assumptions: those of `Ledger`.
        """
        charged = self.charged_runs()
        if not charged or self.order is None:
            return 0.0
        total = accounting.rdp_to_epsilon(self.rdp(), self.order, delta)
        # For a single run the tighter bound holds too. It counts all reserved steps, since the moment at
        # which a run stopped may have depended on the data.
        return min(total, charged[0].charge.epsilon(delta)) if len(charged) == 1 else total

    def epsilon_with(self, charge: Charge, limit: Limit, order: float) -> float:
        """Return the epsilon of all runs together with `charge`, by the bound that may admit it.

        Formal guarantee:
            That of `Ledger`.
        """
        charged = self.charged_runs()
        added = accounting.rdp_to_epsilon(self.rdp() + charge.rdp(order), order, limit.delta)
        if not charged:
            return min(added, single_run_epsilon(charge, limit))
        # A first run that only its tighter bound admitted has closed the population: that bound says
        # nothing about later runs, so the filter must have admitted it as it was reserved.
        first = accounting.rdp_to_epsilon(charged[0].charge.rdp(order), order, limit.delta)
        return max(added, first)


def fold_entries(entries: Sequence[Entry], population: Population) -> Account:
    """Return the account of `population`; entries of other populations are ignored."""
    limit: Limit | None = None
    order: float | None = None
    keys: dict[str, str] = {}
    runs: dict[str, Reservation] = {}
    for entry in entries:
        if entry.key != population.key:
            continue
        data, run = entry.parse_payload(), entry.reservation or ""
        if entry.kind == "limit":
            limit = Limit(**data)
        elif entry.kind == "reserve":
            order = order or data["order"]
            charge = Charge.from_payload(data)
            runs[run] = Reservation(run, population, charge, "open", None)
            keys[entry.idempotency_key or ""] = run
        elif entry.kind == "commit":
            runs[run] = Reservation(run, population, runs[run].charge, "committed", data["steps"])
        else:
            runs[run] = Reservation(run, population, runs[run].charge, "abandoned", None)
    return Account(population, limit, order, tuple(runs.values()), keys)


@dataclass(frozen=True, slots=True)
class SpendingPoint:
    """The total of a population after an entry, at the delta of the limit in force.

    Attributes:
        seq: Number of the entry.
        at: Time of the entry.
        spent: Epsilon spent.
        limit: Limit in force.
    """

    seq: int
    at: str
    spent: float
    limit: Limit


def spending_history(entries: Sequence[Entry], population: Population) -> tuple[SpendingPoint, ...]:
    """Return one point per entry of a population, from its first limit on."""
    mine = [entry for entry in entries if entry.key == population.key]
    moments: list[SpendingPoint] = []
    for count, entry in enumerate(mine, start=1):
        account = fold_entries(mine[:count], population)
        if account.limit is not None:
            moments.append(
                SpendingPoint(entry.seq, entry.at, account.spent_epsilon(account.limit.delta), account.limit)
            )
    return tuple(moments)
