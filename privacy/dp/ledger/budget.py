"""How a population's runs add up: entries folded into an account, and the filter that admits the next run.

Pure functions of the entries, so that `verify` recomputes what `reserve` decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.accounting import Truncation
from lexveil.privacy.dp.ledger.chain import Entry

# Renyi DP overstates epsilon by less than this.
_HOPELESS = 8


@dataclass(frozen=True, slots=True)
class Population:
    """Whose privacy is counted. Two populations add up separately, so they must share no owner, and one
    set of people must not be named under two units: an owner of k documents loses up to k times the
    epsilon of a unit of one document.
    """

    name: str
    unit: str = "document"
    relation: str = "add_or_remove_one"

    @property
    def key(self) -> tuple[str, str, str]:
        """(population, unit, relation), as entries name it."""
        return (self.name, self.unit, self.relation)


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a population may ever spend."""

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class Charge:
    """A run of DP-SGD: Poisson-sampled Gaussian, `steps` times; with `truncation`, truncated Poisson."""

    noise_multiplier: float
    sample_rate: float
    steps: int
    truncation: Truncation | None = None

    @classmethod
    def from_payload(cls, data: Mapping[str, Any]) -> Charge:
        """The charge of a reservation's payload, whose other fields are passed over."""
        cut = data.get("truncation")
        return cls(
            data["noise_multiplier"], data["sample_rate"], data["steps"], Truncation(**cut) if cut else None
        )

    def to_payload(self) -> dict[str, Any]:
        """What a reservation's payload says of the charge."""
        data = asdict(self)
        if self.truncation is None:
            del data["truncation"]
        return data

    def epsilon(self, delta: float) -> float:
        """Epsilon of this run alone (privacy loss distributions)."""
        return accounting.epsilon(
            self.noise_multiplier, self.sample_rate, self.steps, delta, truncation=self.truncation
        )

    def rdp_epsilon(self, delta: float) -> float:
        """Epsilon of this run alone by Renyi DP: looser, and quick."""
        return accounting.rdp_epsilon(
            self.noise_multiplier, self.sample_rate, self.steps, delta, truncation=self.truncation
        )

    def rdp(self, order: float, steps: int | None = None) -> float:
        """Renyi divergence of `order`, of all steps or of `steps` of them."""
        count = self.steps if steps is None else steps
        return accounting.rdp(
            self.noise_multiplier, self.sample_rate, count, order, truncation=self.truncation
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """A charge that stands. Only an `open` one may be run, with randomness from its secret."""

    id: str
    population: Population
    charge: Charge
    state: Literal["open", "committed", "abandoned"]
    actual_steps: int | None
    secret: bytes | None = field(default=None, repr=False)

    @property
    def charged_steps(self) -> int:
        """The steps that count: all until a commit says fewer."""
        return self.charge.steps if self.actual_steps is None else self.actual_steps


def filter_order(charge: Charge, limit: Limit) -> float:
    """The Renyi order under which the most copies of `charge` fit into `limit`."""

    def copies(order: float) -> float:
        return _budget(order, limit) / charge.rdp(order)

    return max(accounting.RDP_ORDERS, key=copies)


def single_run_epsilon(charge: Charge, limit: Limit) -> float:
    """Epsilon of one run, loosely where it passes `limit` by far: the tight bound would take minutes."""
    loose = charge.rdp_epsilon(limit.delta)
    return loose if loose > _HOPELESS * limit.epsilon else min(loose, charge.epsilon(limit.delta))


def _budget(order: float, limit: Limit) -> float:
    # The inverse of rdp_to_epsilon, which is an offset beyond zero.
    offset = accounting.rdp_to_epsilon(1e6, order, limit.delta) - 1e6
    return limit.epsilon - offset


@dataclass(frozen=True, slots=True)
class Account:
    """One population's entries, folded. `keys`: idempotency key -> reservation; `order`: the filter's."""

    population: Population
    limit: Limit | None
    order: float | None
    reservations: tuple[Reservation, ...]
    keys: dict[str, str]

    def charged_runs(self) -> list[Reservation]:
        """The runs that count: one that made no step has released nothing."""
        return [r for r in self.reservations if r.charged_steps]

    def rdp(self) -> float:
        """Renyi divergence of all runs at the filter's order."""
        order = self.order or 0.0
        return sum(r.charge.rdp(order, r.charged_steps) for r in self.charged_runs())

    def spent_epsilon(self, delta: float) -> float:
        """Epsilon of all runs at `delta`."""
        charged = self.charged_runs()
        if not charged or self.order is None:
            return 0.0
        total = accounting.rdp_to_epsilon(self.rdp(), self.order, delta)
        # Of a single run the tighter bound holds too. It is taken for all reserved steps, since the
        # moment at which a run stopped may have depended on the data.
        return min(total, charged[0].charge.epsilon(delta)) if len(charged) == 1 else total

    def epsilon_with(self, charge: Charge, limit: Limit, order: float) -> float:
        """Epsilon of everything with `charge`, by the bound that may admit it."""
        charged = self.charged_runs()
        added = accounting.rdp_to_epsilon(self.rdp() + charge.rdp(order), order, limit.delta)
        if not charged:
            return min(added, single_run_epsilon(charge, limit))
        # A first run that only its tighter bound admitted has closed the population: that bound says
        # nothing of what is added later, so the filter must have held it as it was reserved.
        first = accounting.rdp_to_epsilon(charged[0].charge.rdp(order), order, limit.delta)
        return max(added, first)


def fold_entries(entries: Sequence[Entry], population: Population) -> Account:
    """The account of `population`; entries of others are passed over."""
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
    """What a population had spent after an entry, at the delta of the limit in force."""

    seq: int
    at: str
    spent: float
    limit: Limit


def spending_history(entries: Sequence[Entry], population: Population) -> tuple[SpendingPoint, ...]:
    """One moment for each entry of a population, from its first limit on."""
    mine = [entry for entry in entries if entry.key == population.key]
    moments: list[SpendingPoint] = []
    for count, entry in enumerate(mine, start=1):
        account = fold_entries(mine[:count], population)
        if account.limit is not None:
            moments.append(
                SpendingPoint(entry.seq, entry.at, account.spent_epsilon(account.limit.delta), account.limit)
            )
    return tuple(moments)
