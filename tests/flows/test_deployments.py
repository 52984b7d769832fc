"""At a real Prefect server: schedules that start, work pools, watches over runs, and a process worker whose
failed and killed runs are reported.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from lexveil.flows.deployments import parse_schedule, scheduled_job
from lexveil.pipeline.errors import SourceMissingError
from tests.deadlines import HANGS_AFTER, wait_until

if TYPE_CHECKING:
    from tests.conftest import Command, PrefectServer

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "deploy" / "kubernetes" / "job-template.json"
ASK_AGAIN = 0.5  # seconds: to answer takes the server computing time
# One for all requests: each would otherwise load the certificates of all authorities.
HTTP = httpx.Client(timeout=HANGS_AFTER, limits=httpx.Limits(max_keepalive_connections=0))


def ask(method: str, address: str, body: dict[str, Any] | None = None) -> Any:
    while True:
        answer = HTTP.request(method, address, json=body)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # its SQLite was busy
            answer.raise_for_status()
            return answer.json() if answer.content else None
        time.sleep(1)


def query(url: str, kind: str, **body: Any) -> list[dict[str, Any]]:
    return ask("POST", f"{url}/{kind}/filter", body)


COMMANDS = """
import json, sys
from lexveil.flows.cli import app
from lexveil.pipeline.errors import LexveilError

results = []
for words in json.loads(sys.argv[1]):
    try:
        app(words, standalone_mode=False)
        results.append([0, ""])
    except LexveilError as error:
        results.append([error.exit_code, str(error)])
