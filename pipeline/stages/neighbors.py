"""The audit's probe of the pipeline: synthetic owners who share documents, with and without one of them.

The gate in `privacy.dp.audit` feeds the training loop its own batches. What an owner is, is decided earlier:
by ingest (whose is a document that several have?), masking, encoding, the split and `OwnerData`. The probe
goes through all of them, on documents of its own.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from lexveil.nlp.encoders.config import Kind
from lexveil.nlp.encoders.models import build_model
from lexveil.pipeline.models.encoding import get_encoding, load_encoder
from lexveil.pipeline.settings import IngestSettings, Settings, TrainSettings
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.training.data import OwnerData, Row, Split, load_split
from lexveil.pipeline.training.fit import build_model_config
from lexveil.pipeline.training.objectives import build_objective, draw_head
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.audit.gate import Finding
from lexveil.privacy.dp.engine import TrainingPlan, train, trainable_parameters
from lexveil.privacy.dp.randomness import KEY_BYTES, SecureRandom

_SHARED = 8
_CLIP = 1e-4  # far below any gradient
_RATE = 100.0  # so long a step that rounding of the weights does not matter
_ROUNDING = 1e-6
# What of a workspace's training settings decides how documents become items.
_TRAIN_FIELDS = {
    "encoder", "precision", "chunk_length", "chunk_limit", "chunk_ends", "lora_rank", "last_layers",
    "max_items_per_owner",
}  # fmt: skip


def audit_owners(settings: Settings, kind: Kind) -> Finding:
    """Test how far one owner moves a step when it leaves the documents, not just the batch.

    Eleven synthetic owners: one has eight documents, each of which another owner has too, word for word or
    with other white space, before or after it and in other shards. All documents, and all but those of this
    owner, go through ingest, masking (by rules), encoding, the split, `OwnerData` and one step of the engine.
    There is no randomness: the two sums may differ by at most max_grad_norm * (1 + 1e-6), and no other
    owner's training data may differ at all. The move must also reach half of max_grad_norm, or nothing was
    tested.

    It can falsify: documents of several owners that are kept for one of them; items that are not clipped
    together with their owner's; anything by which one owner's presence changes another's texts, labels or
    items, for documents like these. It cannot falsify: faults that other documents trigger, faults of the
    learned detectors, and what the labels of private documents tell.

    Args:
        settings: settings of the workspace, of which those of masking and encoding are used.
        kind: kind of the model.
    """
    with TemporaryDirectory() as folder:
        root = Path(folder)
        key = root / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(32))
        probed = _restrict(settings, kind, key)
        records = _make_records()
        larger = _run_pipeline(root / "with", probed, records)
        smaller = _run_pipeline(root / "without", probed, [r for r in records if r["owner"] != "leaving"])
    random_key = secrets.token_bytes(KEY_BYTES)
    move = float((_sum_step(larger, probed, random_key) - _sum_step(smaller, probed, random_key)).norm())
    others, left = _group_by_owner(smaller), _group_by_owner(larger)
    changed = sum(left.get(owner) != rows for owner, rows in others.items())
    held = 0.5 <= move / _CLIP <= 1 + _ROUNDING and not changed and len(left) == len(others) + 1
    return Finding("owners", float(held), {"largest_move": move / _CLIP, "others_changed": changed})


def _restrict(settings: Settings, kind: Kind, key: Path) -> Settings:
    """Return settings that touch nothing outside the probe's folder."""
    fields = settings.train.model_dump(include=_TRAIN_FIELDS)
    # Not those of the probe's workspace.
    fields["representation"] = settings.train.chosen_representation
    fields["precision"] = settings.train.chosen_precision
    return Settings(
        ingest=IngestSettings(owner_field="owner", shard_documents=5),
        mask=settings.mask.model_copy(update={"detector": "rules"}),
        train=TrainSettings.model_validate({**fields, "model": kind, "held_out": 0.0}),
        master_key_file=key,
        workers=1,
    )


def _make_records() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for n in range(_SHARED):
        clause = f"The lessee of flat {n} pays the rent in advance."
        shared = {"owner": "leaving", "text": clause, "label": "lease"}
        other = {
            "owner": f"other {n}",
            "text": clause.replace(" ", "  ") if n % 3 else clause,
            "label": "lease",
        }
        own = {
            "owner": f"other {n}",
            "text": f"The heirs accept the estate {n} and its debts.",
            "label": "will",
        }
        records += [shared, other, own] if n % 2 else [own, other, shared]
    # Two owners who have both labels, so that leaving changes no set of labels.
    for owner, label in (("first", "lease"), ("first", "will"), ("second", "lease"), ("second", "will")):
        records.append({"owner": owner, "text": f"The {owner} office files a {label}.", "label": label})
    return records


def _run_pipeline(folder: Path, settings: Settings, records: Sequence[dict[str, Any]]) -> Split:
    folder.mkdir()
    source = folder / "records.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    workspace = Workspace.create_or_open(folder / "workspace", settings)
    ingest(workspace, [source])
    mask(workspace)
    encode(workspace, get_encoding(settings.train.model))
    return load_split(workspace)


def _sum_step(split: Split, settings: Settings, key: bytes) -> torch.Tensor:
    """Return the sum of all owners' clipped gradients, from random weights, which hide no gradient."""
    config = settings.train
    model = build_model(build_model_config(config, split), load_encoder(config))
    draw_head(model)
    target, loss = build_objective(model)
    before = {name: p.detach().double().clone() for name, p in trainable_parameters(target).items()}
    data = OwnerData(split, config.model, config.max_items_per_owner)
    scale = _RATE / _CLIP
    plan = TrainingPlan(1e-9, _CLIP, 1.0, 1, scale * data.n_owners, average_last=0.0)
    train(target, data, loss, plan, SecureRandom(key), max_items=8)
    after = trainable_parameters(target)
    return torch.cat([(before[name] - after[name].detach().double()).flatten() / scale for name in before])


def _group_by_owner(split: Split) -> dict[str, list[tuple[str, str, bytes]]]:
    """Return what is trained on of each owner."""
    rows: dict[str, list[tuple[str, str, bytes]]] = defaultdict(list)
    for row in split.train:
        rows[row.owner].append((row.doc_id, row.label or "", _to_bytes(row)))
    return {owner: sorted(own) for owner, own in rows.items()}


def _to_bytes(row: Row) -> bytes:
    if row.encoded.embedding is not None:
        return row.encoded.embedding.tobytes()
    return b"|".join(np.asarray(chunk).tobytes() for chunk in row.encoded.tokens)
