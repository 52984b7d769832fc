"""Search for hyper-parameters: on public documents for nothing, or on private ones and charged for.

A search that trains on private documents and keeps the best spends like all its runs together, and choosing
by a score of private documents tells of them too. So either everything is public, or every trial is a run in
the ledger and the scores are released with noise, as one more run; the choice then only looks at what was
released. The trials themselves are drawn beforehand, by public randomness.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.nlp.encoders.documents import extract
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.pipeline.errors import BudgetRefusedError, TrainingRefusedError
from lexveil.pipeline.labels import parse_classes
from lexveil.pipeline.models.encoding import encoding_of
from lexveil.pipeline.records import ForEach, run_one_by_one
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.training.data import Row, Split, load_split
from lexveil.pipeline.training.fit import check_trainable, fit, model_config
from lexveil.pipeline.training.recipes import training_plan
from lexveil.pipeline.training.reservations import reserve, settled_ledger
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp import accounting
from lexveil.privacy.dp.clipping.bookkeeper import NonFiniteGradientError
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.ledger.ledger import Ledger, Population
from lexveil.privacy.dp.randomness import SecureRandom

_RATES, _NORMS, _STEPS = (0.25, 0.5, 1.0, 2.0, 4.0), (0.3, 1.0, 3.0), (0.5, 1.0, 2.0)
_DRAWS = 20_240_601
_SCORES = "search-scores"
# Digest of the code in commit faa0730, which was part of the names of finished searches then.
_CODE_IN_OLD_NAMES = "333f7221a663bbf29e3a2b0289f9807d"
OnTrial = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Factors on the recipe of the model kind; all 1 is the recipe itself."""

    rate: float = 1.0
    norm: float = 1.0
    steps: float = 1.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried, and its score: the share of held-out owners' documents told rightly."""

    learning_rate: float
    max_grad_norm: float
    steps: int
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        statement: one line: on what it searched, and what that cost.
        settings: lines for lexveil.toml, for the configured epsilon and the number of owners searched.
        noise: standard deviation of each score; 0 on public documents.
        spent: epsilon of everything the population has been charged, with this search; None where public.
    """

    statement: str
    settings: str
    best: int
    trials: tuple[Trial, ...]
    noise: float
    spent: float | None


def candidates(count: int) -> tuple[Candidate, ...]:
    """The recipe, and others drawn around it; the same for everybody."""
    others = [Candidate(*factors) for factors in itertools.product(_RATES, _NORMS, _STEPS)]
    others.remove(Candidate())
    random.Random(_DRAWS).shuffle(others)
    return (Candidate(), *others[: max(0, count - 1)])


def search_public(
    workspace: Workspace, trials: int, each: ForEach = run_one_by_one, on_trial: OnTrial | None = None
) -> Found:
    """Search on documents that are public, with the noise of the configured epsilon; nothing is charged.

    Raises:
        TrainingRefusedError: no training run is possible, or nothing labelled is held out.
    """
    split = _searchable(workspace, each)
    train = workspace.settings.train
    scores: list[float] = []
    chosen = candidates(trials)
    for number, candidate in enumerate(chosen):
        model = _try(candidate, split, train, SecureRandom())
        scores.append(_score(model, split))
        _tell(on_trial, number + 1, len(chosen))
    statement = "searched on public documents, as you named them: nothing was charged to the ledger"
    return _found(chosen, scores, 0.0, split, train, train, statement, None)


def search_private(
    workspace: Workspace,
    trials: int,
    trial_epsilon: float,
    each: ForEach = run_one_by_one,
    on_trial: OnTrial | None = None,
) -> Found:
    """Search on the workspace's own documents, every trial and the scores charged before anything is trained.

    A search that was killed starts again with the same randomness and is charged once; one that is done is
    not done again.

    Raises:
        TrainingRefusedError: no training run is possible, or nothing labelled is held out.
        BudgetRefusedError: the trials and scores together would pass the ledger's limit; nothing is charged
            then.

    Formal guarantee
    ----------------
    Each trial is a DP-SGD run of `trial_epsilon` and enters the ledger's filter as such. One owner more
    changes each score, a sum over owners of a share in [0, 1], by at most 1, and so the vector of K scores
    by sqrt(K): released with noise of standard deviation noise_multiplier sqrt(K), it is one Gaussian
    mechanism, of `trial_epsilon` too. Models and scores are one adaptive composition, and everything after
    them post-processing. Held-out owners are charged like the others, though no trial sees both. The number
    of held-out owners and the set of labels count as public.
    """
    split = _searchable(workspace, each)
    train = workspace.settings.train.model_copy(update={"epsilon": trial_epsilon})
    chosen = candidates(trials)
    searched = _searched(split, workspace.settings, train, trials)
    kept, old = (
        workspace.training / f"search-{compute_digest(about)[:16]}.json"
        for about in (searched, [*searched, _CODE_IN_OLD_NAMES])
    )
    digest = compute_digest(
        [*searched, code_digest(__name__)]
    )  # a run that is taken up again has the same code
    with settled_ledger(workspace) as (ledger, population):
        limit = ledger.limit(population)
        assert limit is not None
        done = read_json(kept) or read_json(old)
        if done is None:
            plans = [_plan(candidate, split, train) for candidate in chosen]
            done = _run(workspace, (ledger, population), split, train, chosen, plans, digest,
                        kept, on_trial)  # fmt: skip
        for run in ledger.reservations(population):
            if run.state == "open" and run.id in done["reservations"]:
                ledger.commit(run.id, run.charge.steps)  # only now that what it gave is kept
        spent = ledger.spent_epsilon(population, limit.delta)
    statement = (
        f"searched on private documents: {len(chosen)} trials and their scores, each of epsilon "
        f"{trial_epsilon:g}, were charged to population {population.name}, which has now spent {spent:.3g} "
        f"of {limit.epsilon:g}"
    )
    return _found(
        chosen, done["scores"], done["noise"], split, train, workspace.settings.train, statement, spent
    )


def _run(
    workspace: Workspace,
    account: tuple[Ledger, Population],
    split: Split,
    train: TrainSettings,
    chosen: Sequence[Candidate],
    plans: Sequence[TrainingPlan],
    digest: str,
    kept: Path,
    on_trial: OnTrial | None,
) -> dict[str, Any]:
    """Charge everything, train and score everything, and keep what came out."""
    noise_multiplier = accounting.noise_multiplier(train.epsilon, 1.0, 1, train.delta)
    scoring = TrainingPlan(noise_multiplier, 1.0, 1.0, 1, 1.0)
    reserved = _reserve_all(workspace, account, [*plans, scoring], digest)
    scores: list[float] = []
    for number, (candidate, (_, secret)) in enumerate(zip(chosen, reserved, strict=False)):
        scores.append(_score(_try(candidate, split, train, SecureRandom(secret)), split))
        _tell(on_trial, number + 1, len(chosen))
    deviation = noise_multiplier * math.sqrt(len(chosen))
    draws = SecureRandom(reserved[-1][1]).normal(_SCORES, 0, len(chosen)).tolist()
    owners = len({row.owner for row in split.held_out})
    noisy = [score + deviation * draw / owners for score, draw in zip(scores, draws, strict=True)]
    done = {
        "scores": noisy,
        "noise": deviation / owners,
        "reservations": [identifier for identifier, _ in reserved],
    }
    workspace.training.mkdir(parents=True, exist_ok=True)
    write_json(kept, done)
    return done


def _reserve_all(
    workspace: Workspace, account: tuple[Ledger, Population], plans: Sequence[TrainingPlan], digest: str
) -> list[tuple[str, bytes]]:
    """(reservation, secret) of each plan. All or none: no trial has run when one is refused."""
    ledger, population = account
    reserved: list[tuple[str, bytes]] = []
    try:
        for number, plan in enumerate(plans):
            found = reserve(workspace, ledger, population, plan, compute_digest([digest, number]))
            assert found.secret is not None  # no model bears the name of a trial
            reserved.append((found.reservation.id, found.secret))
    except BudgetRefusedError:
        for identifier, _ in reserved:
            ledger.commit(identifier, 0)
        raise
    return reserved


def _searchable(workspace: Workspace, each: ForEach) -> Split:
    encode(workspace, encoding_of(workspace.settings.train.model), each)
    split = load_split(workspace)
    if split.objective == "denoise":
        raise TrainingRefusedError("a search compares models by labels, and these documents have none")
    held_out = tuple(row for row in split.held_out if row.label is not None)
    if not held_out:
        raise TrainingRefusedError("a search needs held-out documents with labels; raise train.held_out")
    split = Split(split.train, held_out, split.objective, split.labels)
    check_trainable(model_config(workspace.settings.train, split), workspace.settings.train)
    return split


def _searched(split: Split, settings: Settings, train: TrainSettings, trials: int) -> list[Any]:
    documents = sorted((row.doc_id, row.owner, row.label) for row in (*split.train, *split.held_out))
    recipe = train.model_dump(mode="json", exclude={"diagnostics"})
    return [recipe, settings.ledger.population, trials, documents]


def _settings_of(candidate: Candidate, split: Split, train: TrainSettings) -> TrainSettings:
    """The recipe's numbers times the candidate's factors, at the noise of `train.epsilon`."""
    own = train.model_copy(update={"learning_rate": None})
    recipe = _planned(own, split)
    update = {
        "max_grad_norm": recipe.max_grad_norm * candidate.norm,
        "steps": max(1, round(recipe.steps * candidate.steps)),
    }
    scaled = own.model_copy(update=update)
    rate = _planned(scaled, split).learning_rate * candidate.rate
    return scaled.model_copy(update={"learning_rate": rate})


def _plan(candidate: Candidate, split: Split, train: TrainSettings) -> TrainingPlan:
    return _planned(_settings_of(candidate, split, train), split)


def _planned(train: TrainSettings, split: Split) -> TrainingPlan:
    try:
        return training_plan(train, split)
    except ValueError as error:
        raise TrainingRefusedError(f"no training run is possible with these settings: {error}") from None


def _try(candidate: Candidate, split: Split, train: TrainSettings, key: SecureRandom) -> FeatureModel | None:
    """The candidate's model; None where it diverged."""
    own = _settings_of(candidate, split, train)
    try:
        return fit(model_config(own, split), split, own, _planned(own, split), key)[0]
    except NonFiniteGradientError:
        return None


