"""Manifests of stages, and the run of a stage: only shards that are not done are carried out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lexveil.pipeline.records import ForEach, Manifest, Shard, ShardResult, Work
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.storage import read_json, write_bytes

_FACTS = {
    "settings": "the settings",
    "code": "the code",
    "detector": "the detector",
    "encoder": "the encoder",
}
_MANIFEST = "_manifest.json"  # readers of a whole folder of Parquet files skip such a name


def read_manifest(folder: Path, stage: str) -> Manifest:
    """Read what a stage has finished so far."""
    content = read_json(folder / _MANIFEST) or {"shards": []}
    return Manifest(stage, tuple(ShardResult.from_json(entry) for entry in content["shards"]))


def write_manifest(
    folder: Path, stage: str, shards: Sequence[ShardResult], facts: Mapping[str, str] | None = None
) -> None:
    """Write what a stage has finished.

    Args:
        folder: folder of the parts.
        stage: name of the stage.
        shards: results of the finished shards.
        facts: digests of what the shards' keys contain besides their input, by name; None keeps those of the
            manifest.
    """
    known = _read_facts(folder) if facts is None else facts
    content: dict[str, Any] = {"stage": stage, "shards": [result.to_json() for result in shards]}
    whole = content if known is None else {**content, "facts": dict(known)}
    # Without indents: Python's encoder in C writes none, and the one that does is three times as slow.
    compact = json.dumps(whole, separators=(",", ":"), sort_keys=True)
    write_bytes(folder / _MANIFEST, f"{compact}\n".encode())


def run_stage(
    folder: Path,
    stage: str,
    shards: Sequence[Shard],
    work: Work,
    each: ForEach,
    facts: Mapping[str, Any] | None = None,
    beside: Sequence[Path] = (),
) -> Manifest:
    """Carry out the shards that are not done, and record all shards in the stage's manifest.

    A shard is done when its part was made with the shard's key. So a run that was killed at any point
    continues where it was, and no finished shard is redone. Parts of other shards are removed.

    Args:
        folder: folder of the parts.
        stage: name of the stage.
        shards: all shards of the stage.
        work: makes the part of one shard.
        each: runs the shards.
        facts: what the shards' keys contain besides their input, by name. The manifest stores a digest of
            each, which later explains why finished shards are redone (`Manifest.redone`).
        beside: further folders to which `work` writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = {path.name: path for path in folder.glob("part-*.parquet")}  # one listing, not a request per part
    before, facts_before = read_manifest(folder, stage), _read_facts(folder)
    finished = _find_finished(before, folder, shards, parts)
    pending = [shard for shard in shards if shard.index not in finished]
    redone = sum(_part_name(folder, shard) in parts for shard in pending)
    wanted = {_part_name(folder, shard) for shard in shards}
    _remove([path for name, path in parts.items() if name not in wanted])
    _remove_leftovers(folder, *beside)
    if pending:
        for result in each(stage, work, pending):
            finished[result.index] = result
        _remove_leftovers(folder, *beside)  # once for all shards: a listing takes time linear in their number
    ordered = tuple(finished[index] for index in sorted(finished))
    digests = {name: tables.compute_digest(value) for name, value in (facts or {}).items()}
    why = {stage: _explain(redone, len(shards), facts_before, digests)} if redone else {}
    if (ordered, digests) != (before.shards, facts_before) or _is_indented(folder):
        write_manifest(folder, stage, ordered, digests)
    return Manifest(stage, ordered, done_now=len(pending), redone=why)


def _find_finished(
    before: Manifest, folder: Path, shards: Sequence[Shard], parts: Mapping[str, Path]
) -> dict[int, ShardResult]:
    """Return the results of the shards that are done, by index: from the manifest, else from the part."""
    recorded = {result.index: result for result in before.shards}
    finished: dict[int, ShardResult] = {}
    for shard in shards:
        part = parts.get(_part_name(folder, shard))
        if part is None:
            continue
        result = recorded.get(shard.index)
        if result is None or result.key != shard.key:
            result = tables.read_result(part)
        if result is not None and result.key == shard.key:
            finished[shard.index] = result
    return finished


def _part_name(folder: Path, shard: Shard) -> str:
    return tables.part_path(folder, shard.index).name


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _remove_leftovers(*folders: Path) -> None:
    """Remove what killed workers left. No worker of the stage is running."""
    for folder in folders:
        _remove(folder.glob("*.partial"))


def _explain(redone: int, of: int, before: Mapping[str, str] | None, now: Mapping[str, str]) -> str:
    """Explain why shards are redone: what changed between the facts of the manifest and the facts now."""
    if before is None:
        reason = "an earlier version of Lexveil made them"
    else:
        changed = [_FACTS.get(name, name) for name in now if before.get(name) != now[name]]
        reason = f"{' and '.join(changed) or 'their input'} changed"
    return f"{redone} of {of} shards redone: {reason}"


def _is_indented(folder: Path) -> bool:
    """Return True for a manifest of an earlier version, which is four times as long."""
    try:
        with (folder / _MANIFEST).open("rb") as file:
            return file.read(2) == b"{\n"
    except FileNotFoundError:
        return True


def _read_facts(folder: Path) -> dict[str, str] | None:
    return (read_json(folder / _MANIFEST) or {}).get("facts")
