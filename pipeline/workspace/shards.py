"""TODO docstring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lexveil.pipeline.records import ForEach, Manifest, Shard, ShardResult, Work
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.storage import read_json, write_json

_FACTS = {
    "settings": "the settings",
    "code": "the code",
    "detector": "the detector",
    "encoder": "the encoder",
}
_MANIFEST = "_manifest.json"  # readers of a whole folder of Parquet files pass over such a name


def read_manifest(folder: Path, stage: str) -> Manifest:
    """What a stage has finished so far."""
    found = read_json(folder / _MANIFEST) or {"shards": []}
    return Manifest(stage, tuple(ShardResult.from_json(entry) for entry in found["shards"]))


def write_manifest(
    folder: Path, stage: str, shards: Sequence[ShardResult], facts: Mapping[str, str] | None = None
) -> None:
    """Record what a stage has finished; without `facts`, those that the manifest has stay."""
    known = _read_facts(folder) if facts is None else facts
    content: dict[str, Any] = {"stage": stage, "shards": [result.to_json() for result in shards]}
    write_json(folder / _MANIFEST, content if known is None else {**content, "facts": dict(known)})


def run_stage(
    folder: Path,
    stage: str,
    shards: Sequence[Shard],
    work: Work,
    each: ForEach,
    facts: Mapping[str, Any] | None = None,
) -> Manifest:
    """Carry out those shards that aren't done, and record all in the stage's manifest.

    A shard is done when its part says that it was made with the shard's key. So a run that was killed
    anywhere goes on where it was, and no finished shard is done again. Parts of shards that are no longer
    asked for are removed.

    Args:
        facts: what the shards' keys hold beside their input, by name. A digest of each is kept, and says why
            finished shards are redone (`Manifest.redone`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = {result.index: result for result in read_manifest(folder, stage).shards}
    there = {path.name: path for path in folder.glob("part-*.parquet")}  # one question, not one a part
    wanted = {tables.part_path(folder, shard.index).name: shard for shard in shards}
    for name, shard in wanted.items():
        known = finished.get(shard.index)
        if known is None or known.key != shard.key or name not in there:
            on_disk = tables.read_result(there[name]) if name in there else None
            finished.pop(shard.index, None)
            if on_disk is not None and on_disk.key == shard.key:
                finished[shard.index] = on_disk
    pending = [shard for shard in shards if shard.index not in finished]
    redone = sum(tables.part_path(folder, shard.index).name in there for shard in pending)
    digests = {name: tables.compute_digest(value) for name, value in (facts or {}).items()}
    for index in finished.keys() - {shard.index for shard in shards}:
        del finished[index]
    unasked = [path for name, path in there.items() if name not in wanted]
    for leftover in (*unasked, *folder.glob("*.partial")):
        leftover.unlink(missing_ok=True)
    if pending:
        for result in each(stage, work, pending):
            finished[result.index] = result
    ordered = tuple(finished[index] for index in sorted(finished))
    why = {stage: _why(redone, len(shards), _read_facts(folder), digests)} if redone else {}
    write_manifest(folder, stage, ordered, digests)
    return Manifest(stage, ordered, done_now=len(pending), redone=why)


def _why(redone: int, of: int, before: Mapping[str, str] | None, now: Mapping[str, str]) -> str:
    if before is None:
        reason = "an earlier version of Lexveil made them"
    else:
        changed = [_FACTS.get(name, name) for name in now if before.get(name) != now[name]]
        reason = f"{' and '.join(changed) or 'their input'} changed"
    return f"{redone} of {of} shards redone: {reason}"


def _read_facts(folder: Path) -> dict[str, str] | None:
    return (read_json(folder / _MANIFEST) or {}).get("facts")