print(json.dumps(results))
"""


@dataclass
class Registered:
    """A server at which things were registered by `lexveil deploy`; what its refusals said."""

    url: str
    folder: Path
    refused: list[str]


@pytest.fixture(scope="module")
def registered(
    prefect_server: PrefectServer,
    command_in: Callable[[Path], Command],
    tmp_path_factory: pytest.TempPathFactory,
) -> Registered:
    """Twice with different schedules, for clusters, for the worker of these tests, and wrongly."""
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "client of a name").mkdir()
    (folder / "commands.py").write_text(COMMANDS)
    (folder / "lexveil.toml").write_text("workers = 1\n")
    right = (
        ("--nightly", "0 3 * * *"),
        ("--nightly", "3600"),
        ("--pool", "cluster", "--pool-type", "kubernetes", "--image", "office/lexveil:1", "--name", "cl"),
        ("--pool", "templated", "--pool-type", "kubernetes", "--job-template", str(TEMPLATE), "--name", "te"),
        ("--pool", "tried", "--name", "tried", "--nightly", "99999999"),
    )
    wrong = (
        ("--pool-type", "kubernetes"),
        ("--pool", "other", "--pool-type", "tent"),
        ("--nightly", "tomorrow"),
        ("--pool", "other", "--job-template", str(folder / "commands.py")),
    )
    words = [["deploy", "client of a name", "-w", "work", *more] for more in (*right, *wrong)]
    command = command_in(folder)
    script = ("--script", folder / "commands.py")
    done = command.run(*script, json.dumps(words), PREFECT_API_URL=prefect_server.url)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert [code for code, _ in results] == [0] * len(right) + [2] * len(wrong), results
    return Registered(prefect_server.url, folder, [line for code, line in results if code])


def test_the_server_plans_the_next_nights(registered: Registered) -> None:
    """By SQLAlchemy 2.1 it accepted the schedules and never planned a run."""
    planned: dict[str, Any] = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    found: list[dict[str, Any]] = []

    def look() -> list[dict[str, Any]]:
        everywhere = query(registered.url, "flow_runs", flow_runs=planned)
        found[:] = [run for run in everywhere if run["work_pool_name"] == "lexveil"]
        return found

    wait_until(look, ASK_AGAIN)
    assert all(run["auto_scheduled"] for run in found)


def test_registering_again_changes_and_does_not_double(registered: Registered) -> None:
    found = {one["name"]: one for one in query(registered.url, "deployments")}
    assert {"nightly", "train", "audit"} <= set(found)
    (schedule,) = found["nightly"]["schedules"]
    assert schedule["schedule"]["interval"] == 3600
    assert found["nightly"]["global_concurrency_limit"]["limit"] == 1
    assert found["nightly"]["entrypoint"] == "lexveil.flows.deployments.scheduled_job"
    watches = query(registered.url, "automations")
    assert len(watches) == 2
    ours = {f"prefect.flow.{one['flow_id']}" for one in found.values()}
    for watch in watches:  # no run of others on this server is touched
        assert set(watch["trigger"]["match_related"]["prefect.resource.id"]) <= ours


FORMER = "flows.deployments.scheduled_job"


def age(url: str, deployment: str) -> None:
    """Have a deployment name its flow as versions did before the package was called `lexveil`."""
    (found,) = (one for one in query(url, "deployments") if one["name"] == deployment)
    former = found["entrypoint"].removeprefix("lexveil.")
    ask("PATCH", f"{url}/deployments/{found['id']}", {"entrypoint": former})


def test_registering_again_renews_what_an_earlier_version_registered_and_names_the_rest(
    registered: Registered, command_in: Callable[[Path], Command]
) -> None:
    for name in ("nightly", "cl-nightly"):
        age(registered.url, name)
    before = {one["name"]: one for one in query(registered.url, "deployments")}
    assert before["nightly"]["entrypoint"] == before["cl-nightly"]["entrypoint"] == FORMER
    words = ("deploy", "client of a name", "-w", "work", "--nightly", "3600", "--json")
    done = command_in(registered.folder).run(*words, PREFECT_API_URL=registered.url)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["deployed"]["nightly"] == "3600"
    assert list(result["outdated"]) == ["cl-nightly"]
    after = {one["name"]: one for one in query(registered.url, "deployments")}
    assert after["nightly"]["id"] == before["nightly"]["id"]
    assert after["nightly"]["entrypoint"] == "lexveil.flows.deployments.scheduled_job"
    assert after["nightly"]["parameters"] == before["nightly"]["parameters"]
    assert after["cl-nightly"]["entrypoint"] == FORMER


def test_what_would_fail_the_first_night_is_refused(registered: Registered) -> None:
    expected = ("of type process", "of type tent", "neither cron nor", "not a JSON object")
    assert all(message in line for message, line in zip(expected, registered.refused, strict=True))


def test_runs_may_be_containers_of_a_cluster(registered: Registered) -> None:
    pools = {one["name"]: one for one in query(registered.url, "work_pools")}
    assert pools["cluster"]["type"] == "kubernetes"
    assert "image" in pools["cluster"]["base_job_template"]["variables"]["properties"]
    assert pools["templated"]["base_job_template"] == json.loads(TEMPLATE.read_text())
    (night,) = (one for one in query(registered.url, "deployments") if one["name"] == "cl-nightly")
    beat = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", "DO_NOT_TRACK": "1"}
    assert night["work_pool_name"] == "cluster"
    assert night["job_variables"] == {"image": "office/lexveil:1", "env": beat}


@dataclass
class Receiver:
    """Keeps what it is sent, and answers with `answer`."""

    answer: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def waits_for(self, number: int) -> list[dict[str, Any]]:
        wait_until(lambda: len(self.bodies) >= number)
        return self.bodies


@pytest.fixture(scope="module")
def receiver() -> Generator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(kept.answer)
            self.end_headers()

        def log_message(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            del args

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kept.url = f"http://127.0.0.1:{server.server_port}/secret"
    yield kept
    server.shutdown()


@dataclass
class Scheduled:
    """Deployments of one workspace, and a worker that carries their runs out."""

    url: str
    worker: subprocess.Popen[bytes]

    def start(self, deployment: str, **parameters: Any) -> str:
        found = {one["name"]: one["id"] for one in query(self.url, "deployments")}
        address = f"{self.url}/deployments/{found[deployment]}/create_flow_run"
        return ask("POST", address, {"parameters": parameters})["id"]

    def until(self, run: str, *kinds: str) -> dict[str, Any]:
        deadline = time.monotonic() + HANGS_AFTER
        while True:
            found = ask("GET", f"{self.url}/flow_runs/{run}")
            if found.get("state_type") in kinds or time.monotonic() > deadline:
                return found
            time.sleep(ASK_AGAIN)


@pytest.fixture(scope="module")
def scheduled(
    registered: Registered, receiver: Receiver, command_in: Callable[[Path], Command]
) -> Generator[Scheduled]:
    folder, url = registered.folder, registered.url
    command = command_in(folder)
    environment = command.environment(
        PREFECT_API_URL=url, LEXVEIL_WEBHOOK=receiver.url, PREFECT_WORKER_QUERY_SECONDS="3"
    )
    environment["PYTHONPATH"] = str(ROOT / "src")  # as installed: `lexveil` is the only package
    start = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "tried", "--type", "process"]
    worker = subprocess.Popen(start, env=environment, cwd=folder, start_new_session=True)
    yield Scheduled(url, worker)
    os.killpg(worker.pid, signal.SIGKILL)  # told to end, it would wait for half a minute
    worker.wait()


def test_runs_have_the_settings_of_the_folder_where_they_were_registered(registered: Registered) -> None:
    """A worker's own working folder is another one: without it they would run with the defaults."""
    for one in query(registered.url, "deployments"):
        assert one["parameters"]["config"] == str(registered.folder / "lexveil.toml")


