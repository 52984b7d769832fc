"""When the scheduled flows run, and where. Light: it is read with the options, before Prefect is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Schedules:
    """When each flow runs: the five fields of cron, or a number of seconds between runs.

    Attributes:
        nightly: When new documents are processed.
        train: When a model is retrained.
        audit: When the newest model is audited.
        timezone: Time zone of the three, such as Europe/Brussels.
    """

    nightly: str
    train: str
    audit: str
    timezone: str


@dataclass(frozen=True, slots=True)
class WorkPool:
    """Prefect's work pool, whose workers execute the runs.

    Attributes:
        name: Name of the pool, which is created if it does not exist.
        kind: Prefect's type of pool: `process`, `kubernetes`.
        image: Container image of the runs, for pools that start containers.
        template: Prefect's base job template in JSON, such as `deploy/kubernetes/job-template.json`; None:
            the template of Prefect's integration.
    """

    name: str = "lexveil"
    kind: str = "process"
    image: str | None = None
    template: Path | None = None
