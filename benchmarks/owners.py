"""How far one owner moves a training step through the whole pipeline, and what an attacker proves of a run.

    python -m benchmarks.owners [--pairs N] [--runs N] [--old-rule]

`largest_move`: random corpora D, and D without one owner, each through ingest, masking, encoding, the split
and one DP step of the shipped engine without noise, over all owners: the largest norm of the difference of
the two sums, in clips, over the pairs, the kinds of models and both label objectives; the slow kind, lora,
takes one pair in ten. In every third pair documents have several owners: the neighbor loses all documents of
the one owner, alone or with others, under the same choice of groups (fixed-graph privacy). Texts occur
several times, with other white space and other labels, within owners and across them; limits are small, so
that shards, thinning and the held-out split cut often. `others_changed` counts the pairs in which another
owner's training data are not the same in both.

`proven_epsilon`: the shipped linear recipe at epsilon 1 on a corpus in which one owner has forty clauses that
forty other owners have too, trained with and without that owner. The attacker projects the weights on the
difference of means that the first half of the runs shows, and takes the threshold there too; the bound (95 %,
Clopper-Pearson) is that of the other half. With `--old-rule` a text that several owners have is kept for the
first of them only, as before a document was one of each owner: both figures then show that they can find what
they look for.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import tempfile
from collections import defaultdict
from collections.abc import Generator, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.contract import Figure, Outcome, run
from lexveil.nlp.encoders.config import DEFAULT_REPRESENTATION, Kind
from lexveil.nlp.encoders.models import build_model
from lexveil.pipeline.models.encoding import get_encoding, load_encoder
from lexveil.pipeline.settings import Settings, TrainSettings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.training import data
from lexveil.pipeline.training.data import OwnerData, Row, Split, group_by_owner, load_split
from lexveil.pipeline.training.fit import build_model_config, fit
from lexveil.pipeline.training.objectives import build_objective
from lexveil.pipeline.training.recipes import plan_training
from lexveil.pipeline.workspace.documents import DocumentIds
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.engine import TrainingPlan, trainable_parameters
from lexveil.privacy.dp.engine import train as train_privately
from lexveil.privacy.dp.randomness import SecureRandom

PAIRS, RUNS = 200, 200
KINDS: tuple[Kind, ...] = ("linear", "mlp", "square", "cubic", "lstm")
SLOW_KINDS: tuple[Kind, ...] = ("lora",)
_SLOW_PAIRS = 10
CLIP, CLIENTS, EPSILON, DELTA = 0.1, 40, 1.0, 1e-5
_RATE = 1000.0  # so long a step that rounding of the weights does not matter
_LABELS = ("lease", "loan", "will")
_NAMES = ("Walter Pemberton", "Ottilie Wharfinger", "Jane Roe", "Max Lindqvist")


class NoNoise(SecureRandom):
    """Adds nothing: the sum of the clipped gradients is seen as it is."""

    def normal(self, label: str, step: int, n: int) -> Tensor:
        return 0.0 * super().normal(label, step, n)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Records by file, the settings of the pipeline, and the owner who leaves."""

    files: dict[str, list[dict[str, Any]]] = field(repr=False)
    settings: dict[str, Any]
    leaving: str

    def without(self) -> Corpus:
        """The neighbor: nothing that the leaving owner has, alone or with others."""
        files = {
            name: [record for record in records if self.leaving not in _list_owners(record)]
            for name, records in self.files.items()
        }
        return Corpus({name: records for name, records in files.items() if records}, self.settings, "")


def _list_owners(record: dict[str, Any]) -> list[str]:
    owner = record["owner"]
    return owner if isinstance(owner, list) else [owner]


def make_corpus(seed: int, several_labels: bool, several_owners: bool = False) -> Corpus:
    """A random corpus of a few owners who share texts; two of them have all labels and never leave."""
    rng = random.Random(seed)
    pool = [
        f"{rng.choice(_NAMES)} and {rng.choice(_NAMES)} agree on clause {n}: {' '.join(_words(rng))}."
        for n in range(rng.randint(4, 20))
    ]

    def label() -> Any:
        some = rng.sample(_LABELS, rng.randint(1, 3))
        return some if several_labels else some[0]

    records: list[dict[str, Any]] = []
    for n, one in itertools.product(range(2), _LABELS):
        own = [one] if several_labels else one
        records.append({"owner": f"anchor {n}", "text": f"Anchor {n} signs a {one}.", "label": own})
    owners = [f"owner {n}" for n in range(rng.randint(2, 7))]
    for owner in owners:
        for text in rng.choices(pool, k=rng.choice((1, 2, 5, 12))):
            spaced = text.replace(" ", rng.choice((" ", " ", "  ", "\n")))
            others = rng.sample(owners, rng.randint(0, 2)) if several_owners else []
            own = [owner, *others] if others else owner
            records.append({"owner": own, "text": spaced, "label": label()})
    rng.shuffle(records)
    files: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        files[f"{rng.randrange(3)}.jsonl"].append(record)
    settings = {
        "ingest": {"owner_field": "owner", "shard_documents": rng.choice((2, 5, 50))},
        "mask": {
            "detector": "rules",
            "scope": rng.choice(("document", "matter")),
            "types": {"PERSON": rng.choice(("surrogate", "token"))},
        },
        "train": {
            "held_out": rng.choice((0.0, 0.2)),
            "max_items_per_owner": rng.choice((2, 5, 64)),
            "representation": DEFAULT_REPRESENTATION,
        },
    }
    return Corpus(dict(files), settings, rng.choice(owners))