def test_no_parameter_names_a_source(scheduled: Scheduled) -> None:
    found = [one for one in query(scheduled.url, "deployments") if one["name"].startswith("tried-")]
    assert len(found) == 3
    assert "client" not in json.dumps(found)


def test_a_run_of_an_earlier_versions_deployment_crashes_and_its_log_says_why(scheduled: Scheduled) -> None:
    age(scheduled.url, "tried-audit")
    run = scheduled.start("tried-audit")
    assert scheduled.until(run, "CRASHED", "FAILED", "COMPLETED")["state_type"] == "CRASHED"
    lines: list[str] = []

    def said_why() -> bool:
        lines[:] = [
            one["message"] for one in query(scheduled.url, "logs", logs={"flow_run_id": {"any_": [run]}})
        ]
        return any("No module named 'flows'" in line for line in lines)

    wait_until(said_why, ASK_AGAIN)


def test_a_refusal_is_reported_once_and_not_retried(scheduled: Scheduled, receiver: Receiver) -> None:
    run = scheduled.start("tried-train", config="/nowhere/lexveil.toml")
    ended = scheduled.until(run, "FAILED", "COMPLETED", "CRASHED")
    assert (ended["state_type"], ended["run_count"]) == ("FAILED", 1)
    assert receiver.waits_for(1) == [{"flow": "lexveil-train", "run": run, "state": "Failed"}]


def test_a_fault_is_retried_later_and_a_killed_run_is_reported(
    scheduled: Scheduled, receiver: Receiver
) -> None:
    """The folder of the sources is empty, so there is nothing to learn from; then the process is killed
    while it waits, and the receiver fails.
    """
    before = len(receiver.bodies)
    receiver.answer = 500
    run = scheduled.start("tried-nightly", workspace="/nowhere/work")
    waiting = scheduled.until(run, "SCHEDULED", "FAILED", "COMPLETED", "CRASHED")
    while waiting["state_name"] != "AwaitingRetry":
        assert waiting["state_type"] in ("SCHEDULED", "PENDING", "RUNNING"), waiting["state_name"]
        time.sleep(ASK_AGAIN)
        waiting = scheduled.until(run, "SCHEDULED", "RUNNING", "FAILED", "COMPLETED", "CRASHED")
    assert (waiting["empirical_policy"]["retries"], waiting["empirical_policy"]["retry_delay"]) == (3, 60)
    for process in children_of(scheduled.worker.pid):
        os.kill(process, signal.SIGKILL)
    ended = scheduled.until(run, "CRASHED", "FAILED", "COMPLETED")
    assert ended["state_type"] == "CRASHED"
    assert receiver.waits_for(before + 1)[before:] == [
        {"flow": "lexveil-scheduled", "run": run, "state": "Crashed"}
    ]
    assert scheduled.worker.poll() is None


def children_of(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in found]


