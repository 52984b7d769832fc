"""Audit: the software attacks its own training code and a saved model; the verdict goes on the card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lexveil.nlp.encoders.config import ModelConfig, takes_tokens
from lexveil.nlp.encoders.documents import extract
from lexveil.nlp.encoders.inputs import Inputs, collate_tokens
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.models.card import read_card, record_audit
from lexveil.pipeline.models.encoding import as_trained, encoding_of, load_encoder
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import SavedModel, find_model, models
from lexveil.pipeline.records import ForEach, now, run_one_by_one
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.training.data import Row, Split, load_split, target_of
from lexveil.pipeline.training.fit import fit
from lexveil.pipeline.training.objectives import objective_of
from lexveil.pipeline.training.recipes import plain_plan, training_plan
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.audit.attacks import (
    FEWEST,
    Exposure,
    Membership,
    measure_exposure,
    measure_membership,
)
from lexveil.privacy.dp.audit.gate import ALPHA, Claim, Finding, Probe, Verdict, default_probes, run_gate
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.randomness import SecureRandom

Floats = NDArray[np.float64]

_CONFIDENCE = 0.95
_PAIRS = 2
_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Attacked:
    """What attacks reach on a model, and on the same model trained without privacy. Unprotected.

    references: models trained without privacy on halves of the owners, which say how hard an owner is; 0: the
    attack is by the loss alone. refuted_epsilon: the bound of `membership` at the level of the gate.
    """

    membership: Membership | None
    membership_without_privacy: Membership | None
    exposure: Exposure | None
    exposure_without_privacy: Exposure | None
    references: int
    refuted_epsilon: float = 0.0


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit's outcome.

    Attributes:
        card: what stands on the model's card. It comes from synthetic owners, the card and the ledger, but
            for whether `membership` is among the failed.
        unprotected: where the figures of the attacks lie; None where there were no attacks.
    """

    saved: SavedModel
    card: Mapping[str, Any]
    findings: tuple[Finding, ...]
    attacked: Attacked | None = field(repr=False)
    unprotected: Path | None


def audit(
    workspace: Workspace,
    name: str | None = None,
    *,
    attacks: bool = True,
    each: ForEach = run_one_by_one,
    tell: Callable[[str, int, int], None] | None = None,
) -> Audited:
    """Audit a model (None: the newest) and put the verdict on its card.

    The gate runs on synthetic owners, through the code and with the numbers of this model; nothing is
    charged for it. The attacks compare the model's documents with those held out, and train models without
    privacy to compare with, which are never saved. Their figures carry no noise: they are written below
    the protected root and are a diagnostic that stays inside, so nothing is charged for them either.

    The settings must hold out the same owners as at training. Documents that came later count as trained on,
    which makes the attacks look weaker. Raises:
        TrainingRefusedError: there is no such model, or it can't be used.
    """
    saved = _find(workspace, name)
    card = read_card(saved.folder)
    model = open_model(saved.folder, workspace.settings)
    workspace = workspace.with_settings(as_trained(workspace.settings, model.config))
    say = tell or (lambda _stage, _done, _total: None)
    say("gate", 0, 1)
    claim = Claim(card["noise_multiplier"], card["max_grad_norm"], card["sample_rate"])
    probes = (*default_probes(), _own_probe(model.config, workspace.settings))
    verdict = run_gate(claim=claim, probes=probes)
    say("gate", 1, 1)
    findings = [*verdict.findings, *check_card(workspace, card)]
    attacked = None
    if attacks:
        attacked = _attack(workspace, saved, card, model, each, say)
        if attacked.membership is not None:
            findings.append(Finding("membership", float(attacked.refuted_epsilon <= card["epsilon"]), {}))
    found = _on_card(verdict, findings, attacked)
    path = None if attacked is None else _write(workspace, saved, attacked, found)
    record_audit(saved.folder, found)
    return Audited(saved, found, tuple(findings), attacked, path)


def _find(workspace: Workspace, name: str | None) -> SavedModel:
    if name is not None:
        return find_model(workspace, name)
    known = models(workspace)
    if not known:
        raise TrainingRefusedError("this workspace has no model; train one with `lexveil train`")
    return known[-1]


