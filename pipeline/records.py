"""Records that stages pass to each other. Frozen and slotted; no repr shows text, names or paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document as its source gives it, before it has an id.

    `owners` and `source_id` may name people: they leave `ingest` only as keyed hashes.

    Attributes:
        owners: whom the document is about, sorted; none: it is its own owner.
        spelled: names of owners that the source spells in another way.
        item: identity of the source item that the document comes from.
        belongs_to: text of the document whose owner is this one's too, if nobody names owners: that of the
            message of an attachment.
        notes: what the text does not show, counted by the codes of the readers.
        fields: facts that the format states, such as court, date and parties.
    """

    text: str = field(repr=False)
    source_id: str = field(repr=False)
    owners: tuple[str, ...] = field(repr=False)
    label: str | None = field(repr=False)
    split: str | None = None
    spelled: tuple[str, ...] = field(default=(), repr=False)
    item: str = field(default="", repr=False)
    belongs_to: str | None = field(default=None, repr=False)
    notes: Mapping[str, int] = field(default_factory=dict[str, int])
    fields: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """A document inside the pipeline. `doc_id` is a keyed HMAC, `owner` the sorted ones of all owners.

    Attributes:
        fields: facts that the format states, such as court, date and parties. They are personal, as the text.
    """

    doc_id: str
    owner: str
    label: str | None = field(repr=False)
    split: str | None
    text: str = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def named_owner(self) -> str | None:
        """Id of the owner or owners; None if the document is its own owner."""
        return None if self.owner == self.doc_id else self.owner


@dataclass(frozen=True, slots=True)
class Shard:
    """A unit of work. Two shards with equal keys have equal results.

    Attributes:
        index: number of the part file.
        key: digest of the shard's input, configuration and code.
    """

    index: int
    key: str


class CountKind(StrEnum):
    """Kind of a count that a stage keeps by name, such as the masked spans of each type.

    Among the counts of a shard, such a count has the name `<kind>:<name>`; all other counts are totals.
    """

    QUARANTINE = "quarantine"  # what could not be used, by reason
    NOTE = "note"  # what accepted documents do not show, by the codes of the readers
    SPAN = "span"  # masked spans, by entity type
    VERDICT = "verdict"  # documents, by verdict of the second pass
    REASON = "reason"  # documents, by reason of the verdict
    LANGUAGE = "language"  # documents, by ISO 639-1 code; "": none was recognized

    def key(self, name: str) -> str:
        """Return the name of one count among all counts of a shard."""
        return f"{self}:{name}"

    def select(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return the counts of this kind by their own names, sorted."""
        prefix = self.key("")
        return {key.removeprefix(prefix): n for key, n in sorted(counts.items()) if key.startswith(prefix)}


@dataclass(frozen=True, slots=True)
class ShardResult:
    """Result of a finished shard.

    Attributes:
        index: number of the part file.
        key: key of the shard.
        rows: number of rows of the part file.
        digest: digest of the logical content (ids and metadata; ciphertexts differ on every run).
        counts: totals by name, and the counts of each `CountKind`.
    """

    index: int
    key: str
    rows: int
    digest: str
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "index": self.index,
            "key": self.key,
            "rows": self.rows,
            "digest": self.digest,
            "counts": dict(self.counts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ShardResult:
        """Read a result from what `to_json` returned."""
        return cls(data["index"], data["key"], data["rows"], data["digest"], dict(data["counts"]))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one stage has finished, shard by shard.

    Attributes:
        stage: name of the stage.
        shards: results in the order of their indices.
        done_now: number of shards that this call finished.
        more: counts that belong to no shard.
        redone: by stage, how many finished shards were redone, and why.
    """

    stage: str
    shards: tuple[ShardResult, ...]
    done_now: int = 0
    more: Mapping[str, int] = field(default_factory=dict[str, int])
    redone: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def rows(self) -> int:
        """Number of rows of all part files."""
        return sum(shard.rows for shard in self.shards)

    def counts(self) -> dict[str, int]:
        """Return the sums of the shards' counts, including those of `more`."""
        total = dict(self.more)
        for shard in self.shards:
            for name, value in shard.counts.items():
                total[name] = total.get(name, 0) + value
        return total

    def total(self, name: str) -> int:
        """Return one total, 0 where the stage counted nothing under that name."""
        return self.counts().get(name, 0)


Work = Callable[[Shard], ShardResult]
OrderedMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]  # `map`, or one with workers


class Progress(Protocol):
    """A listener for the progress of a stage."""

    def __call__(self, stage: str, done: int, total: int, documents: int = 0) -> None:
        """Note how far a stage is.

        Args:
            stage: name of the stage.
            done: finished units of work, such as shards, steps or pages.
            total: units of work in all.
            documents: documents of the finished units, if they are counted.
        """
        ...


def ignore_progress(stage: str, done: int, total: int, documents: int = 0) -> None:
    """Ignore the progress: the simplest `Progress`."""


class ForEach(Protocol):
    """Runs the shards of a stage: one after another, in processes, or as tasks of a scheduler.

    Stages call it and know no scheduler. Results may come in any order.
    """

    def __call__(self, stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """Run the work on each shard and yield the results as they come."""
        ...


def run_one_by_one(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
    """Run the shards in this process, in order: the simplest `ForEach`."""
    del stage
    return map(work, shards)


def count_names(names: Iterable[str]) -> dict[str, int]:
    """Count how often each name occurs."""
    return dict(Counter(names))


def now() -> str:
    """Return the current time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def format_moment(moment: float) -> str:
    """Format a `KeyStore.moment` as a model card stores it.

    Cards are ordered by it, and it tells which documents came before a model.
    """
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