def test_delays_grow_and_a_refusal_ends_them(
    prefect_server: PrefectServer, command_in: Callable[[Path], Command], tmp_path: Path
) -> None:
    script = tmp_path / "growing.py"
    script.write_text(GROWING)
    done = command_in(tmp_path).run("--script", script, PREFECT_API_URL=prefect_server.url)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["tries"] == {"fault": 4, "refusal": 1}
    assert result["delays"] == [1, 2, 3]


GROWING = """
import json
from lexveil.flows import deployments, failures
from lexveil.pipeline.errors import BudgetRefusedError
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

tries = {"fault": 0, "refusal": 0}
delays = []

def body(kind: str) -> None:
    tries[kind] += 1
    if tries[kind] > 1:  # the delay that the last failure has set
        with get_client(sync_client=True) as client:
            delays.append(client.read_flow_run(FlowRunContext.get().flow_run.id).empirical_policy.retry_delay)
    raise BudgetRefusedError("no") if kind == "refusal" else OSError()

growing = deployments._scheduled(name="growing")(failures.with_backoff(body, delays=(1, 2, 3)))
for kind in tries:
    growing(kind, return_state=True)
print(json.dumps({"tries": tries, "delays": delays}))
"""


@pytest.mark.parametrize("when", ["while it worked", "before it began"])
def test_a_run_whose_machine_is_gone_is_marked_crashed_and_reported(
    when: str,
    registered: Registered,
    scheduled: Scheduled,
    receiver: Receiver,
    command_in: Callable[[Path], Command],
) -> None:
    """The last here: with a patience of ten seconds every other run would seem dead."""
    receiver.answer, before = 200, len(receiver.bodies)
    script = registered.folder / "gone.py"
    script.write_text(GONE)
    done = command_in(registered.folder).run(
        "--script", script, when, PREFECT_API_URL=registered.url, LEXVEIL_WEBHOOK=receiver.url
    )
    assert done.returncode == 0, done.stderr
    others, run = done.stdout.split()[-2:]
    assert scheduled.until(run, "CRASHED")["state_type"] == "CRASHED"
    expected = {"flow": "lexveil-train", "run": run, "state": "Crashed"}
    assert receiver.waits_for(before + 1)[before:] == [expected]
    assert scheduled.until(others, "RUNNING", "PENDING", "CRASHED")["state_type"] != "CRASHED"


GONE = """
import sys, os
from prefect import flow, get_client
from prefect.events import emit_event
from prefect.states import Pending, Running
from dataclasses import replace
from prefect.utilities.asyncutils import run_coro_as_sync
from lexveil.flows import deployments

worked = sys.argv[1] == "while it worked"
watches = [replace(watch, seconds=10) for watch in deployments.WATCHES]
run_coro_as_sync(deployments.watch_runs(["lexveil-train"], os.environ["LEXVEIL_WEBHOOK"], watches))

@flow(name="of-others")
def others(workspace): ...

with get_client(sync_client=True) as client:
    for one in (others, deployments.scheduled_training):
        state = Running() if worked else Pending()
        run = client.create_flow_run(one, parameters={"workspace": "w"}, state=state)
        print(run.id)
        if worked:
            its_flow = {
                "prefect.resource.id": f"prefect.flow.{run.flow_id}", "prefect.resource.role": "flow"
            }
            emit_event(  # as the engine does
                "prefect.flow-run.heartbeat",
                resource={"prefect.resource.id": f"prefect.flow-run.{run.id}"}, related=[its_flow],
            )
"""


def test_a_drop_folder_that_is_gone_is_not_named_to_prefect(tmp_path: Path) -> None:
    night = scheduled_job.fn.__wrapped__  # without the retries, which need a server
    with pytest.raises(SourceMissingError) as caught:
        night(str(tmp_path / "work"), [str(tmp_path / "client of a name")])
    assert "client" not in str(caught.value)


def test_schedules() -> None:
    assert parse_schedule("90", "UTC").interval.total_seconds() == 90
    assert parse_schedule("0 2 * * *", "Europe/Brussels").timezone == "Europe/Brussels"
    with pytest.raises(ValueError, match="tomorrow"):
        parse_schedule("tomorrow", "UTC")