def _on_card(verdict: Verdict, findings: Sequence[Finding], attacked: Attacked | None) -> dict[str, Any]:
    level = verdict.alpha / len(findings)
    tried = attacked is not None and attacked.membership is not None
    return {
        "date": now(),
        "code": code_digest(__name__),
        "tests": [finding.name for finding in findings],
        "failed": [finding.name for finding in findings if finding.p_value < level],
        "claimed_epsilon": verdict.epsilon,
        "claimed_delta": verdict.delta,
        "epsilon_lower_bound": verdict.epsilon_lower_bound,
        "confidence": verdict.confidence,
        "alpha": verdict.alpha,
        "attacked": tried,
    }


def check_card(workspace: Workspace, card: Mapping[str, Any]) -> tuple[Finding, Finding]:
    """`accounting`: the ledger is intact and holds this run with the card's numbers, and epsilon follows from
    them. `secret_randomness`: the noise came from a key that nobody knows, as far as the card says.

    They can falsify: a card that claims less than was charged, a run that was never charged, a known seed. No
    chance is involved.
    """
    ledger, _ = open_ledger(workspace)
    try:
        intact = ledger.verify().ok
        runs = [run for population in ledger.populations() for run in ledger.reservations(population)]
    finally:
        ledger.close()
    secret = Finding("secret_randomness", float(not card["seeded"]), {})
    found = next((run for run in runs if run.id == card["reservation"]), None)
    if found is None:
        return Finding("accounting", 0.0, {"charged": 0}), secret
    charge = found.charge
    same = (charge.noise_multiplier, charge.sample_rate) == (card["noise_multiplier"], card["sample_rate"])
    enough = found.charged_steps >= card["steps"]
    recomputed = charge.epsilon(card["delta"])
    held = intact and same and enough and recomputed <= card["epsilon"] * (1 + 1e-6)
    return Finding("accounting", float(held), {"charged": 1, "recomputed_epsilon": recomputed}), secret


def _own_probe(config: ModelConfig, settings: Settings) -> Probe:
    """The very architecture of the model, untrained, on random inputs."""
    encoder = load_encoder(settings.train)
    labels = len(config.labels)

    def fresh() -> torch.nn.Module:
        model = build_model(config, encoder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            torch.nn.init.normal_(model.output.weight)  # of zeros, it would hide the gradients below
        return objective_of(model)[0]

    def items(seeds: Sequence[int]) -> tuple[Inputs, torch.Tensor]:
        dice = [np.random.default_rng(seed) for seed in seeds]
        targets: torch.Tensor = torch.tensor([int(one.integers(labels)) for one in dice])
        if config.objective != "classify":
            targets = torch.nn.functional.one_hot(targets, labels).float()
        if takes_tokens(config.kind):
            chunks = [one.integers(encoder.vocab_size, size=_TOKENS).tolist() for one in dice]
            return collate_tokens(chunks), targets
        embeddings = np.stack([one.normal(size=config.input_dim) for one in dice]).astype(np.float32)
        return torch.from_numpy(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)), targets

    loss = objective_of(build_model(config, encoder))[1]
    return Probe("this_model", fresh, items, loss, draws=True)


