"""The notification of a failed run: names, ids and states only, and never harmful to the run."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lexveil.flows import failures
from lexveil.pipeline.errors import AgreementError, BudgetRefusedError, JointTrainingError

FLOW = SimpleNamespace(name="lexveil-train")
RUN = SimpleNamespace(id="some-id", parameters={"workspace": "/client of a name"})
STATE = SimpleNamespace(name="Failed", message="Canary Wharfinger")


class Answer:
    """What the receiver answers."""

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was sent."""
    sent: list[Any] = []

    def urlopen(request: Any, timeout: float) -> Answer:
        assert timeout > 0
        sent.append(request)
        return Answer()

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return sent


def test_a_receiver_gets_names_ids_and_states_only(
    requests: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(failures.WEBHOOK, "https://office.example/secret")
    failures.notify(FLOW, RUN, STATE)
    (request,) = requests
    assert request.full_url == "https://office.example/secret"
    assert request.get_header("Content-type") == "application/json"
    assert json.loads(request.data) == {"flow": "lexveil-train", "run": "some-id", "state": "Failed"}


def test_without_an_address_nothing_is_sent(requests: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(failures.WEBHOOK, raising=False)
    failures.notify(FLOW, RUN, STATE)
    assert requests == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/secret", "no address, secret", "ftp://secret"])
def test_a_receiver_that_cannot_be_reached_is_logged_without_its_address(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(failures.WEBHOOK, url)
    with caplog.at_level(logging.WARNING, "lexveil"):
        failures.notify(FLOW, RUN, STATE)
    (record,) = caplog.records
    assert "could not be reported" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_outside_of_a_flow_an_error_passes_as_it_is() -> None:
    @failures.with_backoff
    def body(number: int) -> None:
        raise BudgetRefusedError(f"no {number}")

    assert body.__name__ == "body"
    with pytest.raises(BudgetRefusedError, match="no 7"):
        body(7)


@pytest.mark.parametrize(("error", "final"), [(AgreementError("a"), True), (JointTrainingError("b"), False)])
def test_a_joint_training_is_tried_again_where_an_office_has_left(
    error: Exception, final: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[bool] = []
    monkeypatch.setattr(failures, "_plan_retry", lambda _delays, final: planned.append(final))

    @failures.with_backoff
    def body() -> None:
        raise error

    with pytest.raises(type(error)):
        body()
    assert planned == [final]


def test_the_flow_of_a_joint_training_needs_its_agreement(tmp_path: Path) -> None:
    from lexveil.flows import deployments
    from lexveil.pipeline.workspace.workspace import Workspace

    url = Workspace.create_or_open(tmp_path / "w").url
    with pytest.raises(AgreementError, match="cannot be read") as raised:
        deployments.joint_training.fn(url, str(tmp_path / "missing.json"))
    assert "missing" not in str(raised.value)
