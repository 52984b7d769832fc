"""Search for hyper-parameters: on public documents without charge, or on private documents and charged.

A search that trains on private documents and keeps the best model spends as much as all its runs together,
and a choice by scores of private documents reveals something about them too. So either everything is public,
or every trial is a run in the ledger and the scores are released with noise, as one more run; the choice
then depends on released values only. The trials are drawn before the search, by public randomness.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lexveil.nlp.encoders.models import FeatureModel
from lexveil.pipeline.errors import BudgetRefusedError, TrainingRefusedError
from lexveil.pipeline.masking.texts import mask_names
from lexveil.pipeline.models.encoding import get_encoding
from lexveil.pipeline.records import ForEach, Progress, run_one_by_one
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.training.charges import record_charges, release
from lexveil.pipeline.training.data import Split, group_by_owner, load_split
from lexveil.pipeline.training.fit import build_model_config, check_trainable, fit
from lexveil.pipeline.training.identity import describe_recipe
from lexveil.pipeline.training.owner_scores import plan_score_release, score_owners
from lexveil.pipeline.training.recipes import plan_training
from lexveil.pipeline.training.reservations import (
    RunSecret,
    check_before_charging,
    open_ledger,
    open_reconciled_ledger,
    read_limit,
    reserve,
    warn_before_training,
)
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.engine import NonFiniteWeightsError, TrainingPlan
from lexveil.privacy.dp.ledger.ledger import Ledger, Population
from lexveil.privacy.dp.randomness import SecureRandom

_RATES, _NORMS, _STEPS = (0.25, 0.5, 1.0, 2.0, 4.0), (0.3, 1.0, 3.0), (0.5, 1.0, 2.0)
_DRAWS = 20_240_601
_SCORES = "search-scores"
# Digest of the code in commit faa0730, which was part of the names of finished searches then.
_CODE_IN_OLD_NAMES = "333f7221a663bbf29e3a2b0289f9807d"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Factors on the recipe of the model kind.

    Attributes:
        rate: factor on the learning rate.
        norm: factor on the clipping norm.
        steps: factor on the number of steps.
    """

    rate: float = 1.0
    norm: float = 1.0
    steps: float = 1.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Numbers of a trial, and its score.

    Attributes:
        learning_rate: the learning rate.
        max_grad_norm: the clipping norm.
        steps: the number of steps.
        score: mean over the held-out owners of the share of their documents classified correctly, in [0, 1];
            of private documents, with noise.
    """

    learning_rate: float
    max_grad_norm: float
    steps: int
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Result of a search.

    Attributes:
        statement: one line that names the kind of documents and the charge.
        settings: lines for lexveil.toml, for the configured epsilon and the number of owners of the search.
        best: index of the best trial.
        trials: all trials; the first is the recipe.
        noise: standard deviation of the noise of each score; 0 on public documents.
        spent: epsilon of all charges to the population, including this search; None on public documents.
    """

    statement: str
    settings: str
    best: int
    trials: tuple[Trial, ...]
    noise: float
    spent: float | None


def draw_candidates(count: int) -> tuple[Candidate, ...]:
    """Draw `count` candidates, the same on every machine. The first is the recipe itself."""
    others = [Candidate(*factors) for factors in itertools.product(_RATES, _NORMS, _STEPS)]
    others.remove(Candidate())
    random.Random(_DRAWS).shuffle(others)
    return (Candidate(), *others[: max(0, count - 1)])


def search_public(
    workspace: Workspace, trials: int, each: ForEach = run_one_by_one, progress: Progress | None = None
) -> SearchResult:
    """Search on public documents, with the noise of the configured epsilon; nothing is charged.

    Args:
        workspace: a workspace with public documents only.
        trials: number of candidates.
        each: runs the shards of the encoding.
        progress: listener for the trials.

    Raises:
        TrainingRefusedError: no training run is possible, or no labeled document is held out.
    """
    split = _load_searchable(workspace, each)
    train = workspace.settings.train
    scores: list[float] = []
    chosen = draw_candidates(trials)
    for number, candidate in enumerate(chosen):
        model = _fit_candidate(candidate, split, train, SecureRandom())
        scores.append(_score(model, split))
        _report_trial(progress, number + 1, len(chosen))
    statement = "searched on public documents, as you named them: nothing was charged to the ledger"
    return _build_result(chosen, scores, 0.0, split, train, train, statement, None)