def _attack(
    workspace: Workspace,
    saved: SavedModel,
    card: Mapping[str, Any],
    model: FeatureModel,
    each: ForEach,
    say: Callable[[str, int, int], None],
) -> Attacked:
    """Membership and exposure, against the saved model and against its twin without privacy.

    The score of an owner is the mean, over the documents, of log(p / (1 - p)) with -log p the loss (Carlini
    et al. 2022, section IV-C). Where models train on embeddings, which is quick, an owner's mean score under
    models that have not seen it is taken off: the offline attack of that paper, with four references, less
    its division by the spread, which two values don't give. Elsewhere the loss alone decides (Yeom et al.
    2018, "Privacy Risk in Machine Learning", adversary 2).
    """
    workspace = workspace.with_settings(_settings_of(workspace.settings, model.config, card))
    encode(workspace, encoding_of(saved.kind), each)
    split = _known(load_split(workspace), model.config)
    inside = {row.owner for row in split.train}
    owners = sorted({row.owner for row in (*split.train, *split.held_out)})
    if min(len(inside), len(owners) - len(inside)) < FEWEST:
        return Attacked(None, None, None, None, 0)
    plan = plain_plan(training_plan(workspace.settings.train, split), saved.kind)
    references = 0 if takes_tokens(saved.kind) else 2 * _PAIRS
    dice = np.random.default_rng()
    say("attacks", 0, 2 + references)
    learn = partial(_learn, model.config, workspace.settings, plan)
    hardness = np.zeros(len(owners))
    for pair in range(references // 2):
        first = dice.permutation(len(owners)) < len(owners) // 2
        for place, half in enumerate((first, ~first)):
            reference = learn(_of(split, [o for o, chosen in zip(owners, half, strict=True) if chosen]))
            hardness[~half] += _scores(reference, split, owners)[~half] / _PAIRS
            say("attacks", 2 * pair + place + 1, 2 + references)
    member = np.array([owner in inside for owner in owners])
    found = [_scores(model, split, owners) - hardness]
    say("attacks", 1 + references, 2 + references)
    found.append(_scores(learn(split), split, owners) - hardness)
    say("attacks", 2 + references, 2 + references)
    sure = measure_membership(found[0][member], found[0][~member], card["delta"], 1 - ALPHA, dice)
    rates = [measure_membership(s[member], s[~member], card["delta"], _CONFIDENCE, dice) for s in found]
    bits = [measure_exposure(s[member], s[~member]) for s in found]
    refuted = 0.0 if sure is None else sure.epsilon_lower_bound
    return Attacked(rates[0], rates[1], bits[0], bits[1], references, refuted)


def _settings_of(settings: Settings, config: ModelConfig, card: Mapping[str, Any]) -> Settings:
    """The settings, with the numbers that this model was trained with."""
    names = ("epsilon", "delta", "steps", "sample_rate", "max_grad_norm")
    known = {name: card[name] for name in names} | {"model": config.kind, "objective": config.objective}
    return settings.model_copy(update={"train": settings.train.model_copy(update=known)})


def _known(split: Split, config: ModelConfig) -> Split:
    """Only documents that the model has a loss for."""

    def fits(row: Row) -> bool:
        if config.objective == "denoise":
            return row.encoded.topics is not None and bool(row.encoded.topics.any())
        return row.label is not None and set(parse_classes(row.label)) <= set(config.labels)

    return Split(
        tuple(row for row in split.train if fits(row)),
        tuple(row for row in split.held_out if fits(row)),
        config.objective,
        config.labels,
    )


def _of(split: Split, owners: Sequence[str]) -> Split:
    """To learn from these owners, whether they were held out or not."""
    chosen = set(owners)
    rows = tuple(row for row in (*split.train, *split.held_out) if row.owner in chosen)
    return Split(rows, (), split.objective, split.labels)


def _learn(config: ModelConfig, settings: Settings, plan: TrainingPlan, split: Split) -> FeatureModel:
    return fit(config, split, settings.train, plan, SecureRandom(), private=False)[0]


def _scores(model: FeatureModel, split: Split, owners: Sequence[str]) -> Floats:
    """Mean score of each owner's documents. Shape: (owners,)."""
    rows = [*split.train, *split.held_out]
    logits = torch.from_numpy(extract(model, [row.encoded for row in rows]).logits).double()
    targets = np.stack([np.asarray(target_of(row, split.objective, split.labels)) for row in rows])
    losses = objective_of(model)[1](logits, torch.from_numpy(targets))
    scores = -torch.expm1(losses.clamp(1e-12, 500)).log().numpy()
    place = {owner: index for index, owner in enumerate(owners)}
    index = np.array([place[row.owner] for row in rows])
    return np.bincount(index, scores, len(owners)) / np.bincount(index, minlength=len(owners))


def _write(workspace: Workspace, saved: SavedModel, attacked: Attacked, card: Mapping[str, Any]) -> Path:
    path = workspace.protected / "audits" / f"{saved.name}.json"
    note = "Measured on private documents, without noise: it stays inside."
    content = {"note": note, "model": saved.name, **card, **asdict(attacked)}
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode(), mode=0o600)
    return path
