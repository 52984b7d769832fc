"""Registered at a real Prefect server: schedules that start, one work pool, one watch over heartbeats."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.deployments import schedule_of


def asked(url: str, kind: str, **body: Any) -> list[dict[str, Any]]:
    answer = httpx.post(f"{url}/{kind}/filter", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


@pytest.fixture(scope="module")
def registered(
    prefect_server: Any, command_in: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The server's address, after two registrations with different schedules."""
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "inbox").mkdir()
    for nightly in ("0 3 * * *", "3600"):
        done = command_in(folder).run(
            "deploy", "inbox", "-w", "work", "--nightly", nightly, PREFECT_API_URL=prefect_server.url
        )
        assert done.returncode == 0, done.stderr
    return prefect_server.url


def test_the_server_plans_the_next_nights(registered: str) -> None:
    """By SQLAlchemy 2.1 it accepted the schedules and never planned a run."""
    for _ in range(300):
        found = asked(registered, "flow_runs", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}})
        if found:
            break
        time.sleep(0.2)
    assert found
    assert all(run["auto_scheduled"] and run["work_pool_name"] == "lexveil" for run in found)


def test_registering_again_changes_and_does_not_double(registered: str) -> None:
    found = {one["name"]: one for one in asked(registered, "deployments")}
    assert {"nightly", "train", "audit"} <= set(found)
    (schedule,) = found["nightly"]["schedules"]
    assert schedule["schedule"]["interval"] == 3600
    assert found["nightly"]["global_concurrency_limit"]["limit"] == 1
    assert found["nightly"]["entrypoint"] == "flows.deployments.scheduled_job"
    watches = [one for one in asked(registered, "automations") if "heartbeat" in one["name"]]
    assert len(watches) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inbox", "--nightly", "tomorrow"), "neither cron nor"),
        (("nowhere",), "nothing at"),
    ],
    ids=["schedule", "source"],
)
def test_what_the_first_night_would_stumble_over_is_refused(
    arguments: tuple[str, ...],
    message: str,
    prefect_server: Any,
    command_in: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    (tmp_path / "inbox").mkdir()
    done = command_in(tmp_path).run("deploy", *arguments, "-w", "work", PREFECT_API_URL=prefect_server.url)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_server_it_says_so(command_in: Callable[[Path], Any], tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    done = command_in(tmp_path).run("deploy", "inbox", "-w", "work")
    assert (done.returncode, "PREFECT_API_URL" in done.stderr) == (2, True)


def test_schedules() -> None:
    assert schedule_of(None, "UTC") is None
    assert schedule_of("90", "UTC").interval.total_seconds() == 90
    assert schedule_of("0 2 * * *", "Europe/Brussels").timezone == "Europe/Brussels"
