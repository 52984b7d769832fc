"""A training run in the privacy ledger: reserved before it starts, settled when its model is saved."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lexveil.pipeline.errors import BudgetRefusedError
from lexveil.pipeline.models.saved import models as saved_models
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
class Reserved:
    """A run that is charged. `run` is the digest that names it; `secret` the key of its randomness, None
    where the run is settled and its model is saved.
    """

    reservation: Reservation
    run: str
    secret: bytes | None = field(repr=False)


def unit_of(workspace: Workspace) -> str:
    """What counts as one in the guarantee: an owner, where documents have owners other than themselves."""
    catalogue = workspace.catalogue.read()
    return "document" if catalogue.column("owner").equals(catalogue.column("doc_id")) else "owner"


def open_ledger(workspace: Workspace) -> tuple[Ledger, Population]:
    """The ledger, with a limit set for the configured population."""
    ledger = workspace.ledger
    population = Population(workspace.settings.ledger.population, unit_of(workspace))
    if ledger.limit(population) is None:
        ledger.set_limit(
            population, workspace.settings.ledger.limit_epsilon, workspace.settings.ledger.limit_delta
        )
    return ledger, population


@contextmanager
def settled_ledger(workspace: Workspace) -> Generator[tuple[Ledger, Population]]:
    """The ledger, once it knows of every model that is saved.

    A run that was killed between saving and committing is committed now: only then is its secret gone, and
    nothing else commits it. Checkpoints of runs that aren't open any more are removed.

    Raises:
        BudgetRefusedError: the ledger is broken or contradicts the run.
    """
    try:
        ledger, population = open_ledger(workspace)
        try:
            _settle(workspace, ledger)
            yield ledger, population
        finally:
            ledger.close()
    except LedgerError as error:
        raise BudgetRefusedError(f"the privacy ledger refuses: {error}") from None


def _settle(workspace: Workspace, ledger: Ledger) -> None:
    saved = {model.digest for model in saved_models(workspace)}
    unfinished: set[str] = set()
    for population in ledger.populations():
        for run in ledger.reservations(population):
            if run.state == "open" and run.id in saved:
                ledger.commit(run.id, run.charge.steps)
            elif run.state == "open":
                unfinished.add(run.id)
    for path in _checkpoints(workspace).glob(f"*{_SUFFIX}*"):
        if path.name.split(".")[0] not in unfinished:
            path.unlink(missing_ok=True)


def reserve(
    workspace: Workspace, ledger: Ledger, population: Population, plan: TrainingPlan, run: str
) -> Reserved:
    """Charge the run named `run` before it starts, or find the charge that it has.

    A run that is settled but whose model is gone can't be replayed, since its secret is destroyed: it is
    reserved, and charged, anew under another name.

    Raises:
        BudgetRefusedError: the ledger's limit would be passed.
    """
    wrapping = workspace.keys.purpose_key("training-secret")  # outlives a rotation
    charge = Charge(plan.noise_multiplier, plan.sample_rate, plan.steps, plan.truncation)
    names = {model.name for model in saved_models(workspace)}
    while True:
        secret = SecureRandom(_seed(workspace.settings.train.seed)).export_key()
        try:
            found = ledger.reserve(population, charge, run, seal(wrapping, secret, f"training:{run}"))
        except BudgetExceededError as error:
            raise BudgetRefusedError(
                f"the privacy ledger refuses: {error}. Lower --epsilon, wait for new owners under another "
                "population, or raise the limit with `lexveil ledger limit` if its keeper agrees"
            ) from None
        if found.state == "open":
            assert found.secret is not None
            return Reserved(found, run, unseal(wrapping, found.secret, f"training:{run}"))
        if model_name(workspace.settings, run) in names:
            return Reserved(found, run, None)
        run = compute_digest([run, "again"])


def model_name(settings: Settings, run: str) -> str:
    """The name of the model that a run ends in."""
    return f"{settings.train.model}-{run[:8]}"


def checkpoint_of(workspace: Workspace, reserved: Reserved) -> Checkpoint:
    """Where a run keeps its position until it is settled."""
    path = _checkpoints(workspace) / f"{reserved.reservation.id}{_SUFFIX}"
    return Checkpoint(path, reserved.run, workspace.settings.train.checkpoint_seconds)


def _checkpoints(workspace: Workspace) -> Path:
    return workspace.local / workspace.training.name


def _seed(seed: int | None) -> bytes | None:
    return None if seed is None else seed.to_bytes(32, "big", signed=True)