def search_private(
    workspace: Workspace,
    trials: int,
    trial_epsilon: float,
    each: ForEach = run_one_by_one,
    progress: Progress | None = None,
) -> SearchResult:
    """Search on the workspace's own documents. All trials and the scores are charged before any training.

    A search that was killed starts again with the same randomness and is charged once; a finished search is
    not repeated.

    Args:
        workspace: the workspace.
        trials: number of candidates.
        trial_epsilon: epsilon of each trial, and of the scores together.
        each: runs the shards of the encoding.
        progress: listener for the trials.

    Raises:
        TrainingRefusedError: no training run is possible, or no labeled document is held out.
        BudgetRefusedError: the trials and scores together would exceed the ledger's limit; then nothing is
            charged.

    Formal guarantee:
        Each trial is a DP-SGD run of `trial_epsilon` and enters the ledger's filter as such. One more owner
        changes each score, a sum over owners of a share in [0, 1], by at most 1, and so the vector of K
        scores by sqrt(K): released with noise of standard deviation noise_multiplier sqrt(K), it is one
        Gaussian mechanism, also of `trial_epsilon`. Models and scores are one adaptive composition, and
        everything after them is post-processing. Held-out owners are charged like the others, though no trial
        uses both. The number of held-out owners and the set of labels count as public.
    """
    split = _load_searchable(workspace, each)
    train = workspace.settings.train.model_copy(update={"epsilon": trial_epsilon})
    chosen = draw_candidates(trials)
    search = _describe_search(workspace, split, train, trials)
    path, old_path = (
        workspace.training / f"search-{compute_digest(facts)[:16]}.json"
        for facts in (search, [*search, _CODE_IN_OLD_NAMES])
    )
    # With the code, so that a killed search continues with the same code only.
    digest = compute_digest([*search, code_digest(__name__)])
    with open_reconciled_ledger(workspace) as (ledger, population):
        done = read_json(path) or read_json(old_path)
        if done is None:
            plans = [*(_plan(candidate, split, train) for candidate in chosen), plan_score_release(train)]
            runs = {compute_digest([digest, number]): plan for number, plan in enumerate(plans)}
            check_before_charging(workspace, ledger, population, split, runs)
            warn_before_training(workspace, population, split)
            reserved = _reserve_all(workspace, ledger, population, runs, digest)
            done = _try_all(chosen, reserved, split, train, progress)
            workspace.training.mkdir(parents=True, exist_ok=True)
            write_json(path, done)
        _, population = open_ledger(workspace)
        for run in ledger.reservations(population):
            if run.state == "open" and run.id in done["reservations"]:
                ledger.commit(run.id, run.charge.steps)  # after its result is stored
        limit = read_limit(workspace, ledger, population)
        spent = ledger.spent_epsilon(population, limit.delta)
    statement = (
        f"searched on private documents: {len(chosen)} trials and their scores, each of epsilon "
        f"{trial_epsilon:g}, were charged to population {population.name}, which has now spent {spent:.3g} "
        f"of {limit.epsilon:g}"
    )
    return _build_result(
        chosen, done["scores"], done["noise"], split, train, workspace.settings.train, statement, spent
    )


def _try_all(
    chosen: Sequence[Candidate],
    reserved: Sequence[tuple[str, RunSecret]],
    split: Split,
    train: TrainSettings,
    progress: Progress | None,
) -> dict[str, Any]:
    """Train and score every candidate, and add noise to the scores.

    Args:
        chosen: the candidates.
        reserved: reservation and secret of each candidate, then of the scores.
        split: the documents.
        train: settings of the trials.
        progress: listener for the trials.
    """
    scores: list[float] = []
    for number, (candidate, (_, secret)) in enumerate(zip(chosen, reserved, strict=False)):
        model = _fit_candidate(candidate, split, secret.bind(train), SecureRandom(secret.key))
        scores.append(_score(model, split))
        _report_trial(progress, number + 1, len(chosen))
    deviation = plan_score_release(train).noise_multiplier * math.sqrt(len(chosen))
    draws = SecureRandom(reserved[-1][1].key).normal(_SCORES, 0, len(chosen)).tolist()
    owners = len({row.owner for row in split.held_out})
    noisy = [score + deviation * draw / owners for score, draw in zip(scores, draws, strict=True)]
    return {
        "scores": noisy,
        "noise": deviation / owners,
        "reservations": [identifier for identifier, _ in reserved],
    }


def _reserve_all(
    workspace: Workspace,
    ledger: Ledger,
    population: Population,
    runs: Mapping[str, TrainingPlan],
    digest: str,
) -> list[tuple[str, RunSecret]]:
    """Reserve every plan, or none: when one is refused, no trial has run.

    Returns:
        The id of the reservation and the secret of each plan.
    """
    reserved: list[tuple[str, RunSecret]] = []
    try:
        for number, (key, plan) in enumerate(runs.items()):
            run = reserve(workspace, ledger, population, plan, key, f"search-{digest[:8]}-{number}")
            assert run.secret is not None  # no model has the name of a trial
            reserved.append((run.reservation.id, run.secret))
    except BudgetRefusedError:
        for identifier, _ in reserved:
            release(workspace, ledger, identifier)
        record_charges(workspace, ledger, population.name)
        raise
    return reserved


