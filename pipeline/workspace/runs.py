"""Records of finished runs, as they are read back from `runs/<run_id>/run.json` and `runs/last.json`.

`reports.summary.RunSummary.to_json` makes what is written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.pipeline.workspace.storage import read_json, write_json


@dataclass(frozen=True, slots=True)
class LedgerState:
    """State of the ledger after a run.

    Attributes:
        population: name of the set of people that was charged.
        total: epsilon of all runs together.
        limit: epsilon that may be spent.
    """

    population: str
    total: float
    limit: float


@dataclass(frozen=True, slots=True)
class FeatureDistance:
    """Distance of a batch's features from those of earlier batches.

    Attributes:
        value: the distance.
        p: of the permutation test.
        limit: distance that earlier batches' own distances allow.
    """

    value: float
    p: float
    limit: float


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """Counts of the documents that were new in a run, and how they compare with earlier batches.

    Attributes:
        documents: number of new documents.
        owners: number of their owners.
        rates: (total, dispersion) of what was counted, by name.
        unlike: names of what stands out.
        until: moment of the newest key of the documents.
        quarantine: number of items in the quarantine, those of earlier runs included.
        recipe: digest of the settings that the documents were masked by.
        expected: (rate, low, high) that earlier batches predict, by name.
        distance: distance of the features; None where it was not measured.
    """

    documents: int
    owners: int
    rates: Mapping[str, tuple[int, float]]
    unlike: frozenset[str]
    until: float
    quarantine: int
    recipe: str
    expected: Mapping[str, tuple[float, float, float]]
    distance: FeatureDistance | None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BatchRecord:
        """Read the object `batch` of a `run.json`."""
        distance = data["distance"]
        return cls(
            documents=data["documents"],
            owners=data["owners"],
            rates={name: (total, dispersion) for name, (total, dispersion) in data["rates"].items()},
            unlike=frozenset(data["unlike"]),
            until=data["until"],
            quarantine=data["quarantine"],
            recipe=data["recipe"],
            expected={name: (rate, low, high) for name, (rate, low, high) in data["expected"].items()},
            distance=distance and FeatureDistance(distance["value"], distance["p"], distance["limit"]),
        )


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A finished run.

    A field is read when it is asked for: runs of earlier versions lack the newest ones.

    Attributes:
        data: everything that was written, as `lexveil run --json` prints it.
    """

    data: Mapping[str, Any] = field(repr=False)

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.data["run_id"]

    @property
    def started(self) -> str:
        """Time of the start, ISO 8601, UTC."""
        return self.data["started"]

    @property
    def ingested(self) -> int:
        """Number of documents that the workspace keeps."""
        return self.data["ingested"]

    @property
    def duplicates(self) -> int:
        """Number of documents that occur more than once."""
        return self.data["duplicates"]

    @property
    def masked(self) -> int:
        """Number of documents with masked text."""
        return self.data["masked"]

    @property
    def quarantined(self) -> int:
        """Number of items that could not be used."""
        return self.data["quarantined"]

    @property
    def quarantine(self) -> Mapping[str, int]:
        """Number of items that could not be used, by reason."""
        return self.data["quarantine"]

    @property
    def notes(self) -> Mapping[str, int]:
        """What accepted documents do not show, by the codes of the readers; none for an early version."""
        return self.data.get("notes", {})

    @property
    def spans_by_type(self) -> Mapping[str, int]:
        """Number of masked spans, by entity type."""
        return self.data["spans_by_type"]

    @property
    def verdicts(self) -> Mapping[str, int]:
        """Number of documents, by verdict of the second pass."""
        return self.data["verdicts"]

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.data["model"]

    @property
    def trained_now(self) -> bool:
        """True if this run trained the model."""
        return self.data["trained_now"]

    @property
    def epsilon(self) -> float:
        """Epsilon of the model's weights."""
        return self.data["epsilon"]

    @property
    def delta(self) -> float:
        """Delta of the model's weights."""
        return self.data["delta"]

    @property
    def unit(self) -> str:
        """Unit of privacy: whose data counts as one."""
        return self.data["unit"]

    @property
    def feature_rows(self) -> int:
        """Number of rows of the features table."""
        return self.data["feature_rows"]

    @property
    def utility(self) -> Mapping[str, Any] | None:
        """Scores on the held-out documents; None where there are none."""
        return self.data["utility"]

    @property
    def encrypted(self) -> Mapping[str, Any] | None:
        """Result of the encrypted check; None if the model cannot be served encrypted."""
        return self.data["encrypted"]

    @property
    def features(self) -> str:
        """Path or URL of the features, as people are shown it."""
        return self.data["features"]

    @property
    def report(self) -> str:
        """Path or URL of the report."""
        return self.data["report"]

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall time, by stage."""
        return self.data["seconds"]

    @property
    def redone(self) -> Mapping[str, str]:
        """By stage, how many finished shards were redone, and why."""
        return self.data.get("redone", {})

    @property
    def changed(self) -> bool:
        """False if nothing had changed since the run before, so that nothing was done."""
        return self.data["changed"]

    @property
    def ledger(self) -> LedgerState:
        """State of the ledger after the run."""
        spent = self.data["spent"]
        return LedgerState(spent["population"], spent["total"], spent["limit"])

    @property
    def has_batch(self) -> bool:
        """False for a run of an early version, which knew no batches."""
        return "batch" in self.data

    @property
    def batch(self) -> BatchRecord:
        """The documents that were new in the run."""
        return BatchRecord.from_json(self.data["batch"])


@dataclass(frozen=True, slots=True)
class LastRun:
    """The run that ended last, and what it depended on.

    Attributes:
        digest: digest of the request.
        state: digest of the workspace and the sources when the run ended.
        record: the run.
    """

    digest: str
    state: str
    record: RunRecord


def run_path(paths: WorkspacePaths, run_id: str) -> Path:
    """Return the path of a run's record."""
    return paths.runs / run_id / "run.json"


def read_run(paths: WorkspacePaths, run_id: str) -> RunRecord | None:
    """Read the record of a run; None if it has not finished."""
    data = read_json(run_path(paths, run_id))
    return None if data is None else RunRecord(data)


def write_run(paths: WorkspacePaths, run_id: str, data: Mapping[str, Any]) -> None:
    """Write the record of a run, whole or not at all."""
    write_json(run_path(paths, run_id), data)


def read_last_run(paths: WorkspacePaths) -> LastRun | None:
    """Read which run ended last; None if none has."""
    data = read_json(paths.runs / "last.json")
    return None if data is None else LastRun(data["digest"], data["state"], RunRecord(data["result"]))


def write_last_run(paths: WorkspacePaths, last: LastRun) -> None:
    """Write which run ended last, whole or not at all."""
    content = {"digest": last.digest, "state": last.state, "result": last.record.data}
    write_json(paths.runs / "last.json", content)