def _words(rng: random.Random) -> list[str]:
    words = ("rent", "heirs", "interest", "the estate", "a mortgage", "notice", "shares", "the flat")
    return [rng.choice(words) for _ in range(rng.choice((2, 8, 40)))]


def run_pipeline(corpus: Corpus, folder: Path, key: Path, kinds: Sequence[Kind]) -> dict[Kind, Split]:
    """Ingest, mask and encode a corpus, and load what each kind of model would be trained on."""
    for name, records in corpus.files.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    settings = Settings.model_validate({**corpus.settings, "master_key_file": str(key)})
    workspace = Workspace.create_or_open(folder / "workspace", settings)
    ingest(workspace, [folder / "source"])
    mask(workspace)
    splits: dict[Kind, Split] = {}
    for kind in kinds:
        train = settings.train.model_copy(update={"model": kind})
        workspace = workspace.with_settings(settings.model_copy(update={"train": train}))
        encode(workspace, get_encoding(kind))
        splits[kind] = load_split(workspace)
    return splits


def sum_of_step(split: Split, kind: Kind, train: TrainSettings) -> Tensor:
    """The sum of the clipped gradients of all owners, from weights that hide no gradient."""
    model = build_model(build_model_config(train, split), load_encoder(train))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nn.init.normal_(model.output.weight)
    target, loss = build_objective(model)
    before = {name: p.detach().double().clone() for name, p in trainable_parameters(target).items()}
    owners = OwnerData(split, kind, train.max_items_per_owner)
    plan = TrainingPlan(1e-9, CLIP, 1.0, 1, _RATE * owners.n_owners)
    train_privately(target, owners, loss, plan, NoNoise(bytes(32)), max_items=8)
    after = trainable_parameters(target)
    return torch.cat([((before[name] - after[name].detach().double()) / _RATE).flatten() for name in before])


def seen_of_owners(split: Split) -> dict[str, list[tuple[str, str | None, bytes]]]:
    """What is trained on of each owner."""
    seen: dict[str, list[tuple[str, str | None, bytes]]] = defaultdict(list)
    for row in split.train:
        seen[row.owner].append((row.doc_id, row.label, _bytes_of(row)))
    return {owner: sorted(rows, key=str) for owner, rows in seen.items()}


def _bytes_of(row: Row) -> bytes:
    if row.encoded.embedding is not None:
        return row.encoded.embedding.tobytes()
    return b"|".join(np.asarray(chunk).tobytes() for chunk in row.encoded.tokens)


@contextmanager
def _choosing(chosen: Set[str]) -> Generator[None]:
    """Load groups as they were chosen with the leaving owner: the graph is fixed."""
    choose = data.choose_groups
    try:
        data.choose_groups = lambda owners: frozenset(chosen & set(owners))
        yield
    finally:
        data.choose_groups = choose


@contextmanager
def _identifying_by_content() -> Generator[None]:
    """Identify documents by their content alone, as before a document was one of each owner."""
    present = DocumentIds.document
    try:
        DocumentIds.document = lambda self, owner, content: content
        yield
    finally:
        DocumentIds.document = present


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one owner changes: the moves of the step in clips, by kind, and whether others' data differ."""

    moves: dict[Kind, float]
    others_changed: bool


def compare_neighbors(corpus: Corpus, folder: Path, kinds: Sequence[Kind] = KINDS) -> Comparison:
    """Carry a corpus and its neighbor through the pipeline and one step of each kind."""
    key = folder / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    train = TrainSettings.model_validate(corpus.settings["train"])
    both = [run_pipeline(corpus, folder / "with", key, kinds)]
    with _choosing({row.owner for row in (*both[0][kinds[0]].train, *both[0][kinds[0]].held_out)}):
        both.append(run_pipeline(corpus.without(), folder / "without", key, kinds))
    moves: dict[Kind, float] = {}
    changed = False
    for kind in kinds:
        settings = train.model_copy(update={"model": kind})
        larger, smaller = both[0][kind], both[1][kind]
        total, rest = (sum_of_step(split, kind, settings) for split in (larger, smaller))
        moves[kind] = float((total - rest).norm()) / CLIP
        others = seen_of_owners(smaller)
        left = {owner: rows for owner, rows in seen_of_owners(larger).items() if owner in others}
        changed = changed or left != others
    return Comparison(moves, changed)


