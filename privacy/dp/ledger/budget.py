"""The arithmetic of the ledger: folding entries into an account, and the filter that admits the next run.

Pure functions of the entries, so that `verify` recomputes what `reserve` decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from lexveil.privacy.dp import accounting, renyi
from lexveil.privacy.dp.ledger.chain import Entry
from lexveil.privacy.dp.sampled_gaussian import Truncation

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
        return renyi.rdp_epsilon(
            self.noise_multiplier, self.sample_rate, self.steps, delta, truncation=self.truncation
        )

    def repeat(self, runs: int) -> Charge:
        """Return several such runs as one: the same steps, `runs` times as many."""
        return replace(self, steps=self.steps * runs)

    def rdp(self, order: float, steps: int | None = None) -> float:
        """Return the Renyi divergence of `order`, of all steps or of `steps` of them."""
        count = self.steps if steps is None else steps
        return renyi.rdp(self.noise_multiplier, self.sample_rate, count, order, truncation=self.truncation)


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

    return max(renyi.RDP_ORDERS, key=copies)


def choose_order(charge: Charge, runs: int, limit: Limit) -> float:
    """Return the order under which the most copies of `charge` fit beside a planned schedule of `runs`."""
    half = limit.delta / 2
    left = limit.epsilon - single_run_epsilon(charge.repeat(runs), Limit(limit.epsilon, half))
    beside = Limit(left, half)
    some = any(_budget(order, beside) > 0 for order in renyi.RDP_ORDERS)
    return filter_order(charge, beside if some else Limit(limit.epsilon, half))


def single_run_epsilon(charge: Charge, limit: Limit) -> float:
    """Return the epsilon of one run.

    Where it exceeds `limit` by far, only a loose bound is computed: the tight one would take minutes.
    """
    loose = charge.rdp_epsilon(limit.delta)
    return loose if loose > _RDP_EXCESS * limit.epsilon else min(loose, charge.epsilon(limit.delta))


def _budget(order: float, limit: Limit) -> float:
    # The inverse of rdp_to_epsilon, which is an offset beyond zero.
    offset = renyi.rdp_to_epsilon(1e6, order, limit.delta) - 1e6
    return limit.epsilon - offset


class Account:
    """The folded entries of one population, with the sums that its bounds need.

    The sums follow each entry, so that reading a ledger, and asking for a bound after every entry, takes time
    linear in its length.

    Attributes:
        population: The population.
        limit: Limit in force; None if there is none.
        order: Renyi order of the filter; None before the first charge.
        keys: Reservation by idempotency key.
    """

    def __init__(self, population: Population) -> None:
        """Return the account of a population without entries."""
        self.population = population
        self.limit: Limit | None = None
        self.order: float | None = None
        self.keys: dict[str, str] = {}
        self._runs: dict[str, Reservation] = {}
        self._schedules: dict[str, Schedule] = {}
        self._charged: dict[str, None] = {}  # ids of the runs that are charged themselves and count, in order
        self._used: dict[str, int] = {}  # number of runs that count, by schedule
        self._held: dict[Charge, int] = {}  # steps that the filter holds, by equal charges
        self._divergences: dict[float, float] = {}  # of these steps, at the orders that were asked for

    @property
    def reservations(self) -> tuple[Reservation, ...]:
        """All runs, in order."""
        return tuple(self._runs.values())

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """All schedules that were not withdrawn, in order."""
        return tuple(self._schedules.values())

    def add(self, entry: Entry) -> None:
        """Follow the next entry of the population."""
        data, run = entry.parse_payload(), entry.reservation or ""
        if entry.kind == "limit":
            self.limit = Limit(**data)
        elif entry.kind == "announce":
            charge, planned = Charge.from_payload(data), not self.is_charged()
            self._add_schedule(Schedule(run, data["announced"], charge, data["runs"], planned))
            self.order = self.order or data["order"]
        elif entry.kind == "reserve":
            self.order = self.order or data["order"]
            charge, schedule = Charge.from_payload(data), data.get("schedule")
            self._put(Reservation(run, self.population, charge, "open", None, schedule=schedule))
            self.keys[entry.idempotency_key or ""] = run
        elif run in self._schedules:
            self._withdraw(self._schedules.pop(run))  # settled at no cost
        elif entry.kind == "commit":
            self._put(replace(self._runs[run], state="committed", actual_steps=data["steps"]))
        else:
            self._put(replace(self._runs[run], state="abandoned"))

    def with_run(self, charge: Charge, order: float, schedule: str | None = None) -> Account:
        """Return the account after another run, by the filter of `order`. This one stays as it is."""
        after = copy(self)
        for name in ("keys", "_runs", "_schedules", "_charged", "_used", "_held", "_divergences"):
            setattr(after, name, dict(getattr(self, name)))
        after.order = order
        identifier = f"run {len(self._runs) + 1}"  # no id of an entry has a space
        after._put(Reservation(identifier, self.population, charge, "open", None, schedule=schedule))
        return after

    def _put(self, run: Reservation) -> None:
        before = self._runs.get(run.id)
        self._runs[run.id] = run
        if before is not None and _describe_cost(before) == _describe_cost(run):
            return  # settled as it was reserved
        for one, sign in ((before, -1), (run, 1)):
            if one is None or not one.charged_steps:
                continue
            if one.schedule is not None:
                self._used[one.schedule] = self._used.get(one.schedule, 0) + sign
            else:
                self._hold(one.charge, sign * one.charged_steps)
        if run.charged_steps and run.schedule is None:
            self._charged[run.id] = None
        else:
            self._charged.pop(run.id, None)

    def _add_schedule(self, schedule: Schedule) -> None:
        self._schedules[schedule.id] = schedule
        if not schedule.planned:
            self._hold(schedule.charge, schedule.whole.steps)

    def _withdraw(self, schedule: Schedule) -> None:
        if not schedule.planned:
            self._hold(schedule.charge, -schedule.whole.steps)

    def _hold(self, charge: Charge, steps: int) -> None:
        """Let the filter hold `steps` more of a charge, or fewer."""
        kind = replace(charge, steps=1)
        held = self._held[kind] = self._held.get(kind, 0) + steps
        if not held:
            del self._held[kind]
        if steps < 0:
            self._divergences.clear()  # infinite ones cannot be subtracted, and others would leave rounding
        for order in self._divergences:
            self._divergences[order] += charge.rdp(order, steps)

    def is_charged(self) -> bool:
        """Return True if anything was charged and counts: a run without a step has released nothing."""
        return bool(self._charged or self._schedules)

    def has_charged_runs(self) -> bool:
        """Return True if runs count that are charged themselves."""
        return bool(self._charged)

    def count_used(self, schedule: Schedule) -> int:
        """Return how many runs of a schedule were reserved; one without a step gives its place back."""
        return self._used.get(schedule.id, 0)

    def find_schedule(self, charge: Charge) -> Schedule | None:
        """Return the first schedule that has a run left for `charge`."""
        fitting = (one for one in self.schedules if one.pays_for(charge) and self.count_used(one) < one.runs)
        return next(fitting, None)

    def rdp(self, order: float) -> float:
        """Return the Renyi divergence of what the filter holds: all but a planned schedule."""
        if order not in self._divergences:
            held = [
                (kind.noise_multiplier, kind.sample_rate, steps, kind.truncation)
                for kind, steps in self._held.items()
            ]
            self._divergences[order] = renyi.total_rdp(held, order)
        return self._divergences[order]

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
        return self._shorten(renyi.rdp_to_epsilon(self.rdp(self.order), self.order, delta), delta)

    def _shorten(self, total: float, delta: float) -> float:
        # For a single run the tighter bound holds too. It counts all reserved steps, since the moment at
        # which a run stopped may have depended on the data.
        single = len(self._charged) == 1 and not self._schedules
        return min(total, self._first_charge().epsilon(delta)) if single else total

    def _first_charge(self) -> Charge:
        return self._runs[next(iter(self._charged))].charge

    def epsilon_with(self, charge: Charge, limit: Limit, order: float) -> float:
        """Return the epsilon of all together with `charge`, by the bound that may admit it.

        Formal guarantee:
            That of `Ledger`.
        """
        if (planned := self._find_planned()) is not None:
            beside = renyi.rdp_to_epsilon(self.rdp(order) + charge.rdp(order), order, limit.delta / 2)
            return planned.whole.epsilon(limit.delta / 2) + beside
        added = renyi.rdp_to_epsilon(self.rdp(order) + charge.rdp(order), order, limit.delta)
        if not self.is_charged():
            return min(added, single_run_epsilon(charge, limit))
        if not self._charged:
            return added
        # A first run that only its tighter bound admitted has closed the population: that bound says
        # nothing about later runs, so the filter must have admitted it as it was reserved.
        first = renyi.rdp_to_epsilon(self._first_charge().rdp(order), order, limit.delta)
        return max(added, first)

    def _find_planned(self) -> Schedule | None:
        return next((one for one in self._schedules.values() if one.planned), None)

    def _bound_chosen_runs(self, delta: float) -> float:
        """Return the epsilon of what the filter holds, by the best order for its share of delta."""
        assert self.order is not None
        share = (1 - _FILTER_SHARE) / len(_OTHER_ORDERS)
        shares = [(self.order, _FILTER_SHARE), *((order, share) for order in _OTHER_ORDERS)]
        return min(renyi.rdp_to_epsilon(self.rdp(order), order, delta * part) for order, part in shares)


def _describe_cost(run: Reservation) -> tuple[Charge, int, str | None]:
    return run.charge, run.charged_steps, run.schedule


def fold_entries(entries: Iterable[Entry], population: Population) -> Account:
    """Return the account of `population`; entries of other populations are ignored."""
    account = Account(population)
    for entry in entries:
        if entry.key == population.key:
            account.add(entry)
    return account


def fold_all(entries: Iterable[Entry]) -> dict[tuple[str, str, str], Account]:
    """Return the accounts of all populations by their keys, in the order of their first entries."""
    accounts: dict[tuple[str, str, str], Account] = {}
    for entry in entries:
        find_account(accounts, entry.key).add(entry)
    return accounts


def find_account(accounts: dict[tuple[str, str, str], Account], key: tuple[str, str, str]) -> Account:
    """Return the account of a population, which is added to `accounts` if it is not there yet."""
    if key not in accounts:
        accounts[key] = Account(Population(*key))
    return accounts[key]


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


def spending_history(entries: Iterable[Entry], population: Population) -> tuple[SpendingPoint, ...]:
    """Return one point per entry of a population, from its first limit on."""
    account = Account(population)
    points: list[SpendingPoint] = []
    for entry in entries:
        if entry.key != population.key:
            continue
        account.add(entry)
        if account.limit is not None:
            spent = account.spent_epsilon(account.limit.delta)
            points.append(SpendingPoint(entry.seq, entry.at, spent, account.limit))
    return tuple(points)
