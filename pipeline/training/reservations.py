"""Training runs in the privacy ledger: reserved before they start, committed when their model is saved."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lexveil.pipeline.errors import BudgetRefusedError, TrainingRefusedError
from lexveil.pipeline.logs import log
from lexveil.pipeline.models.encoding import count_languages, describe_other_languages
from lexveil.pipeline.models.saved import list_models
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.training.charges import (
    FIXED_GRAPH,
    describe_relation,
    determine_population,
    find_gap,
    has_owners,
    record_charges,
    require_complete,
)
from lexveil.pipeline.training.data import (
    FEW_UNITS,
    Split,
    describe_few_units,
    warn_of_private_labels,
)
from lexveil.pipeline.training.fit import (
    choose_device,
    choose_micro_batch,
    describe_slow_lstm,
    is_cuda_available,
)
from lexveil.pipeline.training.recipes import check_deltas
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.checkpoint import Checkpoint
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.ledger.admission import BudgetExceededError, UnitConflictError
from lexveil.privacy.dp.ledger.budget import Limit
from lexveil.privacy.dp.ledger.ledger import (
    Charge,
    Ledger,
    LedgerError,
    Population,
    Reservation,
    SecretLostError,
)
from lexveil.privacy.dp.ledger.snapshot import Snapshot
from lexveil.privacy.dp.randomness import KEY_BYTES, SecureRandom
from lexveil.privacy.vault import seal, unseal

_SUFFIX = ".checkpoint"


@dataclass(frozen=True, slots=True)
class RunSecret:
    """The key of a run's randomness, and what addresses its draws: sealed in the ledger while it is open.

    A replay with other micro-batches, or on another device, would draw other dropout with the same noise: a
    second result under one charge, whose difference from the first has no noise. So both are bound here.

    Attributes:
        key: 32 bytes.
        micro_batch: the number of items in a micro-batch; None: an earlier version bound nothing.
        device: "cpu" or "cuda"; None as above.
    """

    key: bytes = field(repr=False)
    micro_batch: int | None = None
    device: str | None = None

    @classmethod
    def draw(cls, train: TrainSettings) -> RunSecret:
        """Draw a fresh secret (from the seed, if the settings have one) for a run with these settings."""
        key = SecureRandom(_encode_seed(train.seed)).export_key()
        return cls(key, choose_micro_batch(train), choose_device(train).type)

    @classmethod
    def from_bytes(cls, content: bytes) -> RunSecret:
        """Return the secret that `to_bytes` wrote, or an earlier version: the key alone."""
        bound = content[KEY_BYTES:]
        return cls(content[:KEY_BYTES], **json.loads(bound) if bound else {})

    def to_bytes(self) -> bytes:
        """Return the secret as bytes, for sealing."""
        return self.key + json.dumps({"micro_batch": self.micro_batch, "device": self.device}).encode()

    def bind(self, train: TrainSettings) -> TrainSettings:
        """Return the settings with what the run began with, whatever they say now.

        Raises:
            TrainingRefusedError: this machine lacks the device that the run began on.
        """
        if self.micro_batch is None:
            return train
        bound = train.model_copy(update={"micro_batch": self.micro_batch, "device": self.device})
        if self.device == "cuda" and not is_cuda_available():
            raise TrainingRefusedError(
                "this run began on a GPU and can only go on where there is one: elsewhere its noise would "
                "repeat in another model. Another recipe is a run of its own, charged as such"
            )
        if self.micro_batch != choose_micro_batch(train):
            log.warning("this run goes on with train.micro_batch = %d, with which it began", self.micro_batch)
        return bound


@dataclass(frozen=True, slots=True)
class ReservedRun:
    """A run that the ledger has charged.

    Attributes:
        reservation: entry of the ledger.
        run: digest that identifies the run.
        secret: what the run's randomness comes from; None if the run is committed and its model is saved.
    """

    reservation: Reservation
    run: str
    secret: RunSecret | None = field(repr=False)


def open_ledger(workspace: Workspace) -> tuple[Ledger, Population]:
    """Open the ledger, to read what the configured population has spent.

    Returns:
        The ledger, and the population with the unit that its first charge has fixed.
    """
    ledger = workspace.ledger
    return ledger, find_charged_population(ledger, determine_population(workspace, ledger))


def find_charged_population(ledger: Ledger | Snapshot, wanted: Population) -> Population:
    """Return the population as its first charge has fixed it: that decides on its unit and relation."""
    charged = ledger.list_charged(wanted.name)
    return charged[0] if charged and wanted not in charged else wanted


def read_limit(workspace: Workspace, ledger: Ledger | Snapshot, population: Population) -> Limit:
    """Return the limit of a population, or the one that its first charge will set."""
    own = workspace.settings.ledger
    named = [one for one in ledger.populations() if one.name == population.name]
    set_before = [limit for one in (population, *named) if (limit := ledger.limit(one)) is not None]
    return set_before[0] if set_before else Limit(own.limit_epsilon, own.limit_delta)


def set_first_limit(workspace: Workspace, ledger: Ledger, population: Population) -> None:
    """Set the limit of a population that has none yet, before its first charge."""
    if ledger.limit(population) is None:
        limit = read_limit(workspace, ledger, population)
        ledger.set_limit(population, limit.epsilon, limit.delta)


def check_before_charging(
    workspace: Workspace,
    ledger: Ledger,
    population: Population,
    split: Split,
    plans: Mapping[str, TrainingPlan],
) -> None:
    """Refuse what cannot be charged, or say in a line what its guarantee leaves out.

    Call it before the ledger is charged.

    Args:
        workspace: the workspace.
        ledger: the ledger.
        population: the population to charge.
        split: the documents.
        plans: plan by the digest that identifies the run.

    Raises:
        TrainingRefusedError: a delta is too large for the number of owners; or the unit is the owner, and no
            document has one.
        BudgetRefusedError: see `reserve`.
    """
    limit = read_limit(workspace, ledger, population)
    owners = max(split.n_owners, len({row.owner for row in split.held_out}))
    check_deltas(workspace.settings.train, limit, owners)
    require_chargeable(workspace, ledger, population)
    with explain_refusals():
        ledger.check(population, {run: _to_charge(plan) for run, plan in plans.items()}, limit)
    if population.relation == FIXED_GRAPH:
        used = len(split.train) + len(split.held_out)
        log.warning(
            "documents have several owners: each owner counts in one group of documents with the same "
            "owners, %d of %d documents are left out for it; neighbors: %s",
            split.left_out,
            split.left_out + used,
            describe_relation(population),
        )


def warn_before_training(workspace: Workspace, population: Population, split: Split) -> None:
    """Warn, one line each, of what a training on these documents reveals, is unlikely to achieve or lacks."""
    warn_of_private_labels(split)
    if split.n_owners < FEW_UNITS:
        log.warning(describe_few_units(split.n_owners, population.unit))
    train = workspace.settings.train
    for line in (describe_slow_lstm(train), describe_other_languages(train, count_languages(workspace))):
        if line is not None:
            log.warning(line)


def reconcile_ledger(workspace: Workspace) -> None:
    """Commit the runs whose models are saved, and remove the checkpoints of runs that are no longer open.

    A ledger that lacks something is only warned of, since nothing is to be charged.

    Raises:
        BudgetRefusedError: the ledger is broken.
    """
    with open_reconciled_ledger(workspace) as (ledger, population):
        if gap := find_gap(workspace, ledger, population.name):
            log.warning("%s: no training can be charged, and what is spent is shown too low", gap.describe())


@contextmanager
def open_reconciled_ledger(workspace: Workspace) -> Generator[tuple[Ledger, Population]]:
    """Open the ledger and reconcile it with the saved models.

    A run that was killed after its model was saved is committed now, which destroys its secret; nothing else
    commits it. Checkpoints of runs that are no longer open are removed. Log and key table take over what a
    complete ledger holds and they lack; one that lacks something is refused when it is to be charged.

    Yields:
        The ledger, and the configured population in the unit of the settings and documents.

    Raises:
        BudgetRefusedError: the ledger is broken or contradicts the run.
    """
    with translate_refusals():
        ledger, name = workspace.ledger, workspace.settings.ledger.population
        try:
            _commit_saved_runs(workspace, ledger)
            _record_if_complete(workspace, ledger, name)
            yield ledger, determine_population(workspace, ledger)
            _record_if_complete(workspace, ledger, name)
        finally:
            ledger.close()


@contextmanager
def translate_refusals() -> Generator[None]:
    """Translate the ledger's errors into one line.

    Raises:
        BudgetRefusedError: the ledger refuses, is broken or does not answer.
    """
    try:
        yield
    except UnitConflictError as error:
        raise BudgetRefusedError(f"the privacy ledger refuses: {_explain_conflict(error)}") from None
    except LedgerError as error:
        raise BudgetRefusedError(f"the privacy ledger refuses: {error}") from None


def _explain_conflict(error: UnitConflictError) -> str:
    """Say what to do about two units of one population."""
    units = [population.unit for population in error.fixed]
    if len(units) > 1:
        return (
            f"population {error.asked.name} was charged by {' and by '.join(units)}, which cannot be "
            "added up, so nothing more can be spent on it"
        )
    return f'{error}: set ledger.unit to "{units[0]}", or name another population if its people are others'


def _record_if_complete(workspace: Workspace, ledger: Ledger, name: str) -> None:
    if not find_gap(workspace, ledger, name):
        record_charges(workspace, ledger, name)


def _commit_saved_runs(workspace: Workspace, ledger: Ledger) -> None:
    saved = {model.digest for model in list_models(workspace)}
    unfinished: set[str] = set()
    for account in ledger.read().accounts():
        for run in account.reservations:
            if run.state == "open" and run.id in saved:
                ledger.commit(run.id, run.charge.steps)
            elif run.state == "open":
                unfinished.add(run.id)
    for path in _checkpoint_folder(workspace).glob(f"*{_SUFFIX}*"):
        if path.name.split(".")[0] not in unfinished:
            path.unlink(missing_ok=True)


def reserve(
    workspace: Workspace,
    ledger: Ledger,
    population: Population,
    plan: TrainingPlan,
    run: str,
    name: str | None = None,
) -> ReservedRun:
    """Charge a run before it starts, or find its charge.

    When this returns a secret, the charge stands in the ledger and in the log, and the key table has the
    ledger's head. A committed run whose model is gone cannot be repeated, since its secret is destroyed: it
    is reserved, and charged, again under another digest. So is an open run whose secret was lost, because a
    backup does not contain it.

    Args:
        workspace: the workspace.
        ledger: the ledger.
        population: the population to charge.
        plan: plan of the run.
        run: digest that identifies the run.
        name: what the log calls the run; None: the name of its model.

    Raises:
        BudgetRefusedError: the ledger's limit would be exceeded; the population has another unit; or the
            ledger has forgotten something.
        TrainingRefusedError: the unit is the owner, and no document has one.
    """
    require_chargeable(workspace, ledger, population)
    set_first_limit(workspace, ledger, population)
    names = {model.name for model in list_models(workspace)}
    while True:
        reservation, secret = _reserve_once(workspace, ledger, population, plan, run)
        called = name or format_model_name(workspace.settings, run)
        if secret is not None:
            record_charges(workspace, ledger, population.name, {reservation.id: called})
            return ReservedRun(reservation, run, secret)
        if format_model_name(workspace.settings, run) in names:
            return ReservedRun(reservation, run, None)
        run = compute_digest([run, "again"])


def require_chargeable(workspace: Workspace, ledger: Ledger, population: Population) -> None:
    """Refuse a charge in a unit that the documents do not have, or to a ledger that has forgotten something.

    Raises:
        TrainingRefusedError: the unit is the owner, and no document has one.
        BudgetRefusedError: see `require_complete`.
    """
    if population.unit == "owner" and not has_owners(workspace):
        raise TrainingRefusedError(
            "ledger.unit is owner, and no document has one: name their field with ingest.owner_field"
        )
    require_complete(workspace, ledger, population.name)


def _to_charge(plan: TrainingPlan) -> Charge:
    return Charge(plan.noise_multiplier, plan.sample_rate, plan.steps, plan.truncation)


@contextmanager
def explain_refusals() -> Generator[None]:
    """Say what to do where a charge would exceed the limit.

    Raises:
        BudgetRefusedError: it would.
    """
    try:
        yield
    except BudgetExceededError as error:
        raise BudgetRefusedError(
            f"the privacy ledger refuses: {error}. Lower --epsilon, wait for new owners under another "
            "population, or raise the limit with `lexveil ledger limit` if the person responsible agrees"
        ) from None


def _reserve_once(
    workspace: Workspace, ledger: Ledger, population: Population, plan: TrainingPlan, run: str
) -> tuple[Reservation, RunSecret | None]:
    """Reserve a run under this digest; no secret: it is settled, or its secret is lost."""
    wrapping = workspace.keys.purpose_key("training-secret")  # a rotation does not change it
    fresh, about = RunSecret.draw(workspace.settings.train), f"training:{run}"
    try:
        with explain_refusals():
            reservation = ledger.reserve(
                population, _to_charge(plan), run, seal(wrapping, fresh.to_bytes(), about)
            )
    except SecretLostError as error:
        ledger.abandon(error.reservation.id)
        return error.reservation, None
    if reservation.state != "open":
        return reservation, None
    assert reservation.secret is not None
    return reservation, RunSecret.from_bytes(unseal(wrapping, reservation.secret, about))


def format_model_name(settings: Settings, run: str) -> str:
    """Return the name of the model that a run makes."""
    return f"{settings.train.model}-{run[:8]}"


def build_checkpoint(workspace: Workspace, reserved: ReservedRun) -> Checkpoint:
    """Return the checkpoint of a run, which is kept until the run is committed."""
    path = _checkpoint_folder(workspace) / f"{reserved.reservation.id}{_SUFFIX}"
    return Checkpoint(path, reserved.run, workspace.settings.train.checkpoint_seconds)


def _checkpoint_folder(workspace: Workspace) -> Path:
    return workspace.local / workspace.training.name


def _encode_seed(seed: int | None) -> bytes | None:
    return None if seed is None else seed.to_bytes(32, "big", signed=True)
