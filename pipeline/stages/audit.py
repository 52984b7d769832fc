"""Audit: attack the training code and a saved model, and write the verdict on the model's card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lexveil.nlp.encoders.config import ModelConfig, takes_tokens
from lexveil.nlp.encoders.inputs import Inputs, collate_tokens
from lexveil.nlp.encoders.models import FeatureModel, build_model
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.card import read_card, record_audit
from lexveil.pipeline.models.encoding import get_encoding, load_encoder, restore_encoding
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import SavedModel, find_model, list_models
from lexveil.pipeline.records import ForEach, Progress, ignore_progress, now, run_one_by_one
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.stages.neighbors import audit_owners
from lexveil.pipeline.training.attacks import AttackOutcome, attack_model
from lexveil.pipeline.training.data import load_split
from lexveil.pipeline.training.objectives import build_objective, draw_head
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.audit.gate import Claim, Finding, Verdict, run_gate
from lexveil.privacy.dp.audit.synthetic_owners import Probe, default_probes
from lexveil.privacy.joint.audit import JointTraining, audit_joint_training
from lexveil.privacy.joint.noise import Sharing

_TOKENS = 8


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """Outcome of an audit.

    Attributes:
        saved: the model.
        card: the verdict on the model's card. It comes from synthetic owners, the card and the ledger, except
            for the presence of `membership` among the failed tests.
        findings: the tests.
        attacked: results of the attacks; None: they were not requested.
        unprotected: file with the results of the attacks; None: there were no attacks.
    """

    saved: SavedModel
    card: Mapping[str, Any]
    findings: tuple[Finding, ...]
    attacked: AttackOutcome | None = field(repr=False)
    unprotected: Path | None


def audit(
    workspace: Workspace,
    name: str | None = None,
    *,
    attacks: bool = True,
    each: ForEach = run_one_by_one,
    progress: Progress | None = None,
) -> AuditOutcome:
    """Audit a model and write the verdict on its card.

    The gate runs on synthetic owners, with the code and the numbers of this model, for one that offices have
    trained together with the code of several offices; a probe carries synthetic
    documents that owners share through the pipeline. Nothing is charged for them.
    The attacks compare the model's documents with those held out, and train models without privacy for the
    comparison, which are never saved. Their results carry no noise: they are written below the protected root
    and are a diagnostic that stays inside, so nothing is charged for them either.

    The settings must hold out the same owners as at training. Documents that came later count as trained on,
    which makes the attacks look weaker.

    Args:
        workspace: the workspace.
        name: name or kind of the model; None: the newest.
        attacks: False: run the gate only.
        each: runs the shards of the encoding.
        progress: listener for the gate and the attacks.

    Raises:
        TrainingRefusedError: there is no such model, or it cannot be used.
    """
    progress = progress or ignore_progress
    saved = _find_newest(workspace) if name is None else find_model(workspace, name)
    card = read_card(saved.folder)
    model = open_model(saved.folder, workspace.settings)
    workspace = workspace.with_settings(restore_encoding(workspace.settings, model.config))
    progress("gate", 0, 1)
    claim = Claim(card["noise_multiplier"], card["max_grad_norm"], card["sample_rate"])
    probes = (*default_probes(), _build_probe(model.config, workspace.settings))
    verdict = _run_gate(card, claim, probes)
    progress("gate", 1, 1)
    owners = audit_owners(workspace.settings, model.config.kind)
    findings = [*verdict.findings, owners, *check_card(workspace, card)]
    outcome = path = None
    if attacks:
        outcome = _attack(workspace, saved, card, model, each, progress)
        if outcome.membership is not None:
            findings.append(Finding("membership", float(outcome.refuted_epsilon <= card["epsilon"]), {}))
    summary = _summarize(verdict, findings, outcome)
    if outcome is not None:
        path = _write_attacks(workspace, saved, outcome, summary)
    record_audit(saved.folder, summary)
    return AuditOutcome(saved, summary, tuple(findings), outcome, path)


def _run_gate(card: Mapping[str, Any], claim: Claim, probes: Sequence[Probe]) -> Verdict:
    """Run the gate over the training that made the model: by one office, or by several."""
    if card.get("offices") is None:
        return run_gate(claim=claim, probes=probes)
    training = JointTraining(Sharing(card["offices"], card["colluders"]))
    return audit_joint_training(training, claim=claim, probes=probes)


def check_card(workspace: Workspace, card: Mapping[str, Any]) -> tuple[Finding, Finding]:
    """Check the claims of a card against the ledger. Chance plays no part in the two tests.

    `accounting` fails for a card that claims less than was charged, for a run that was never charged, and for
    a broken ledger: the ledger must be intact and hold this run with the card's numbers, and epsilon must
    follow from them. `secret_randomness` fails if the noise came from a known seed, as far as the card
    records it.

    Returns:
        The findings `accounting` and `secret_randomness`, with p-value 1 if the test holds and 0 if it fails.
    """
    ledger = workspace.ledger
    try:
        now = ledger.read()
    finally:
        ledger.close()
    intact = now.verify().ok
    runs = [run for account in now.accounts() for run in account.reservations]
    secret = Finding("secret_randomness", float(not card["seeded"]), {})
    run = next((run for run in runs if run.id == card["reservation"]), None)
    if run is None:
        return Finding("accounting", 0.0, {"charged": 0}), secret
    charge = run.charge
    same = (charge.noise_multiplier, charge.sample_rate) == (card["noise_multiplier"], card["sample_rate"])
    enough = run.charged_steps >= card["steps"]
    recomputed = charge.epsilon(card["delta"])
    held = intact and same and enough and recomputed <= card["epsilon"] * (1 + 1e-6)
    return Finding("accounting", float(held), {"charged": 1, "recomputed_epsilon": recomputed}), secret


def _find_newest(workspace: Workspace) -> SavedModel:
    models = list_models(workspace)
    if not models:
        raise TrainingRefusedError("this workspace has no model; train one with `lexveil train`")
    return models[-1]


def _build_probe(config: ModelConfig, settings: Settings) -> Probe:
    """Build a probe of the architecture of the model, untrained, on random inputs."""
    encoder = load_encoder(settings.train)
    labels = len(config.labels)

    def build_untrained() -> torch.nn.Module:
        model = build_model(config, encoder)
        draw_head(model)
        return build_objective(model)[0]

    def draw_items(seeds: Sequence[int]) -> tuple[Inputs, torch.Tensor]:
        generators = [np.random.default_rng(seed) for seed in seeds]
        targets: torch.Tensor = torch.tensor([int(rng.integers(labels)) for rng in generators])
        if config.objective != "classify":
            targets = torch.nn.functional.one_hot(targets, labels).float()
        if takes_tokens(config.kind):
            chunks = [rng.integers(encoder.vocab_size, size=_TOKENS).tolist() for rng in generators]
            return collate_tokens(chunks), targets
        embeddings = np.stack([rng.normal(size=config.input_dim) for rng in generators]).astype(np.float32)
        return torch.from_numpy(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)), targets

    loss = build_objective(build_model(config, encoder))[1]
    return Probe("this_model", build_untrained, draw_items, loss, draws=True)


def _attack(
    workspace: Workspace,
    saved: SavedModel,
    card: Mapping[str, Any],
    model: FeatureModel,
    each: ForEach,
    progress: Progress,
) -> AttackOutcome:
    train = _restore_training(workspace.settings.train, model.config, card)
    workspace = workspace.with_settings(workspace.settings.model_copy(update={"train": train}))
    encode(workspace, get_encoding(saved.kind), each)
    return attack_model(model, train, card, load_split(workspace, known=model.config.labels), progress)


def _restore_training(train: TrainSettings, config: ModelConfig, card: Mapping[str, Any]) -> TrainSettings:
    """Return the settings with the numbers that the model was trained with."""
    names = ("epsilon", "delta", "steps", "sample_rate", "max_grad_norm")
    numbers = {name: card[name] for name in names}
    return train.model_copy(update={**numbers, "model": config.kind, "objective": config.objective})


def _summarize(
    verdict: Verdict, findings: Sequence[Finding], outcome: AttackOutcome | None
) -> dict[str, Any]:
    """Summarize the audit for the model's card."""
    level = verdict.alpha / len(findings)
    return {
        "date": now(),
        "code": code_digest(__name__),
        "tests": [finding.name for finding in findings],
        "failed": [finding.name for finding in findings if finding.p_value < level],
        "claimed_epsilon": verdict.epsilon,
        "claimed_delta": verdict.delta,
        "epsilon_lower_bound": verdict.epsilon_lower_bound,
        "profile_lower_bound": verdict.profile_lower_bound,
        "confidence": verdict.confidence,
        "alpha": verdict.alpha,
        "attacked": outcome is not None and outcome.membership is not None,
    }


def _write_attacks(
    workspace: Workspace, saved: SavedModel, outcome: AttackOutcome, summary: Mapping[str, Any]
) -> Path:
    path = workspace.protected / "audits" / f"{saved.name}.json"
    note = "Measured on private documents, without noise: it stays inside."
    content = {"note": note, "model": saved.name, **summary, **asdict(outcome)}
    write_bytes(path, (json.dumps(content, indent=1) + "\n").encode(), mode=0o600)
    return path
