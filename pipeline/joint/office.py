"""One office's part in a joint training: what it offers, charges, trains and keeps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lexveil.nlp.encoders.config import ModelConfig
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.pipeline.errors import (
    AgreementError,
    JointTrainingError,
    TrainingRefusedError,
    TrainingStoppedError,
)
from lexveil.pipeline.joint.agreement import Agreement, OfficeOffer, Setup
from lexveil.pipeline.joint.identity import (
    build_summing,
    connect,
    exchange_consent,
    find_own,
    find_party,
    has_consented,
    keep_sum_key,
    load_signer,
    open_certificate,
    run_folder,
    sign_consent,
    translate_failures,
)
from lexveil.pipeline.joint.notes import RunNotes
from lexveil.pipeline.joint.once import fit_once
from lexveil.pipeline.joint.scores import LEVELS, check_released, release_level
from lexveil.pipeline.joint.views import TrafficLog
from lexveil.pipeline.logs import log
from lexveil.pipeline.masking.record import build_masking_record
from lexveil.pipeline.models.card import ModelCard
from lexveil.pipeline.models.encoding import encoded_folder, get_encoding, load_encoder
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import SavedModel, list_models, save_model
from lexveil.pipeline.records import ForEach, Progress, format_moment, run_one_by_one
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.training.charges import describe_relation, determine_unit
from lexveil.pipeline.training.data import FEW_UNITS, OwnerData, Split, describe_few_units, load_split
from lexveil.pipeline.training.fit import build_model_config, check_trainable, fit
from lexveil.pipeline.training.objectives import build_objective
from lexveil.pipeline.training.reservations import (
    ReservedRun,
    check_before_charging,
    open_reconciled_ledger,
    reserve,
)
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.batches import Batch, OwnerBatches
from lexveil.privacy.dp.engine import NonFiniteWeightsError
from lexveil.privacy.dp.ledger.ledger import Population
from lexveil.privacy.dp.randomness import SecureRandom
from lexveil.privacy.joint.journal import Journal
from lexveil.privacy.joint.mesh import CannotListenError, OfficeLeftError
from lexveil.privacy.joint.offices import Offices, catch_up, compare_records

# An office with all steps waits so long for others that may lack some.
_HAND_OVER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class JointOutcome:
    """Outcome of a joint training.

    Attributes:
        saved: the model.
        new: True if this call trained it, False if it existed.
        recalled: number of steps that were complete before this call.
    """

    saved: SavedModel
    new: bool
    recalled: int


def make_offer(
    workspace: Workspace,
    name: str,
    address: str,
    each: ForEach = run_one_by_one,
    score_epsilon: float | None = None,
) -> OfficeOffer:
    """Return what this office shows to the others before there is an agreement.

    Args:
        workspace: the workspace, with masked documents.
        name: name of the office.
        address: host and port at which it will listen.
        each: runs the shards of the encoding.
        score_epsilon: epsilon of a score of this office (`release_level`), which the ledger is charged; None:
            no score.

    Raises:
        TrainingRefusedError: the documents or the settings cannot train a model, or the classes are private.
        AgreementError: name or address cannot be used.
        SettingsError, BudgetRefusedError: see `release_level`.
    """
    split, config = _load(workspace, each)
    certificate = open_certificate(workspace, name)
    setup = _describe_setup(workspace, split, config)
    try:
        made = OfficeOffer(
            name=name, address=address, certificate=certificate, owners=split.n_owners, setup=setup
        )
    except ValueError:
        raise AgreementError(
            "an office's name has small letters, digits and hyphens, and its address is host:port, with a "
            "port from 1 to 65535"
        ) from None
    if score_epsilon is None:
        return made
    return made.model_copy(update={"score": release_level(workspace, split, score_epsilon)})


def sign_agreement(workspace: Workspace, agreement: Agreement, key: Path | None = None) -> None:
    """Check that this office can keep an agreement, and sign it; a hub has nothing to check.

    Args:
        workspace: the workspace of this office, or of the hub.
        agreement: the agreement.
        key: with protection he: file of the key that every office has; None: this office has kept it.

    Raises:
        AgreementError: the agreement does not fit this office.
        BudgetRefusedError: the ledger would refuse the charge.
    """
    if (index := find_party(workspace, agreement)) == len(agreement.offices):
        if key is not None:
            raise AgreementError("the hub of an agreement must not have the offices' key: delete it here")
        sign_consent(workspace, agreement, index)
        return
    split, config = _load(workspace, run_one_by_one)
    _check_own(workspace, agreement, index, split, config)
    keep_sum_key(workspace, agreement, key)
    plan = agreement.plan_charge()
    digest = RunNotes(run_folder(workspace, agreement)).digest(_digest_documents(workspace, agreement))
    with open_reconciled_ledger(workspace) as (ledger, population):
        check_before_charging(workspace, ledger, population, split, {digest: plan})
    sign_consent(workspace, agreement, index)


def train_jointly(
    workspace: Workspace,
    agreement: Agreement,
    each: ForEach = run_one_by_one,
    progress: Progress | None = None,
    patience: float = 600.0,
    listen: str | None = None,
) -> JointOutcome:
    """Train the agreed model together with the other offices, which run the same at the same time.

    The ledger is charged before anything about a document leaves. A training that was interrupted goes on
    where it stopped once all offices give the command again, with the same bits, and is charged once.

    Args:
        workspace: the workspace of this office.
        agreement: the agreement, signed here.
        each: runs the shards of the encoding.
        progress: listener for the steps.
        patience: seconds to wait for another office.
        listen: host and port to listen at; None: the address of the offer.

    Raises:
        AgreementError: the agreement is not signed, or no longer fits this office.
        BudgetRefusedError: the ledger refuses the charge.
        JointTrainingError: another office has left, or has sent what it may not.
        TrainingStoppedError: a weight was not finite after a step.
    """
    index = find_own(workspace, agreement)
    split, config = _load(workspace, each)
    _check_own(workspace, agreement, index, split, config)
    folder = run_folder(workspace, agreement)
    if not has_consented(folder):
        raise AgreementError("this office has not signed the agreement: lexveil join sign")
    run = RunNotes(folder)
    run.begin(_digest_documents(workspace, agreement))
    digest = run.digest(_digest_documents(workspace, agreement))
    with (
        translate_failures(agreement),
        run.end_at_false_sum(),
        open_reconciled_ledger(workspace) as (ledger, population),
    ):
        if (existing := find_joint_model(workspace, agreement)) is not None:
            if not run.is_settled():
                _hand_over(workspace, agreement, index, patience, listen)
            return JointOutcome(existing, new=False, recalled=agreement.steps)
        plan = agreement.plan_charge()
        check_before_charging(workspace, ledger, population, split, {digest: plan})
        if agreement.owners < FEW_UNITS:
            log.warning(describe_few_units(agreement.owners, population.unit))
        # The others may have finished: an office that has all steps needs nobody, but they may need it.
        complete = Journal(folder, None).count() >= agreement.steps
        kept = TrafficLog(folder)
        with (
            nullcontext()
            if complete
            else kept.record(connect(workspace, agreement, index, patience, listen)) as mesh
        ):
            exchange_consent(mesh, folder, agreement)
            reserved = reserve(workspace, ledger, population, plan, digest, _name_model(agreement))
            if reserved.secret is None:
                raise AgreementError(
                    "the ledger has settled this run, and its model is gone: draft a new one"
                )
            random = SecureRandom(reserved.secret.key)
            summing = build_summing(workspace, agreement, mesh, load_signer(workspace))
            journal = Journal(folder, random.derive("joint-upload"))
            recalled = agreement.steps if mesh is None else catch_up(mesh, journal, summing, agreement.steps)
            turns = agreement.list_turns(index)
            offices = Offices(
                summing, journal, agreement.plan_noise(), random, agreement.counted_owners, turns,
                agreement.weights[index],
            )  # fmt: skip
            bound = reserved.secret.bind(workspace.settings.train)
            data = OwnerData(split, config.kind, bound.max_items_per_owner)
            try:
                follow = progress if mesh is None else kept.follow(mesh, progress)
                model = fit_agreed(agreement, config, data, bound, random, offices, follow)
            except NonFiniteWeightsError as error:
                run.note(ended=error.step)
                ledger.abandon(reserved.reservation.id)
                raise TrainingStoppedError(
                    f"a weight was not finite after step {error.step}; the run is charged in full. "
                    "Lower the learning rate"
                ) from None
            if mesh is not None:  # when all have said so, each can finish by itself
                compare_records(mesh, journal, agreement.steps)
                run.note(settled=True)
        card = _build_card(workspace, agreement, config, split, reserved, population)
        saved = save_model(workspace, model, card, build_masking_record(workspace.settings.mask))
        ledger.commit(reserved.reservation.id, plan.steps)
        journal.discard_upload()
        if not run.is_settled():
            _hand_over(workspace, agreement, index, patience, listen)
    return JointOutcome(saved, new=True, recalled=recalled)


def verify_run(workspace: Workspace, agreement: Agreement) -> dict[str, Any]:
    """Recompute a joint training from what all offices have signed, without any document.

    Returns:
        The number of steps that were recomputed, and whether the sums give the weights of the saved model.

    Raises:
        AgreementError: this office has no part in the agreement, or an office has not signed it.
        JointTrainingError: something was changed; the message names the office whose signature fails.
    """
    index = find_own(workspace, agreement)
    folder = run_folder(workspace, agreement)
    journal = Journal(folder, None)
    steps = journal.count()
    if steps < agreement.steps or (saved := find_joint_model(workspace, agreement)) is None:
        raise AgreementError(
            f"the training is not over: {steps} of {agreement.steps} steps are complete here"
        )
    with translate_failures(agreement):
        exchange_consent(None, folder, agreement)
        model = open_model(saved.folder, workspace.settings)
        replayed = _replay(workspace, agreement, journal, model.config)
    if not have_equal_weights(model, replayed):
        raise JointTrainingError(
            "the saved model does not have the weights that the signed sums give: it was changed, or another "
            "machine trained it"
        )
    return {
        "office": agreement.offices[index].name,
        "offices": len(agreement.offices),
        "steps": steps,
        "model": saved.name,
        "weights": "as the signed sums give them",
    }


def describe_run(workspace: Workspace, agreement: Agreement) -> dict[str, Any]:
    """Return the agreement and how far this office is, for people."""
    index = find_party(workspace, agreement)
    folder = run_folder(workspace, agreement)
    plan = agreement.plan_charge()
    hub = agreement.hub
    return {
        "agreement": agreement.digest.hex(),
        "office": agreement.parties[index].name,
        "offices": [
            {"name": one.name, "address": one.address, "owners": one.owners}
            | ({} if one.score is None else {"score": one.score.level / LEVELS, "weight": weight})
            for one, weight in zip(agreement.offices, agreement.weights, strict=True)
        ],
        **({} if hub is None else {"hub": {"name": hub.name, "address": hub.address}}),
        "model": agreement.setup.kind,
        "classes": len(agreement.setup.labels),
        "protection": agreement.describe(),
        "epsilon": plan.epsilon(agreement.delta),
        "delta": agreement.delta,
        "unit": agreement.setup.unit,
        "signed": has_consented(folder),
        "steps": f"{Journal(folder, None).count()} of {agreement.steps}",
        "trained": find_joint_model(workspace, agreement) is not None,
    }


def _load(workspace: Workspace, each: ForEach) -> tuple[Split, ModelConfig]:
    """Load the documents, and the configuration of the model; the classes must be listed in the settings."""
    train = workspace.settings.train
    if train.seed is not None:
        raise TrainingRefusedError(
            "joint training has no train.seed: whoever knows it knows this office's noise; leave it out"
        )
    if train.max_batch is not None:
        raise TrainingRefusedError("joint training has no train.max_batch: leave it out")
    encode(workspace, get_encoding(train.model), each)
    split = load_split(workspace)
    if not split.public_labels and split.objective != "denoise":
        raise TrainingRefusedError(
            "joint training tells the classes to the other offices: list public ones in train.labels"
        )
    config = build_model_config(train, split)
    check_trainable(config, train)
    return split, config


def _describe_setup(workspace: Workspace, split: Split, config: ModelConfig) -> Setup:
    settings = workspace.settings
    target, _ = build_objective(build_model(config, load_encoder(settings.train)))
    return Setup(
        kind=config.kind,
        objective=split.objective,
        labels=config.labels,
        weights=sum(one.numel() for one in target.parameters() if one.requires_grad),
        model=compute_digest(asdict(config)),
        masking=compute_digest(settings.mask.model_dump(mode="json")),
        max_items_per_owner=settings.train.max_items_per_owner,
        unit="owner" if determine_unit(workspace) == "owner" else "document",
    )


def _check_own(
    workspace: Workspace, agreement: Agreement, index: int, split: Split, config: ModelConfig
) -> None:
    """Refuse an agreement on something else than this office has.

    Raises:
        AgreementError: the setup, the number of owners or the score is another.
    """
    mine = _describe_setup(workspace, split, config)
    different = [name for name in Setup.model_fields if getattr(mine, name) != getattr(agreement.setup, name)]
    if different:
        raise AgreementError(
            f"this office would train something else than the agreement says: {', '.join(different)}"
        )
    if split.n_owners != agreement.offices[index].owners:
        raise AgreementError(
            f"this office has {split.n_owners} owners to train on, the agreement says "
            f"{agreement.offices[index].owners}: make a new offer, or a new agreement"
        )
    check_released(workspace, agreement.offices[index].score)


def _hand_over(
    workspace: Workspace, agreement: Agreement, index: int, patience: float, listen: str | None
) -> None:
    """Give the steps that this office has to others that may lack some; whether any does is not known."""
    folder = run_folder(workspace, agreement)
    journal = Journal(folder, None)
    try:
        opening = connect(workspace, agreement, index, min(patience, _HAND_OVER_SECONDS), listen)
        with TrafficLog(folder).record(opening) as mesh:
            exchange_consent(mesh, folder, agreement)
            summing = build_summing(workspace, agreement, mesh, load_signer(workspace))
            catch_up(mesh, journal, summing, agreement.steps)
            compare_records(mesh, journal, agreement.steps)
    except (OfficeLeftError, CannotListenError):
        log.warning(
            "this office has all steps, and no other has asked for any: if one lacks some, give the command "
            "in every office again"
        )
    else:
        RunNotes(folder).note(settled=True)


def _digest_documents(workspace: Workspace, agreement: Agreement) -> str:
    """Return what identifies the agreement and this office's documents."""
    want = get_encoding(workspace.settings.train.model)
    encoded = read_manifest(encoded_folder(workspace, want), f"encode-{want}")
    return compute_digest(["joint", agreement.digest.hex(), [shard.digest for shard in encoded.shards]])


