"""The records that stages hand on. Frozen and slotted; no repr shows text, names or paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document as its source gives it, before it has an id.

    `owner` and `source_id` may name a person: they leave `ingest` only as keyed hashes.
    """

    text: str = field(repr=False)
    source_id: str = field(repr=False)
    owner: str | None = field(repr=False)
    label: str | None = field(repr=False)
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document inside the pipeline. `doc_id` and `owner` are keyed HMACs."""

    doc_id: str
    owner: str
    label: str | None = field(repr=False)
    split: str | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shard:
    """A unit of work. Two shards with equal keys have equal results.

    Attributes:
        index: number of the part file.
        key: digest of the shard's input, configuration and code.
    """

    index: int
    key: str


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What a finished shard left on disk.

    Attributes:
        rows: rows of the part file.
        digest: digest of the logical content (ids and metadata; ciphertexts differ at every run).
        counts: what the stage counted, by name.
    """

    index: int
    key: str
    rows: int
    digest: str
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "key": self.key,
            "rows": self.rows,
            "digest": self.digest,
            "counts": dict(self.counts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ShardResult:
        return cls(data["index"], data["key"], data["rows"], data["digest"], dict(data["counts"]))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one stage has finished, shard by shard.

    Attributes:
        done_now: how many shards were done by this call.
        more: what the stage counted beside its shards.
        redone: by stage, how many finished shards were redone, and why.
    """

    stage: str
    shards: tuple[ShardResult, ...]
    done_now: int = 0
    more: Mapping[str, int] = field(default_factory=dict[str, int])
    redone: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)

    def counts(self) -> dict[str, int]:
        """The sum of the shards' counts, and what was counted beside."""
        total = dict(self.more)
        for shard in self.shards:
            for name, value in shard.counts.items():
                total[name] = total.get(name, 0) + value
        return total


Work = Callable[[Shard], ShardResult]


class ForEach(Protocol):
    """How shards are carried out: one after the other, by processes, or as tasks of a scheduler.

    Stages call it and know no scheduler. Results may come in any order.
    """

    def __call__(self, stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]: ...


def run_one_by_one(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
    """The simplest `ForEach`: in this process, in order."""
    del stage
    return map(work, shards)


def spans_by_type(counts: Mapping[str, int]) -> dict[str, int]:
    """The masked spans of each type, out of the mask stage's counts."""
    return {name.removeprefix("span:"): n for name, n in sorted(counts.items()) if name.startswith("span:")}


def count_names(names: Iterable[str]) -> dict[str, int]:
    """How often each name occurs."""
    total: dict[str, int] = {}
    for name in names:
        total[name] = total.get(name, 0) + 1
    return total


def now() -> str:
    """This moment, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def format_moment(moment: float) -> str:
    """A `KeyStore.moment` as a card has it: models are ordered by it, and set before or after a document."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