def _load_searchable(workspace: Workspace, each: ForEach) -> Split:
    encode(workspace, get_encoding(workspace.settings.train.model), each)
    split = load_split(workspace, partial(mask_names, workspace))
    if split.objective == "denoise":
        raise TrainingRefusedError("a search compares models by labels, and these documents have none")
    held_out = tuple(row for row in split.held_out if row.label is not None)
    if not held_out:
        raise TrainingRefusedError("a search needs held-out documents with labels; raise train.held_out")
    split = replace(split, held_out=held_out)  # scores need labels
    check_trainable(build_model_config(workspace.settings.train, split), workspace.settings.train)
    return split


def _describe_search(workspace: Workspace, split: Split, train: TrainSettings, trials: int) -> list[Any]:
    catalogue = workspace.catalogue.read()
    labels = dict(zip(*(catalogue.column(name).to_pylist() for name in ("doc_id", "label")), strict=True))
    rows = (*split.train, *split.held_out)
    documents = sorted((row.doc_id, row.owner, labels[row.doc_id]) for row in rows)
    recipe = describe_recipe(train, {"diagnostics"})
    return [recipe, workspace.settings.ledger.population, trials, documents]


def _scale_recipe(candidate: Candidate, split: Split, train: TrainSettings) -> TrainSettings:
    """Multiply the recipe's numbers by the candidate's factors, at the noise of `train.epsilon`."""
    own = train.model_copy(update={"learning_rate": None})
    recipe = _plan_settings(own, split)
    update = {
        "max_grad_norm": recipe.max_grad_norm * candidate.norm,
        "steps": max(1, round(recipe.steps * candidate.steps)),
    }
    scaled = own.model_copy(update=update)
    rate = _plan_settings(scaled, split).learning_rate * candidate.rate
    return scaled.model_copy(update={"learning_rate": rate})


def _plan(candidate: Candidate, split: Split, train: TrainSettings) -> TrainingPlan:
    return _plan_settings(_scale_recipe(candidate, split, train), split)


def _plan_settings(train: TrainSettings, split: Split) -> TrainingPlan:
    try:
        return plan_training(train, split)
    except ValueError as error:
        raise TrainingRefusedError(f"no training run is possible with these settings: {error}") from None


def _fit_candidate(
    candidate: Candidate, split: Split, train: TrainSettings, key: SecureRandom
) -> FeatureModel | None:
    """Train the model of a candidate; None: it diverged."""
    own = _scale_recipe(candidate, split, train)
    try:
        data = group_by_owner(split, own)
        return fit(build_model_config(own, split), data, own, _plan_settings(own, split), key)[0]
    except NonFiniteWeightsError:
        return None


def _score(model: FeatureModel | None, split: Split) -> float:
    """Return the mean score of the held-out owners; 0 for a model that diverged."""
    return 0.0 if model is None else float(np.mean(score_owners(model, split, split.held_out)))


def _build_result(
    chosen: Sequence[Candidate],
    scores: Sequence[float],
    noise: float,
    split: Split,
    tried: TrainSettings,
    wanted: TrainSettings,
    statement: str,
    spent: float | None,
) -> SearchResult:
    best = max(range(len(scores)), key=lambda number: scores[number])
    # Prefer the recipe unless the difference is larger than the noise of a difference.
    if scores[best] - scores[0] <= math.sqrt(2) * noise:
        best = 0
    trials = [_trial(candidate, split, tried, score) for candidate, score in zip(chosen, scores, strict=True)]
    winner = _trial(chosen[best], split, wanted, 0.0)
    lines = [
        f"# for {split.n_owners} owners at epsilon {wanted.epsilon:g}",
        "[train]",
        f'model = "{wanted.model}"',
        f"learning_rate = {winner.learning_rate:.4g}",
        f"max_grad_norm = {winner.max_grad_norm:.4g}",
        f"steps = {winner.steps}",
    ]
    return SearchResult(statement, "\n".join(lines), best, tuple(trials), noise, spent)


def _trial(candidate: Candidate, split: Split, train: TrainSettings, score: float) -> Trial:
    plan = _plan(candidate, split, train)
    return Trial(plan.learning_rate, plan.max_grad_norm, plan.steps, score)


def _report_trial(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("trial", done, total)


def tabulate_trials(result: SearchResult) -> list[dict[str, Any]]:
    """Return the trials as rows of a table, with the best marked."""
    return [
        asdict(trial) | {"best": "*" if number == result.best else ""}
        for number, trial in enumerate(result.trials)
    ]