def shared_clauses() -> Corpus:
    """Forty-one owners: one has the forty clauses of which each of the others has one."""
    records: list[dict[str, Any]] = []
    for n in range(CLIENTS):
        clause = {"text": f"The lessee of flat {n} pays the rent in advance.", "label": "lease"}
        own = {"text": f"The heirs accept the estate {n} and its debts.", "label": "will"}
        records += [{"owner": "a", **clause}, {"owner": f"client {n}", **clause}]
        records.append({"owner": f"client {n}", **own})
    settings = {
        "ingest": {"owner_field": "owner"},
        "mask": {"detector": "rules"},
        "train": {
            "epsilon": EPSILON,
            "delta": DELTA,
            "held_out": 0.0,
            "representation": DEFAULT_REPRESENTATION,
        },
    }
    return Corpus({"all.jsonl": records}, settings, "a")


def prove_epsilon(corpus: Corpus, folder: Path, runs: int) -> float:
    """The lower bound of epsilon, at 95 % confidence, that training with and without the owner proves."""
    key = folder / "key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    train = TrainSettings.model_validate(corpus.settings["train"])
    weights: list[np.ndarray] = []
    for name, one in (("with", corpus), ("without", corpus.without())):
        split = run_pipeline(one, folder / name, key, ["linear"])["linear"]
        plan = plan_training(train, split)
        config = build_model_config(train, split)
        found: list[np.ndarray] = []
        for number in range(runs):
            source = SecureRandom(f"{name}{number}".encode().ljust(32, b"."))
            model, _ = fit(config, group_by_owner(split, train), train, plan, source)
            found.append(torch.cat([p.detach().flatten() for p in model.parameters()]).numpy())
        weights.append(np.stack(found))
    half = runs // 2
    direction = weights[0][:half].mean(axis=0) - weights[1][:half].mean(axis=0)
    scores = [part @ direction for part in weights]
    learned = [part[:half] for part in scores]
    threshold = max(
        np.concatenate(learned),
        key=lambda at: _bound(int((learned[0] >= at).sum()), int((learned[1] >= at).sum()), half),
    )
    hits, alarms = (int((part[half:] >= threshold).sum()) for part in scores)
    return max(0.0, _bound(hits, alarms, runs - half))


def _bound(hits: int, alarms: int, n: int) -> float:
    from scipy.stats import beta

    at_least = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    at_most = float(beta.ppf(0.975, alarms + 1, n - alarms)) if alarms < n else 1.0
    return math.log((at_least - DELTA) / at_most) if at_least > DELTA else -math.inf


def measure(arguments: argparse.Namespace) -> Outcome:
    torch.set_num_threads(1)
    with _identifying_by_content() if arguments.old_rule else nullcontext():
        return _measure(arguments)


def _measure(arguments: argparse.Namespace) -> Outcome:
    moves: dict[str, float] = defaultdict(float)
    changed = 0
    for seed in range(arguments.pairs):
        with tempfile.TemporaryDirectory() as folder:
            kinds = KINDS if seed % _SLOW_PAIRS else (*KINDS, *SLOW_KINDS)
            found = compare_neighbors(make_corpus(seed, seed % 4 > 1, seed % 3 == 2), Path(folder), kinds)
        for kind, move in found.moves.items():
            moves[kind] = max(moves[kind], move)
        changed += found.others_changed
    figures = {
        "largest_move": Figure(max(moves.values(), default=0.0), 1.0, "clips", "lower"),
        "others_changed": Figure(changed, 0, "pairs", "lower"),
    }
    if arguments.runs:
        with tempfile.TemporaryDirectory() as folder:
            proven = prove_epsilon(shared_clauses(), Path(folder), arguments.runs)
        figures["proven_epsilon"] = Figure(proven, EPSILON, "epsilon", "lower")
    n = {"pairs": arguments.pairs, "runs_each": arguments.runs, "old_rule": int(arguments.old_rule)}
    return Outcome(figures, n, list(range(arguments.pairs)), {"largest_move_by_kind": dict(moves)})


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"pairs of neighbors; default {PAIRS}")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"trainings of each side; default {RUNS}")
    parser.add_argument("--old-rule", action="store_true", help="keep a shared text for its first owner only")


if __name__ == "__main__":
    run(__doc__, measure, options)
