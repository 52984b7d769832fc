"""What `deploy/prefect.yaml` registers: the main job over a drop folder, by schedule."""

from __future__ import annotations

from pathlib import Path

# Sets Prefect's environment, so it comes before Prefect.
from flows.main import MOST_TASKS, carry_out  # isort: skip

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from pipeline.logs import sealed
from pipeline.request import prepare, request_run, submit, unchanged
from pipeline.settings import load_settings


@flow(  # pyright: ignore[reportCallIssue]
    name="lexveil-scheduled",
    log_prints=False,
    persist_result=False,
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_TASKS),  # pyright: ignore[reportArgumentType]
)
@sealed("scheduled")
def scheduled_job(workspace: str, sources: list[str], config: str | None = None) -> None:
    """Work on what is new in the sources. A model of the same recipe is used again, so that a night with
    new documents spends no epsilon; a night without any does nothing.
    """
    settings = load_settings(None if config is None else Path(config))
    paths = [Path(source) for source in sources]
    place = prepare(Path(workspace), settings, paths, need_labels=settings.train.objective != "denoise")
    request = request_run(place, settings, paths)
    if unchanged(place, request) is None:
        submit(place, request)
        carry_out(place, request)
