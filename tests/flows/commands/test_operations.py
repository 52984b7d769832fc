"""Commands for operators: registration, and a new master key. Backups are tested with their module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lexveil.flows.commands import operations
from lexveil.flows.commands.operations import ScheduleOptions
from lexveil.flows.schedules import WorkPool
from lexveil.pipeline.errors import LexveilError, SettingsError
from lexveil.pipeline.workspace.workspace import Workspace
from tests.flows.command_line import Lexveil, assert_refused


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


class TestDeploy:
    def test_a_missing_source_is_refused_before_anything_is_written(
        self, lexveil: Lexveil, tmp_path: Path
    ) -> None:
        for command in ("deploy", "up"):
            assert_refused(lexveil, tmp_path, command, "nowhere", "-w", "w", says="nothing at")
            assert_refused(lexveil, tmp_path, command, "far://away", "-w", "w", says="far")

    def test_without_a_server_it_says_how_to_get_one(self, lexveil: Lexveil, tmp_path: Path) -> None:
        (tmp_path / "inbox").mkdir()
        assert_refused(lexveil, tmp_path, "deploy", "inbox", "-w", "w", says="PREFECT_API_URL")
        assert_refused(lexveil, tmp_path, "deploy", "inbox", says="--workspace")

    @pytest.fixture
    def registered(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """Replaces the registration: takes the errors and results of the next calls; keeps the arguments."""
        from lexveil.flows import deployments

        script: list[Any] = []

        def register(*arguments: Any) -> Any:
            outcome = script.pop(0)
            script.append(arguments)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(deployments, "register", register)
        monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        return script

    def test_the_options_reach_the_registration(
        self, lexveil: Lexveil, tmp_path: Path, registered: list[Any]
    ) -> None:
        from lexveil.flows.deployments import Registration

        registered.append(Registration({"cl-nightly": "3600"}, ()))
        (tmp_path / "inbox").mkdir()
        schedules = ("--nightly", "3600", "--timezone", "Europe/Brussels")
        pool = ("--pool", "cluster", "--pool-type", "kubernetes", "--image", "office/lexveil:1")
        output = lexveil("deploy", "inbox", "-w", "w", *schedules, *pool, "--name", "cl", "--json")
        assert output.json == {"deployed": {"cl-nightly": "3600"}}
        ((workspace, sources, config, when, work_pool, name),) = registered
        assert workspace.root.resolve() == tmp_path / "w"
        assert sources == [str(tmp_path / "inbox")]
        assert (config, name) == (None, "cl")
        assert when == ScheduleOptions(nightly="3600", timezone="Europe/Brussels")
        assert (when.train, when.audit) == ("0 4 * * 6", "0 5 1 * *")
        assert work_pool == WorkPool("cluster", "kubernetes", "office/lexveil:1")

    def test_deployments_of_an_earlier_version_are_named(
        self, lexveil: Lexveil, tmp_path: Path, registered: list[Any]
    ) -> None:
        from lexveil.flows.deployments import Registration

        registered.append(Registration({"nightly": "3600"}, ("cl-audit", "cl-nightly")))
        (tmp_path / "inbox").mkdir()
        result = lexveil("deploy", "inbox", "-w", "w", "--json").json
        assert set(result["outdated"]) == {"cl-audit", "cl-nightly"}
        assert "lexveil deploy" in result["outdated"]["cl-audit"]

    @pytest.mark.parametrize(
        ("error", "kind", "says"),
        [
            (ValueError("bad cron"), SettingsError, "neither cron nor a number of seconds"),
            (ConnectionRefusedError(), LexveilError, "the Prefect server cannot be reached"),
        ],
    )
    def test_what_the_server_or_a_schedule_refuses(
        self, error: Exception, kind: type[LexveilError], says: str, tmp_path: Path, registered: list[Any]
    ) -> None:
        registered.append(error)
        workspace = Workspace.create_or_open(tmp_path / "w")
        with pytest.raises(kind, match=says):
            operations._register(workspace, [], None, ScheduleOptions(), WorkPool(), None)


class TestTheMasterKey:
    def test_it_is_replaced_and_every_key_wrapped_again(self, lexveil: Lexveil, masked: Workspace) -> None:
        common = ("-w", masked.root, "--json")
        rotated = lexveil("rotate-master-key", *common).json
        assert rotated["keys"] >= 12
        assert lexveil("quarantine", *common).code == 0
        (_, done, *_) = Workspace.open(masked.root).log.read()
        assert (done.action, done.outcome, done.facts["keys"]) == (
            "rotate-master-key",
            "done",
            rotated["keys"],
        )

    def test_without_a_key_service_there_is_nothing_to_rewrap(
        self, lexveil: Lexveil, masked: Workspace
    ) -> None:
        output = lexveil("rotate-master-key", "--rewrap", "-w", masked.root)
        assert (output.code, output.out, output.err.count("\n")) == (2, "", 1)