def _score(model: FeatureModel | None, split: Split) -> float:
    """Mean over held-out owners of the share of an owner's documents that is told rightly, in [0, 1]."""
    if model is None:
        return 0.0
    logits = extract(model, [row.encoded for row in split.held_out]).logits
    shares: dict[str, list[float]] = defaultdict(list)
    for row, answer in zip(split.held_out, logits, strict=True):
        shares[row.owner].append(_rightness(row, answer, split))
    return float(np.mean([np.mean(own) for own in shares.values()]))


def _rightness(row: Row, logits: np.ndarray, split: Split) -> float:
    """1 or 0 for one class; for several the F1 of the two sets."""
    if split.objective != "multilabel":
        return float(split.labels[int(logits.argmax())] == row.label)
    truth = set(parse_classes(row.label))
    said = {name for name, logit in zip(split.labels, logits, strict=True) if logit > 0}
    return 2 * len(truth & said) / (len(truth) + len(said)) if truth or said else 1.0


def _found(
    chosen: Sequence[Candidate],
    scores: Sequence[float],
    noise: float,
    split: Split,
    tried: TrainSettings,
    wanted: TrainSettings,
    statement: str,
    spent: float | None,
) -> Found:
    best = max(range(len(scores)), key=lambda number: scores[number])
    # Another than the recipe only where the noise does not explain it.
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
    return Found(statement, "\n".join(lines), best, tuple(trials), noise, spent)


def _trial(candidate: Candidate, split: Split, train: TrainSettings, score: float) -> Trial:
    plan = _plan(candidate, split, train)
    return Trial(plan.learning_rate, plan.max_grad_norm, plan.steps, score)


def _tell(on_trial: OnTrial | None, done: int, total: int) -> None:
    if on_trial is not None:
        on_trial(done, total)


def as_rows(found: Found) -> list[dict[str, Any]]:
    """The trials as a table's rows, the best one marked."""
    return [
        asdict(trial) | {"best": "*" if number == found.best else ""}
        for number, trial in enumerate(found.trials)
    ]
