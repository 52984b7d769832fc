"""Train: encoded documents -> a feature extractor under differential privacy, charged to the ledger first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nlp.encoders.models import (
    Activation,
    FeatureModel,
    Inputs,
    ModelConfig,
    PolynomialHead,
    build,
    classification_loss,
    denoising_loss,
)
from nlp.encoders.storage import read_config
from pipeline.errors import BudgetRefused, TrainingRefused
from pipeline.models import ModelCard, SavedModel, find_recipe, now, save_model
from pipeline.models import models as saved_models
from pipeline.recipes import training_plan
from pipeline.records import ForEach, one_by_one
from pipeline.settings import Settings, TrainSettings
from pipeline.stages.encode import encode, encoding_of, load_encoder
from pipeline.stages.ingest import read_catalogue
from pipeline.tables import digest_of
from pipeline.training_data import OwnerData, Split, load_split, resolve_objective
from pipeline.workspace import Workspace, code_digest, master_key
from privacy.dp.clipping import NonFiniteGradient
from privacy.dp.engine import TrainingPlan, TrainingResult
from privacy.dp.engine import train as train_privately
from privacy.dp.ledger import BudgetExceeded, Charge, Ledger, Population, Reservation
from privacy.dp.randomness import SecureRandom
from privacy.vault import seal, unseal

RELATION = "add or remove one {unit} with all of its items"
CORRUPTION = 0.3
_CODE = ("nlp/encoders", "privacy/dp", "pipeline/stages/train", "pipeline/recipes", "pipeline/training_data")


@dataclass(frozen=True, slots=True)
class Trained:
    """A training run's outcome.

    Attributes:
        new: whether this call trained it, or found it done.
        unprotected_losses: the mean loss of each step, without noise: it must stay inside.
    """

    saved: SavedModel
    new: bool
    unprotected_losses: tuple[float, ...] = ()


def unit_of(workspace: Workspace) -> str:
    """What counts as one in the guarantee: an owner, where documents have owners other than themselves."""
    catalogue = read_catalogue(workspace)
    return "document" if catalogue.column("owner").equals(catalogue.column("doc_id")) else "owner"


def recipe_digest(settings: Settings) -> str:
    """Digest of the settings that decide how a model is trained, whatever the documents."""
    recipe = settings.train.model_dump(mode="json", exclude={"diagnostics"})
    return digest_of([recipe, settings.ledger.population])


def current_model(workspace: Workspace, settings: Settings) -> SavedModel | None:
    """The model that a run with these settings uses without training.

    The newest of the same recipe, if it knows all labels of the documents.
    """
    found = find_recipe(workspace, recipe_digest(settings))
    if found is None:
        return None
    labels = set(read_catalogue(workspace).column("label").to_pylist()) - {None}
    known = read_config(found.folder)
    if known.objective != resolve_objective(settings.train, bool(labels)):
        return None
    return found if known.objective == "denoise" or labels <= set(known.labels) else None


def train(
    workspace: Workspace,
    settings: Settings,
    each: ForEach = one_by_one,
    on_step: Callable[[int], None] | None = None,
) -> Trained:
    """Train the configured model on the workspace's documents.

    The ledger reserves the run before anything is computed on private data and refuses one that would
    pass the limit. A run that was killed is replayed from the same secret randomness, so it ends with the
    same model and is charged once. A model that is there already isn't trained again.

    Raises:
        TrainingRefused: fewer than two classes or owners.
        BudgetRefused: the ledger's limit would be passed.
    """
    encoded = encode(workspace, settings, encoding_of(settings.train.model), each)
    recipe = recipe_digest(settings)
    digests = [shard.digest for shard in encoded.shards]
    run = digest_of([recipe, digests, code_digest(*_CODE)])
    split = load_split(workspace, settings)
    plan = training_plan(settings.train, split)
    ledger, population = open_ledger(workspace, settings)
    try:
        reservation, secret, run = _reserve(workspace, settings, ledger, population, plan, run)
        name = f"{settings.train.model}-{run[:8]}"
        done = next((model for model in saved_models(workspace) if model.name == name), None)
        if done is not None:
            if reservation.state == "open":  # killed between saving and committing
                ledger.commit(reservation.id, plan.steps)
            return Trained(done, new=False)
        config = model_config(settings.train, split)
        try:
            model, result = fit(config, split, settings.train, plan, SecureRandom(secret), on_step)
        except NonFiniteGradient as error:
            step = plan.steps - 1 if error.step is None else error.step
            ledger.commit(reservation.id, step + 1)  # the step has looked at the data
            raise TrainingRefused(
                f"a loss or gradient was not finite in step {step}; the steps up to it are charged"
            ) from None
        unit = unit_of(workspace)
        card = _card(name, settings, unit, config, plan, reservation, recipe, split.n_owners)
        saved = save_model(workspace, model, card)
        ledger.commit(reservation.id, plan.steps)
    finally:
        ledger.close()
    return Trained(saved, new=True, unprotected_losses=result.unprotected_loss)


def settle(workspace: Workspace, settings: Settings, saved: SavedModel) -> None:
    """Commit the run of a saved model where it was killed before it could: only then is its secret gone."""
    ledger, _ = open_ledger(workspace, settings)
    try:
        for population in ledger.populations():
            for found in ledger.reservations(population):
                if found.id == saved.digest and found.state == "open":
                    ledger.commit(found.id, found.charge.steps)
    finally:
        ledger.close()


def open_ledger(workspace: Workspace, settings: Settings) -> tuple[Ledger, Population]:
    """The ledger, with a limit set for the configured population."""
    ledger = Ledger(workspace.ledger_url(settings))
    population = Population(settings.ledger.population, unit_of(workspace))
    if ledger.limit(population) is None:
        ledger.set_limit(population, settings.ledger.limit_epsilon, settings.ledger.limit_delta)
    return ledger, population


def model_config(train: TrainSettings, split: Split) -> ModelConfig:
    """The untrained model for these documents."""
    return ModelConfig.of(
        train.model,
        load_encoder(train),
        split.labels,
        split.objective,
        chunk_length=train.chunk_length,
        chunk_limit=train.chunk_limit,
    )


def fit(
    config: ModelConfig,
    split: Split,
    train: TrainSettings,
    plan: TrainingPlan,
    random: SecureRandom,
    on_step: Callable[[int], None] | None = None,
    private: bool = True,
    activation: Activation | None = None,
) -> tuple[FeatureModel, TrainingResult]:
    """Train a model on the split. `private=False` trains the diagnostic twin, which is never saved.

    activation: another one than the kind's, for a comparison.
    """
    model = build(config, load_encoder(train), activation=activation)
    data = OwnerData(split, config.kind, train.max_items_per_owner)
    loss = classification_loss
    target: torch.nn.Module = model
    if config.objective == "denoise":
        loss = denoising_loss
        target = _Denoiser(model)
    result = train_privately(target, data, loss, plan, random, on_step=on_step, private=private)
    if isinstance(model.head, PolynomialHead):
        model.head.fold()
    return model.eval(), result


class _Denoiser(torch.nn.Module):
    """Corrupts what it is given before the model sees it."""

    def __init__(self, model: FeatureModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Inputs) -> torch.Tensor:
        return self.model(self.model.corrupt(inputs, _TorchDraws(), CORRUPTION))


class _TorchDraws:
    """torch's generator, which the DP engine seeds from the run's key at every step."""

    def random(self, size: tuple[int, ...], /) -> NDArray[np.float64]:
        return torch.rand(size, dtype=torch.float64).numpy()


def _reserve(
    workspace: Workspace,
    settings: Settings,
    ledger: Ledger,
    population: Population,
    plan: TrainingPlan,
    run: str,
) -> tuple[Reservation, bytes, str]:
    """The run's reservation, the secret of its randomness, and the digest that names it.

    A run that is settled but whose model is gone can't be replayed, since its secret is destroyed: it is
    reserved, and charged, anew under another name.
    """
    wrapping = master_key(workspace, settings).derive("training-secret")
    charge = Charge(plan.noise_multiplier, plan.sample_rate, plan.steps)
    names = {model.name for model in saved_models(workspace)}
    while True:
        secret = SecureRandom(_seed(settings.train.seed)).export_key()
        try:
            found = ledger.reserve(population, charge, run, seal(wrapping, secret, f"training:{run}"))
        except BudgetExceeded as error:
            raise BudgetRefused(
                f"the privacy ledger refuses: {error}. Lower --epsilon, wait for new owners under another "
                "population, or raise the limit with `lexveil ledger limit` if its keeper agrees"
            ) from None
        if found.state == "open":
            assert found.secret is not None
            return found, unseal(wrapping, found.secret, f"training:{run}"), run
        if f"{settings.train.model}-{run[:8]}" in names:
            return found, b"", run
        run = digest_of([run, "again"])


def _seed(seed: int | None) -> bytes | None:
    return None if seed is None else seed.to_bytes(32, "big", signed=True)


def _card(
    name: str,
    settings: Settings,
    unit: str,
    config: ModelConfig,
    plan: TrainingPlan,
    reservation: Reservation,
    recipe: str,
    owners: int,
) -> ModelCard:
    train = settings.train
    return ModelCard(
        name=name,
        kind=config.kind,
        objective=config.objective,
        epsilon=reservation.charge.epsilon(train.delta),
        delta=train.delta,
        unit=unit,
        relation=RELATION.format(unit=unit),
        steps=plan.steps,
        sample_rate=plan.sample_rate,
        noise_multiplier=plan.noise_multiplier,
        max_grad_norm=plan.max_grad_norm,
        owners=owners,
        labels=len(config.labels),
        population=settings.ledger.population,
        reservation=reservation.id,
        recipe=recipe,
        encoder_digest=config.encoder_digest,
        created=now(),
        seeded=train.seed is not None,
    )
