"""Training runs in the privacy ledger: reserved before they start, committed when their model is saved."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lexveil.pipeline.errors import BudgetRefusedError
from lexveil.pipeline.models.saved import list_models
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.checkpoint import Checkpoint
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.ledger.ledger import (
    BudgetExceededError,
    Charge,
    Ledger,
    LedgerError,
    Population,
    Reservation,
)
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.vault import seal, unseal

_SUFFIX = ".checkpoint"


@dataclass(frozen=True, slots=True)
class ReservedRun:
    """A run that the ledger has charged.

    Attributes:
        reservation: entry of the ledger.
        run: digest that identifies the run.
        secret: key of the run's randomness; None if the run is committed and its model is saved.
    """

    reservation: Reservation
    run: str
    secret: bytes | None = field(repr=False)


def determine_unit(workspace: Workspace) -> str:
    """Return the unit of the guarantee: "owner" if documents have owners other than themselves."""
    catalogue = workspace.catalogue.read()
    return "document" if catalogue.column("owner").equals(catalogue.column("doc_id")) else "owner"


def open_ledger(workspace: Workspace) -> tuple[Ledger, Population]:
    """Open the ledger, and set the limit of the configured population if it has none."""
    ledger = workspace.ledger
    population = Population(workspace.settings.ledger.population, determine_unit(workspace))
    if ledger.limit(population) is None:
        ledger.set_limit(
            population, workspace.settings.ledger.limit_epsilon, workspace.settings.ledger.limit_delta
        )
    return ledger, population


def reconcile_ledger(workspace: Workspace) -> None:
    """Commit the runs whose models are saved, and remove the checkpoints of runs that are no longer open.

    Raises:
        BudgetRefusedError: the ledger is broken.
    """
    with open_reconciled_ledger(workspace):
        pass


@contextmanager
def open_reconciled_ledger(workspace: Workspace) -> Generator[tuple[Ledger, Population]]:
    """Open the ledger and reconcile it with the saved models.

    A run that was killed after its model was saved is committed now, which destroys its secret; nothing else
    commits it. Checkpoints of runs that are no longer open are removed.

    Yields:
        The ledger and the configured population.

    Raises:
        BudgetRefusedError: the ledger is broken or contradicts the run.
    """
    try:
        ledger, population = open_ledger(workspace)
        try:
            _commit_saved_runs(workspace, ledger)
            yield ledger, population
        finally:
            ledger.close()
    except LedgerError as error:
        raise BudgetRefusedError(f"the privacy ledger refuses: {error}") from None


def _commit_saved_runs(workspace: Workspace, ledger: Ledger) -> None:
    saved = {model.digest for model in list_models(workspace)}
    unfinished: set[str] = set()
    for population in ledger.populations():
        for run in ledger.reservations(population):
            if run.state == "open" and run.id in saved:
                ledger.commit(run.id, run.charge.steps)
            elif run.state == "open":
                unfinished.add(run.id)
    for path in _checkpoint_folder(workspace).glob(f"*{_SUFFIX}*"):
        if path.name.split(".")[0] not in unfinished:
            path.unlink(missing_ok=True)


def reserve(
    workspace: Workspace, ledger: Ledger, population: Population, plan: TrainingPlan, run: str
) -> ReservedRun:
    """Charge a run before it starts, or find its charge.

    A committed run whose model is gone cannot be repeated, since its secret is destroyed: it is reserved, and
    charged, again under another digest.

    Args:
        workspace: the workspace.
        ledger: the ledger.
        population: the population to charge.
        plan: plan of the run.
        run: digest that identifies the run.

    Raises:
        BudgetRefusedError: the ledger's limit would be exceeded.
    """
    wrapping = workspace.keys.purpose_key("training-secret")  # a rotation does not change it
    charge = Charge(plan.noise_multiplier, plan.sample_rate, plan.steps, plan.truncation)
    names = {model.name for model in list_models(workspace)}
    while True:
        secret = SecureRandom(_encode_seed(workspace.settings.train.seed)).export_key()
        try:
            reservation = ledger.reserve(population, charge, run, seal(wrapping, secret, f"training:{run}"))
        except BudgetExceededError as error:
            raise BudgetRefusedError(
                f"the privacy ledger refuses: {error}. Lower --epsilon, wait for new owners under another "
                "population, or raise the limit with `lexveil ledger limit` if its keeper agrees"
            ) from None
        if reservation.state == "open":
            assert reservation.secret is not None
            return ReservedRun(reservation, run, unseal(wrapping, reservation.secret, f"training:{run}"))
        if format_model_name(workspace.settings, run) in names:
            return ReservedRun(reservation, run, None)
        run = compute_digest([run, "again"])


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
