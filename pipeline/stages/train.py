"""Train: encoded documents -> a feature extractor under differential privacy, charged to the ledger first."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.pipeline.errors import TrainingRefusedError, TrainingStoppedError
from lexveil.pipeline.masking.decisions import compute_decisions_digests
from lexveil.pipeline.masking.record import build_masking_record
from lexveil.pipeline.masking.texts import mask_names, mask_names_by
from lexveil.pipeline.models.card import LabelSource, ModelCard
from lexveil.pipeline.models.encoding import encoded_folder, get_encoding
from lexveil.pipeline.models.saved import SavedModel, find_model, save_model
from lexveil.pipeline.records import ForEach, Progress, format_moment, run_one_by_one
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.training.charges import describe_relation
from lexveil.pipeline.training.classes import MaskNames
from lexveil.pipeline.training.data import Split, group_by_owner, load_split
from lexveil.pipeline.training.fit import build_model_config, check_trainable, choose_device, fit
from lexveil.pipeline.training.identity import (
    compute_documents_digest,
    compute_recipe_digest,
    find_trained_model,
    record_training,
)
from lexveil.pipeline.training.recipes import plan_training
from lexveil.pipeline.training.reservations import (
    ReservedRun,
    RunSecret,
    build_checkpoint,
    check_before_charging,
    format_model_name,
    open_reconciled_ledger,
    reserve,
    warn_before_training,
)
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.engine import NonFiniteWeightsError, TrainingPlan
from lexveil.privacy.dp.group import Group
from lexveil.privacy.dp.ledger.ledger import Population
from lexveil.privacy.dp.randomness import SecureRandom


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """Outcome of the stage.

    Attributes:
        saved: the model.
        new: True if this call trained it, False if it existed.
        unprotected_losses: mean loss of each step, without noise: it must stay inside.
        unprotected_zeros: number of gradients, one per owner and step, that were not finite and counted as
            zero: it must stay inside, too.
    """

    saved: SavedModel
    new: bool
    unprotected_losses: tuple[float, ...] = ()
    unprotected_zeros: int = 0


def train(
    workspace: Workspace,
    each: ForEach = run_one_by_one,
    progress: Progress | None = None,
    *,
    each_has_detector: bool = False,
) -> TrainingOutcome:
    """Train the configured model on the workspace's documents.

    The ledger reserves the run before anything is computed on private data, and refuses a run that would
    exceed the limit. A run that was killed continues from its last checkpoint, or from the start, with the
    same secret randomness: it ends with the same model and is charged once. If a model of the same recipe and
    the same documents exists, nothing is trained or charged, even if the code has changed since.

    Under torchrun, only the first process calls this function; the others call `run_helper_rank`.

    Args:
        workspace: the workspace.
        each: runs the shards of the encoding.
        progress: listener for the training steps.
        each_has_detector: the processes of `each` have just masked documents, so they mask the names of
            classes, too.

    Raises:
        TrainingRefusedError: the documents, the settings or the machine cannot train the model.
        TrainingStoppedError: a weight was not finite after a step.
        BudgetRefusedError: the ledger's limit would be exceeded, or the ledger is broken.
    """
    choose_device(workspace.settings.train)
    encode(workspace, get_encoding(workspace.settings.train.model), each)
    group = Group.join()
    mask = partial(mask_names_by, each) if each_has_detector else mask_names
    try:
        return _train_in_group(workspace, group, partial(mask, workspace), progress)
    finally:
        group.leave()


def run_helper_rank(workspace: Workspace) -> None:
    """Compute this process's share of each step. Every process of torchrun but the first calls it.

    It reads the workspace and writes nothing. The first process decides whether there is anything to train.

    Raises:
        TrainingRefusedError: as in `train`, and if this process reads other documents, settings or code than
            the first.
    """
    choose_device(workspace.settings.train)
    group = Group.join()
    try:
        run = _prepare(workspace, group, partial(mask_names, workspace))
        secret = group.broadcast_bytes()
        if secret:
            reserved = RunSecret.from_bytes(secret)
            train = reserved.bind(workspace.settings.train)
            with suppress(NonFiniteWeightsError):  # the first process reports it
                data = group_by_owner(run.split, train)
                fit(run.config, data, train, run.plan, SecureRandom(reserved.key), group=group)
    finally:
        group.leave()


@dataclass(frozen=True, slots=True)
class _Run:
    """A training run before it is reserved. `digest` identifies it and is the same in every process."""

    split: Split
    config: ModelConfig
    plan: TrainingPlan
    digest: str


def _train_in_group(
    workspace: Workspace, group: Group, mask: MaskNames, progress: Progress | None
) -> TrainingOutcome:
    run = _prepare(workspace, group, mask)
    with _broadcasting(group) as broadcast, open_reconciled_ledger(workspace) as (ledger, population):
        documents = compute_documents_digest(workspace, compute_decisions_digests(workspace))
        if (existing := find_trained_model(workspace, run.split, documents)) is not None:
            return TrainingOutcome(existing, new=False)
        check_before_charging(workspace, ledger, population, run.split, {run.digest: run.plan})
        warn_before_training(workspace, population, run.split)
        reserved = reserve(workspace, ledger, population, run.plan, run.digest)
        if reserved.secret is None:
            name = format_model_name(workspace.settings, reserved.run)
            return TrainingOutcome(find_model(workspace, name), new=False)
        bound = reserved.secret.bind(workspace.settings.train)
        broadcast(reserved.secret.to_bytes())
        checkpoint = build_checkpoint(workspace, reserved)
        try:
            model, result = fit(
                run.config,
                group_by_owner(run.split, bound),
                bound,
                run.plan,
                SecureRandom(reserved.secret.key),
                progress,
                checkpoint=checkpoint,
                group=group,
            )
        except NonFiniteWeightsError as error:
            ledger.abandon(reserved.reservation.id)  # in full: no entry says at which step it stopped
            checkpoint.discard()
            raise TrainingStoppedError(
                f"a weight was not finite after step {error.step}; the run is charged in full. "
                "Lower the learning rate"
            ) from None
        card = _build_card(workspace, run, reserved, population)
        record_training(workspace, card.name, documents, result.unprotected_zeros)
        saved = save_model(workspace, model, card, build_masking_record(workspace.settings.mask))
        ledger.commit(reserved.reservation.id, run.plan.steps)
        checkpoint.discard()
    return TrainingOutcome(saved, True, result.unprotected_loss, result.unprotected_zeros)


def _prepare(workspace: Workspace, group: Group, mask: MaskNames) -> _Run:
    """Load and check what the run trains on, in agreement with the other processes."""
    split = load_split(workspace, mask)
    try:
        plan = plan_training(workspace.settings.train, split)
    except ValueError as error:
        raise TrainingRefusedError(f"no training run is possible with these settings: {error}") from None
    config = build_model_config(workspace.settings.train, split)
    check_trainable(config, workspace.settings.train)
    want = get_encoding(workspace.settings.train.model)
    encoded = read_manifest(encoded_folder(workspace, want), f"encode-{want}")
    digest = compute_digest(
        [compute_recipe_digest(workspace.settings), [s.digest for s in encoded.shards], code_digest(__name__)]
    )
    if not group.agree_on(compute_digest([digest, asdict(plan)]).encode()):
        raise TrainingRefusedError("the processes of this run see different documents, settings or code")
    return _Run(split, config, plan, digest)


@contextmanager
def _broadcasting(group: Group) -> Generator[Callable[[bytes], object]]:
    """Yield the function that sends the run's secret to the other processes.

    If it is not called, the end of the block tells them that there is nothing to train.
    """
    sent = False

    def broadcast(secret: bytes) -> None:
        nonlocal sent
        sent = True
        group.broadcast_bytes(secret)

    try:
        yield broadcast
    finally:
        if not sent:
            group.broadcast_bytes()


def _describe_label_source(split: Split) -> LabelSource:
    if split.public_labels:
        return "settings"
    return "documents, without any label" if split.objective == "denoise" else "documents, names masked"


def _build_card(workspace: Workspace, run: _Run, reserved: ReservedRun, population: Population) -> ModelCard:
    settings, train = workspace.settings, workspace.settings.train
    return ModelCard(
        name=format_model_name(settings, reserved.run),
        kind=run.config.kind,
        objective=run.config.objective,
        epsilon=reserved.reservation.charge.epsilon(train.delta),
        delta=train.delta,
        unit=population.unit,
        relation=describe_relation(population),
        steps=run.plan.steps,
        sample_rate=run.plan.sample_rate,
        noise_multiplier=run.plan.noise_multiplier,
        max_grad_norm=run.plan.max_grad_norm,
        max_batch=train.max_batch,
        max_items_per_owner=train.max_items_per_owner,
        owners=run.split.n_owners,
        documents_left_out=run.split.left_out,
        labels=len(run.config.labels),
        label_source=_describe_label_source(run.split),
        population=settings.ledger.population,
        reservation=reserved.reservation.id,
        recipe=compute_recipe_digest(settings),
        encoder_digest=run.config.encoder_digest,
        created=format_moment(workspace.keys.next_moment()),
        seeded=train.seed is not None,
    )
