"""The arithmetic of the ledger: folding entries into an account, and the filter that admits the next run.

Pure functions of the entries, so that `verify` recomputes what `reserve` decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.accounting import Truncation
from lexveil.privacy.dp.ledger.chain import Entry

# Renyi DP overstates epsilon by less than this factor.
_RDP_EXCESS = 8
# What is shown of runs that may have been chosen by earlier results: the failure probability is divided among
# Renyi orders, most of it for the order of the filter, whose figure the limit bounds.
_FILTER_SHARE = 0.99
_OTHER_ORDERS = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0)
# Runs match a schedule if their noise is at most this much above the announced one.
_MATCH = 1e-3


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

    def repeat(self, runs: int) -> Charge:
        """Return several such runs as one: the same steps, `runs` times as many."""
        return replace(self, steps=self.steps * runs)

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
        schedule: Id of the schedule that has paid for the run; None: the run is charged itself.
    """

    id: str
    population: Population
    charge: Charge
    state: Literal["open", "committed", "abandoned"]
    actual_steps: int | None
    secret: bytes | None = field(default=None, repr=False)
    schedule: str | None = None

    @property
    def charged_steps(self) -> int:
        """Number of steps that count: all, unless a commit recorded fewer."""
        return self.charge.steps if self.actual_steps is None else self.actual_steps


@dataclass(frozen=True, slots=True)
class Schedule:
    """Runs that were announced together, and are charged together at their announcement.

    Attributes:
        id: Identifier of the schedule.
        name: Its name.
        charge: Each of its runs.
        runs: Number of runs.
        planned: True if the population had spent nothing when it was announced, so that no result can have
            decided what is in it. Such a schedule is composed by its privacy loss distribution; any other one
            is charged by the filter, like runs that were chosen after seeing results.
    """

    id: str
    name: str
    charge: Charge
    runs: int
    planned: bool

    @property
    def whole(self) -> Charge:
        """All runs as one charge."""
        return self.charge.repeat(self.runs)

    def pays_for(self, charge: Charge) -> bool:
        """Return True if `charge` is one of these runs: the same draws and steps, and no less noise.

        More noise costs no more (post-processing); much more is another run, which would waste a place.
        """
        ours = self.charge
        same = (ours.sample_rate, ours.steps, ours.truncation)
        noise = charge.noise_multiplier / ours.noise_multiplier
        return same == (charge.sample_rate, charge.steps, charge.truncation) and 1 <= noise <= 1 + _MATCH


def filter_order(charge: Charge, limit: Limit) -> float:
    """Return the Renyi order under which the most copies of `charge` fit into `limit`."""

    def copies(order: float) -> float:
        return _budget(order, limit) / charge.rdp(order)

    return max(accounting.RDP_ORDERS, key=copies)


