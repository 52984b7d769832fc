"""Train: encoded documents -> a feature extractor under differential privacy, charged to the ledger first."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.storage import ModelLoadError, read_config
from lexveil.pipeline.errors import TrainingRefusedError, TrainingStoppedError
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.masking.decisions import decisions_digests
from lexveil.pipeline.models.card import ModelCard, read_card
from lexveil.pipeline.models.encoding import encoded_folder, encoding_of
from lexveil.pipeline.models.saved import SavedModel, find_model, find_recipe, models, refusal, save_model
from lexveil.pipeline.records import ForEach, format_moment, run_one_by_one
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.training.data import Split, load_split, resolve_objective
from lexveil.pipeline.training.fit import check_trainable, device_of, fit, model_config
from lexveil.pipeline.training.recipes import training_plan
from lexveil.pipeline.training.reservations import (
    Reserved,
    checkpoint_of,
    model_name,
    reserve,
    settled_ledger,
    unit_of,
)
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.clipping.bookkeeper import NonFiniteGradientError
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.group import Group
from lexveil.privacy.dp.randomness import SecureRandom

RELATION = "add or remove one {unit} with all of its items"
# Settings that change how a model is trained, but not which model it is.
_NOT_RECIPE = {"diagnostics", "device", "micro_batch", "checkpoint_seconds"}


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


def recipe_digest(settings: Settings) -> str:
    """Digest of the settings that decide how a model is trained, whatever the documents."""
    recipe = settings.train.model_dump(mode="json", exclude=_NOT_RECIPE)
    return compute_digest([recipe, settings.ledger.population])


def current_model(workspace: Workspace) -> SavedModel | None:
    """The model that a run with these settings uses without training.

    The newest of the same recipe, if it knows all labels of the documents.
    """
    found = find_recipe(workspace, recipe_digest(workspace.settings))
    if found is None:
        return None
    written = set(workspace.catalogue.read().column("label").to_pylist())
    try:
        known = read_config(found.folder)
    except ModelLoadError as error:
        raise refusal(error) from None
    if known.objective != resolve_objective(workspace.settings.train, written):
        return None
    labels = {name for label in written for name in parse_classes(label)}
    return found if known.objective == "denoise" or labels <= set(known.labels) else None


def documents_digest(workspace: Workspace) -> str:
    """Digest of the documents that are trained on, and of how people want them masked.

    Ids are keyed digests of content, so it covers the texts. Code is no part of it: a model stays the model
    of its documents when a new version of Lexveil masks or encodes them differently.
    """
    rows = workspace.catalogue.read().select(["doc_id", "owner", "label", "split"]).to_pylist()
    documents = sorted([row["doc_id"], row["owner"], row["label"] or "", row["split"] or ""] for row in rows)
    decisions = sorted(decisions_digests(workspace).items())
    return compute_digest([documents, workspace.settings.mask.model_dump(mode="json"), decisions])


def trained_before(workspace: Workspace, split: Split) -> SavedModel | None:
    """The newest model of this recipe that was trained on these documents.

    A model of a version that kept no digest of its documents counts where it has as many owners and labels.
    """
    recipe, documents = recipe_digest(workspace.settings), documents_digest(workspace)
    for model in reversed(models(workspace)):
        if model.recipe != recipe:
            continue
        recorded = read_json(_documents_file(workspace, model.name))
        if recorded is None:
            card = read_card(model.folder)
            fits = (card["owners"], card["labels"]) == (split.n_owners, len(split.labels))
        else:
            fits = recorded["documents"] == documents
        if fits:
            return model
    return None


def _record_documents(workspace: Workspace, name: str) -> None:
    path = _documents_file(workspace, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(path, {"documents": documents_digest(workspace)})


def _documents_file(workspace: Workspace, name: str) -> Path:
    # Not on the card, which leaves the office: without noise, such a digest tells whether a document was
    # there.
    return workspace.protected / "models" / f"{name}.json"


def train(
    workspace: Workspace, each: ForEach = run_one_by_one, on_step: Callable[[int], None] | None = None
) -> Trained:
    """Train the configured model on the workspace's documents.

    The ledger reserves the run before anything is computed on private data and refuses one that would
    pass the limit. A run that was killed goes on from its last checkpoint, else from the start, with the
    same secret randomness: it ends with the same model and is charged once. Where a model of the same recipe
    and the same documents is there, nothing is trained or charged, even if code has changed since. Started by
    torchrun, this is for the first process; the others call `assist`.

    Raises:
        TrainingRefusedError: the documents, the settings or the machine can't train the model.
        TrainingStoppedError: a loss or gradient was not finite.
        BudgetRefusedError: the ledger's limit would be passed, or the ledger is broken.
    """
    device_of(workspace.settings.train)
    encode(workspace, encoding_of(workspace.settings.train.model), each)
    group = Group.join()
    try:
        split, plan, run = _prepared(workspace, group)
        with _telling(group) as tell, settled_ledger(workspace) as (ledger, population):
            if (known := trained_before(workspace, split)) is not None:
                return Trained(known, new=False)
            reserved = reserve(workspace, ledger, population, plan, run)
            if reserved.secret is None:
                return Trained(find_model(workspace, model_name(workspace.settings, reserved.run)), new=False)
            tell(reserved.secret)
            checkpoint = checkpoint_of(workspace, reserved)
            random = SecureRandom(reserved.secret)
            config = model_config(workspace.settings.train, split)
            try:
                model, result = fit(
                    config,
                    split,
                    workspace.settings.train,
                    plan,
                    random,
                    on_step,
                    checkpoint=checkpoint,
                    group=group,
                )
            except NonFiniteGradientError as error:
                step = plan.steps - 1 if error.step is None else error.step
                ledger.commit(reserved.reservation.id, step + 1)  # the step has looked at the data
                checkpoint.discard()
                raise TrainingStoppedError(
                    f"a loss or gradient was not finite in step {step}; the steps up to it are charged. "
                    "Lower the learning rate, or look for damaged documents"
                ) from None
            unit = unit_of(workspace)
            made = workspace.keys.next_moment()
            card = _card(workspace.settings, unit, config, plan, reserved, split.n_owners, made)
            _record_documents(workspace, card.name)
            saved = save_model(workspace, model, card)
            ledger.commit(reserved.reservation.id, plan.steps)
            checkpoint.discard()
    finally:
        group.leave()
    return Trained(saved, new=True, unprotected_losses=result.unprotected_loss)


def assist(workspace: Workspace) -> None:
    """What each process that torchrun started does beside the first: a share of each step, and no more.

    It reads the workspace and writes nothing; whether there is anything to train, the first decides.

    Raises:
        TrainingRefusedError: as in `train`, and where this process sees something else than the first.
    """
    device_of(workspace.settings.train)
    group = Group.join()
    try:
        split, plan, _ = _prepared(workspace, group)
        secret = group.broadcast_bytes()
        if secret:
            config = model_config(workspace.settings.train, split)
            with suppress(NonFiniteGradientError):  # the first says so
                fit(config, split, workspace.settings.train, plan, SecureRandom(secret), group=group)
    finally:
        group.leave()


def settle(workspace: Workspace) -> None:
    """Bring the ledger up to date with the saved models."""
    with settled_ledger(workspace):
        pass


def _prepared(workspace: Workspace, group: Group) -> tuple[Split, TrainingPlan, str]:
    """What is trained on, how, and the digest that names it, which is the same in every process."""
    split = load_split(workspace)
    try:
        plan = training_plan(workspace.settings.train, split)
    except ValueError as error:
        raise TrainingRefusedError(f"no training run is possible with these settings: {error}") from None
    check_trainable(model_config(workspace.settings.train, split), workspace.settings.train)
    want = encoding_of(workspace.settings.train.model)
    encoded = read_manifest(encoded_folder(workspace, want), f"encode-{want}")
    run = compute_digest(
        [recipe_digest(workspace.settings), [s.digest for s in encoded.shards], code_digest(__name__)]
    )
    if not group.agree_on(compute_digest([run, asdict(plan)]).encode()):
        raise TrainingRefusedError("the processes of this run see different documents, settings or code")
    return split, plan, run


@contextmanager
def _telling(group: Group) -> Generator[Callable[[bytes], object]]:
    """Tell the others the run's key; where it comes to none, that there is nothing to do."""
    told = False

    def tell(secret: bytes) -> None:
        nonlocal told
        told = True
        group.broadcast_bytes(secret)

    try:
        yield tell
    finally:
        if not told:
            group.broadcast_bytes()


def _card(
    settings: Settings,
    unit: str,
    config: ModelConfig,
    plan: TrainingPlan,
    reserved: Reserved,
    owners: int,
    made: float,
) -> ModelCard:
    train = settings.train
    return ModelCard(
        name=model_name(settings, reserved.run),
        kind=config.kind,
        objective=config.objective,
        epsilon=reserved.reservation.charge.epsilon(train.delta),
        delta=train.delta,
        unit=unit,
        relation=RELATION.format(unit=unit),
        steps=plan.steps,
        sample_rate=plan.sample_rate,
        noise_multiplier=plan.noise_multiplier,
        max_grad_norm=plan.max_grad_norm,
        max_batch=train.max_batch,
        max_items_per_owner=train.max_items_per_owner,
        owners=owners,
        labels=len(config.labels),
        population=settings.ledger.population,
        reservation=reserved.reservation.id,
        recipe=recipe_digest(settings),
        encoder_digest=config.encoder_digest,
        created=format_moment(made),
        seeded=train.seed is not None,
    )