def _name_model(agreement: Agreement) -> str:
    return f"{agreement.setup.kind}-joint-{agreement.digest.hex()[:8]}"


def find_joint_model(workspace: Workspace, agreement: Agreement) -> SavedModel | None:
    """Return the model that was trained under an agreement, or None."""
    name = _name_model(agreement)
    return next((model for model in list_models(workspace) if model.name == name), None)


def _build_card(
    workspace: Workspace,
    agreement: Agreement,
    config: ModelConfig,
    split: Split,
    reserved: ReservedRun,
    population: Population,
) -> ModelCard:
    settings, charge = workspace.settings, reserved.reservation.charge
    return ModelCard(
        name=_name_model(agreement),
        kind=config.kind,
        objective=config.objective,
        epsilon=charge.epsilon(agreement.delta),
        delta=agreement.delta,
        unit=population.unit,
        relation=describe_relation(population),
        steps=charge.steps,
        sample_rate=charge.sample_rate,
        noise_multiplier=charge.noise_multiplier,
        max_grad_norm=agreement.max_grad_norm,
        max_batch=None,
        max_items_per_owner=agreement.setup.max_items_per_owner,
        owners=agreement.owners,
        documents_left_out=split.left_out,
        labels=len(config.labels),
        label_source="settings" if split.public_labels else "documents, without any label",
        population=settings.ledger.population,
        reservation=reserved.reservation.id,
        recipe=compute_digest(["joint", agreement.digest.hex()]),
        encoder_digest=config.encoder_digest,
        created=format_moment(workspace.keys.next_moment()),
        seeded=settings.train.seed is not None,
        joint=agreement.describe(),
        offices=len(agreement.offices),
        colluders=agreement.sharing.colluders,
    )