def choose_order(charge: Charge, runs: int, limit: Limit) -> float:
    """Return the order under which the most copies of `charge` fit beside a planned schedule of `runs`."""
    half = limit.delta / 2
    left = limit.epsilon - single_run_epsilon(charge.repeat(runs), Limit(limit.epsilon, half))
    beside = Limit(left, half)
    some = any(_budget(order, beside) > 0 for order in accounting.RDP_ORDERS)
    return filter_order(charge, beside if some else Limit(limit.epsilon, half))


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
        order: Renyi order of the filter; None before the first charge.
        reservations: All runs, in order.
        keys: Reservation by idempotency key.
        schedules: All schedules that were not withdrawn, in order.
    """

    population: Population
    limit: Limit | None
    order: float | None
    reservations: tuple[Reservation, ...]
    keys: dict[str, str]
    schedules: tuple[Schedule, ...] = ()

    def charged_runs(self) -> list[Reservation]:
        """Return the runs that are charged themselves and count: one without a step has released nothing."""
        return [r for r in self.reservations if r.charged_steps and r.schedule is None]

    def is_charged(self) -> bool:
        """Return True if anything was charged and counts."""
        return bool(self.charged_runs() or self.schedules)

    def count_used(self, schedule: Schedule) -> int:
        """Return how many runs of a schedule were reserved; one without a step gives its place back."""
        return sum(bool(r.charged_steps) for r in self.reservations if r.schedule == schedule.id)

    def find_schedule(self, charge: Charge) -> Schedule | None:
        """Return the first schedule that has a run left for `charge`."""
        fitting = (one for one in self.schedules if one.pays_for(charge) and self.count_used(one) < one.runs)
        return next(fitting, None)

    def rdp(self, order: float) -> float:
        """Return the Renyi divergence of what the filter holds: all but a planned schedule."""
        runs = sum(r.charge.rdp(order, r.charged_steps) for r in self.charged_runs())
        return runs + sum(one.whole.rdp(order) for one in self.schedules if not one.planned)

    def spent_epsilon(self, delta: float) -> float:
        """Return the epsilon at `delta` of all runs and schedules.

        Formal guarantee:
            Everything that was charged releases, together, no more than an (epsilon, delta)-DP mechanism.

            A planned schedule is composed by its privacy loss distribution: the pairs of distributions that
            dominate its runs are fixed before anything is released, so their product dominates all runs
            together, even where a run's data, weights or clipped function follow from earlier results (Zhu,
            Dong and Wang 2022, "Optimal Accounting of Differential Privacy via Characteristic Function",
            adaptive composition). It counts whole from its announcement on: to stop early may be a decision
            by results, and a prefix that was chosen so is post-processing of the whole, but of no shorter
            part.

            All else may have been chosen by earlier results. At each order of a set that is fixed
            beforehand, exp((order - 1) (loss - divergence so far)) is a supermartingale (Feldman and Zrnic
            2021; Whitehouse, Ramdas, Rogers and Wu 2023, "Fully Adaptive Composition in Differential
            Privacy"), so each order holds for its share of delta, and the smallest of all holds for delta by
            a union bound. A single run may be composed by its privacy loss distribution instead.

            Beside each other, the two have delta / 2 each, and their epsilons add up: basic composition of
            interactive mechanisms, in whatever order their runs alternate (Lyu 2022, "Composition Theorems
            for Interactive Differential Privacy").

            Assumptions: those of `Ledger`.
        """
        if not self.is_charged() or self.order is None:
            return 0.0
        if (planned := self._find_planned()) is not None:
            if self.rdp(self.order) == 0:
                return planned.whole.epsilon(delta)
            return planned.whole.epsilon(delta / 2) + self._bound_chosen_runs(delta / 2)
        return self._shorten(self._bound_chosen_runs(delta), delta)

    def filter_epsilon(self, delta: float) -> float:
        """Return the epsilon at `delta` by the filter's order alone, as earlier versions showed it.

        Formal guarantee:
            As `spent_epsilon`, for an account without a planned schedule.
        """
        if not self.is_charged() or self.order is None or self._find_planned() is not None:
            return self.spent_epsilon(delta)
        return self._shorten(accounting.rdp_to_epsilon(self.rdp(self.order), self.order, delta), delta)

    def _shorten(self, total: float, delta: float) -> float:
        # For a single run the tighter bound holds too. It counts all reserved steps, since the moment at
        # which a run stopped may have depended on the data.
        charged = self.charged_runs()
        single = len(charged) == 1 and not self.schedules
        return min(total, charged[0].charge.epsilon(delta)) if single else total

    def epsilon_with(self, charge: Charge, limit: Limit, order: float) -> float:
        """Return the epsilon of all together with `charge`, by the bound that may admit it.

        Formal guarantee:
            That of `Ledger`.
        """
        if (planned := self._find_planned()) is not None:
            beside = accounting.rdp_to_epsilon(self.rdp(order) + charge.rdp(order), order, limit.delta / 2)
            return planned.whole.epsilon(limit.delta / 2) + beside
        charged = self.charged_runs()
        added = accounting.rdp_to_epsilon(self.rdp(order) + charge.rdp(order), order, limit.delta)
        if not self.is_charged():
            return min(added, single_run_epsilon(charge, limit))
        if not charged:
            return added
        # A first run that only its tighter bound admitted has closed the population: that bound says
        # nothing about later runs, so the filter must have admitted it as it was reserved.
        first = accounting.rdp_to_epsilon(charged[0].charge.rdp(order), order, limit.delta)
        return max(added, first)

    def _find_planned(self) -> Schedule | None:
        return next((one for one in self.schedules if one.planned), None)

    def _bound_chosen_runs(self, delta: float) -> float:
        """Return the epsilon of what the filter holds, by the best order for its share of delta."""
        assert self.order is not None
        share = (1 - _FILTER_SHARE) / len(_OTHER_ORDERS)
        shares = [(self.order, _FILTER_SHARE), *((order, share) for order in _OTHER_ORDERS)]
        return min(accounting.rdp_to_epsilon(self.rdp(order), order, delta * part) for order, part in shares)


class _Folding:
    """The account of a population while its entries are read."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.limit: Limit | None = None
        self.order: float | None = None
        self.keys: dict[str, str] = {}
        self.runs: dict[str, Reservation] = {}
        self.schedules: dict[str, Schedule] = {}

    def add(self, entry: Entry) -> None:
        data, run = entry.parse_payload(), entry.reservation or ""
        if entry.kind == "limit":
            self.limit = Limit(**data)
        elif entry.kind == "announce":
            charge, planned = Charge.from_payload(data), not self.to_account().is_charged()
            self.schedules[run] = Schedule(run, data["announced"], charge, data["runs"], planned)
            self.order = self.order or data["order"]
        elif entry.kind == "reserve":
            self.order = self.order or data["order"]
            charge, schedule = Charge.from_payload(data), data.get("schedule")
            self.runs[run] = Reservation(run, self.population, charge, "open", None, schedule=schedule)
            self.keys[entry.idempotency_key or ""] = run
        elif run in self.schedules:
            del self.schedules[run]  # withdrawn: settled at no cost
        elif entry.kind == "commit":
            self.runs[run] = replace(self.runs[run], state="committed", actual_steps=data["steps"])
        else:
            self.runs[run] = replace(self.runs[run], state="abandoned")

    def to_account(self) -> Account:
        runs, schedules = tuple(self.runs.values()), tuple(self.schedules.values())
        return Account(self.population, self.limit, self.order, runs, self.keys, schedules)


def fold_entries(entries: Sequence[Entry], population: Population) -> Account:
    """Return the account of `population`; entries of other populations are ignored."""
    folding = _Folding(population)
    for entry in entries:
        if entry.key == population.key:
            folding.add(entry)
    return folding.to_account()


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