class _NoOwners:
    """Data that a replay does not read."""

    n_owners = 1
    item_counts = (0,)

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        raise AssertionError("a replay reads no document")


def _replay(
    workspace: Workspace, agreement: Agreement, journal: Journal, config: ModelConfig
) -> FeatureModel:
    """Return the model that the signed sums give."""
    random = SecureRandom()
    summing = build_summing(workspace, agreement, None, None)
    offices = Offices(summing, journal, agreement.plan_noise(), random, agreement.counted_owners)
    train = workspace.settings.train.model_copy(update={"device": "cpu"})
    return fit_agreed(agreement, config, _NoOwners(), train, random, offices)


def fit_agreed(
    agreement: Agreement,
    config: ModelConfig,
    data: OwnerBatches,
    train: TrainSettings,
    random: SecureRandom,
    offices: Offices,
    progress: Progress | None = None,
) -> FeatureModel:
    """Train the model as the agreement says.

    Args:
        agreement: the agreement.
        config: configuration of the model.
        data: documents of this office, by owner.
        train: settings of the training.
        random: randomness of this office.
        offices: all offices.
        progress: listener for the steps.
    """
    plan = agreement.plan_steps()
    if agreement.protection == "once":
        return fit_once(config, data, train, plan, random, offices)
    return fit(config, data, train, plan, random, progress, group=offices)[0]


def have_equal_weights(one: FeatureModel, other: FeatureModel) -> bool:
    """Return True if two models have the same weights, bit for bit."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)
