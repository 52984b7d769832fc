"""Three offices, as real processes, train one model; one is killed, and each is charged once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.offices import write_records, write_settings
from tests.deadlines import HANGS_AFTER
from tests.flows.command_line import Output, call

ROOT = Path(__file__).parents[2]
OFFICES, STEPS = 3, 25


@dataclass(frozen=True)
class Rehearsed:
    folder: Path
    config: Path
    killed: list[tuple[int, str]]
    resumed: list[tuple[int, dict[str, Any]]]

    @property
    def agreement(self) -> Path:
        return self.folder / "agreement.json"

    def office(self, index: int) -> Path:
        return self.folder / f"office-{index + 1}"

    def open(self, index: int) -> Any:
        from lexveil.pipeline.settings import load_settings
        from lexveil.pipeline.workspace.workspace import Workspace

        return Workspace.open(self.office(index), load_settings(self.config))

    def evidence(self, index: int, step: int) -> Path:
        (folder,) = (self.office(index) / "protected" / "joint").glob("*/")
        return folder / f"{step:06d}.evidence"


def start(lexveil: Path, folder: Path, config: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [str(lexveil), "join", *map(str, arguments), "--config", str(config)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=HANGS_AFTER)
    return process.returncode, out, err.splitlines()[-1] if err else ""


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory, warm: Path) -> Rehearsed:
    from lexveil.pipeline.joint.rehearsal import prepare_rehearsal
    from lexveil.pipeline.settings import load_settings

    folder = tmp_path_factory.mktemp("joint")
    config, records = folder / "lexveil.toml", folder / "records.jsonl"
    write_settings(config, STEPS)
    write_records(records)
    agreement, offices = prepare_rehearsal(records, folder, load_settings(config), OFFICES, "sum", 1)
    found = Rehearsed(folder, config, [], [])

    def start_all() -> list[subprocess.Popen[str]]:
        return [
            start(warm / "lexveil", folder, config, "train", agreement, "-w", one, "--json")
            for one in offices
        ]

    running = start_all()
    limit = time.monotonic() + HANGS_AFTER
    while not found.evidence(1, 1).exists() and time.monotonic() < limit:
        assert running[1].poll() is None, finish(running[1])
        time.sleep(0.02)
    os.kill(running[1].pid, signal.SIGKILL)
    found.killed.extend((code, line) for code, _, line in map(finish, running))
    found.resumed.extend(
        (code, json.loads(out) if code == 0 else {"error": line})
        for code, out, line in map(finish, start_all())
    )
    return found


def test_the_others_say_in_one_line_who_has_left(rehearsed: Rehearsed) -> None:
    assert rehearsed.killed[1][0] == -signal.SIGKILL
    for index in (0, 2):
        code, line = rehearsed.killed[index]
        assert code == 1
        assert line.startswith("error: the connection to office office-")
        assert line.endswith("it goes on, and is charged once")


def test_given_again_all_finish_with_one_model(rehearsed: Rehearsed) -> None:
    from safetensors.numpy import load_file

    assert [code for code, _ in rehearsed.resumed] == [0] * OFFICES, rehearsed.resumed
    assert all(2 <= card["recalled_steps"] < STEPS for _, card in rehearsed.resumed)
    weights = [
        load_file(next((rehearsed.office(index) / "models").glob("*/model.safetensors")))
        for index in range(OFFICES)
    ]
    for name, values in weights[0].items():
        assert all((values == other[name]).all() for other in weights[1:])
        assert name.endswith("bias") or values.std() > 0
    assert all("epsilon holds against 1 that collude" in card["joint"] for _, card in rehearsed.resumed)


def test_each_ledger_is_charged_once_and_in_full(rehearsed: Rehearsed) -> None:
    for index in range(OFFICES):
        ledger = rehearsed.open(index).ledger
        (population,) = ledger.populations()
        (charged,) = ledger.reservations(population)
        assert (charged.state, charged.charged_steps, population.unit) == ("committed", STEPS, "owner")
        assert 7.9 < ledger.spent_epsilon(population, 1e-3) <= 8.0
        assert ledger.verify().ok
        ledger.close()


def test_the_model_follows_from_what_was_signed(rehearsed: Rehearsed) -> None:
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import verify_run

    for index in range(OFFICES):
        verified = verify_run(rehearsed.open(index), read_agreement(rehearsed.agreement))
        assert (verified["steps"], verified["office"]) == (STEPS, f"office-{index + 1}")


@pytest.mark.parametrize("changed", ["evidence", "consent", "weights"])
def test_a_changed_bit_is_refused_and_its_office_named(
    rehearsed: Rehearsed, tmp_path: Path, changed: str
) -> None:
    from lexveil.pipeline.errors import JointTrainingError
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import verify_run

    path = rehearsed.evidence(2, 3)
    at, says = 40, "office office-1: the share of the sum of step 3"
    if changed == "consent":
        path, at, says = path.parent / "consent.1", 40, "office office-2: the agreement"
    elif changed == "weights":
        path = next((rehearsed.office(2) / "models").glob("*/model.safetensors"))
        at, says = path.stat().st_size - 2, "weights"
    kept = tmp_path / "kept"
    shutil.copy2(path, kept)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))
    try:
        with pytest.raises(JointTrainingError, match=says) as raised:
            verify_run(rehearsed.open(2), read_agreement(rehearsed.agreement))
        assert "\n" not in str(raised.value)
    finally:
        shutil.copy2(kept, path)


def test_another_agreement_is_not_trained_unsigned(rehearsed: Rehearsed, tmp_path: Path) -> None:
    from lexveil.pipeline.errors import AgreementError
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import train_jointly

    content = json.loads(rehearsed.agreement.read_bytes()) | {"epsilon": 9.0}
    (tmp_path / "other.json").write_text(json.dumps(content))
    agreement = read_agreement(tmp_path / "other.json")
    with pytest.raises(AgreementError, match="has not signed"):
        train_jointly(rehearsed.open(0), agreement)


def test_each_role_is_shown_what_is_left_of_the_claim(
    rehearsed: Rehearsed, capsys: pytest.CaptureFixture[str]
) -> None:
    where = (rehearsed.agreement, "-w", rehearsed.office(0), "--config", rehearsed.config, "--json")
    shown = call(capsys, "join", "audit", *where).json
    outsider, office, reading = shown["views"]
    assert (outsider["epsilon"], office["offices"], reading["offices"]) == (None, 1, 2)
    assert 7.9 < office["epsilon"] <= 8.0 < reading["epsilon"]
    figures = json.loads(Path(shown["unprotected_figures"]).read_text())
    assert (figures["raw"]["read"], figures["raw"]["classes"]) == (1.0, 1.0)
    assert figures["2 shares of noise"]["read"] == 0.0
    assert (Path(shown["unprotected_figures"]).stat().st_mode & 0o777) == 0o600
    refused = call(capsys, "join", "audit", *where, "--role", "hub")
    assert (refused.code, refused.err.count("\n")) == (2, 1)


def test_the_audit_attacks_the_code_of_several_offices(
    rehearsed: Rehearsed, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("-w", rehearsed.office(1), "--config", rehearsed.config)
    audited = call(capsys, "audit", *where, "--gate-only", "--json")
    assert audited.code == 0, audited.err
    assert "sensitivity_of_offices" in [test["test"] for test in audited.json["tests"]]


def test_a_workspace_with_a_joint_model_is_backed_up_and_documents_are_erased(
    rehearsed: Rehearsed, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, config = rehearsed.office(2), ("--config", rehearsed.config)
    backup, again = tmp_path / "backup", tmp_path / "recovered"
    assert call(capsys, "backup", backup, "-w", office, *config).code == 0
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", (office / "protected" / "master.key").read_text().strip())
    recovered = call(capsys, "recover", backup, "-w", again, *config)
    assert recovered.code == 0, recovered.err
    verified = call(capsys, "join", "verify", rehearsed.agreement, "-w", again, *config, "--json")
    assert verified.json["weights"] == "as the signed sums give them"
    finished = call(capsys, "join", "train", rehearsed.agreement, "-w", again, *config, "--json")
    assert finished.code == 0, finished.err
    assert not finished.json["new"]
    (first, *_) = sorted(rehearsed.open(2).catalogue.read().column("doc_id").to_pylist())
    erased = call(capsys, "erase", first, "-w", again, *config, "--json")
    assert erased.code == 0, erased.err
    assert erased.json["models"] == [verified.json["model"]]
    assert call(capsys, "ledger", "verify", "-w", again, *config).code == 0
    # What was signed stays: no document is part of it.
    assert call(capsys, "join", "verify", rehearsed.agreement, "-w", again, *config).code == 0


def test_an_upload_does_not_stay_on_the_disk(rehearsed: Rehearsed) -> None:
    for index in range(OFFICES):
        assert not (rehearsed.evidence(index, 0).parent / "upload.sealed").exists()
        assert b"PRIVATE KEY" in (rehearsed.office(index) / "protected" / "joint" / "key.pem").read_bytes()
        assert b"ENCRYPTED" in (rehearsed.office(index) / "protected" / "joint" / "key.pem").read_bytes()


def test_offices_draft_and_sign_the_next_agreement_by_commands(
    rehearsed: Rehearsed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def join(command: str, *arguments: object) -> Output:
        return call(capsys, "join", command, *arguments, "--config", rehearsed.config, "--json")

    first = ("-w", rehearsed.office(0))
    assert join("verify", rehearsed.agreement, *first).json["steps"] == STEPS
    offers = [tmp_path / f"offer-{index}.json" for index in range(OFFICES)]
    for index, offer in enumerate(offers):
        where = ("--name", f"office-{index + 1}", "--address", f"127.0.0.1:{9000 + index}", "--out", offer)
        assert join("offer", *where, "-w", rehearsed.office(index)).code == 0
    agreement = tmp_path / "agreement.json"
    drafted = join("draft", agreement, *offers, "--epsilon", "2").json
    assert (drafted["offices"], drafted["steps"]) == (OFFICES, STEPS)
    assert 0 < drafted["owners"] <= 30  # some are held out
    assert 1.9 < drafted["epsilon"] <= 2
    assert join("sign", agreement, *first).code == 0
    assert join("status", agreement, *first).code == 0
    refused = join("draft", tmp_path / "two.json", *offers[:2], "--protection", "sum")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert not (tmp_path / "two.json").exists()


def test_a_hub_is_agreed_on_by_commands_and_never_has_the_key(
    rehearsed: Rehearsed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def join(command: str, *arguments: object) -> Output:
        return call(capsys, "join", command, *arguments, "--config", rehearsed.config, "--json")

    def refused(says: str, command: str, *arguments: object) -> None:
        answer = join(command, *arguments)
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer.err
        assert says in answer.err

    hub, offers = ("-w", tmp_path / "hub"), [tmp_path / f"offer-{index}.json" for index in range(2)]
    office, other = (("-w", rehearsed.office(index)) for index in range(2))
    at = ("--name", "registry", "--address", "[::1]:9010", "--out", tmp_path / "hub.json")
    refused("port from 1", "offer", "--hub", "--name", "registry", "--address", "nowhere", *at[4:], *hub)
    assert join("offer", "--hub", *at, *hub).json == {"name": "registry", "address": "[::1]:9010"}
    for index, offer in enumerate(offers):
        own = ("--name", f"office-{index + 1}", "--address", f"127.0.0.1:{9000 + index}", "--out", offer)
        assert join("offer", *own, "-w", rehearsed.office(index)).code == 0
    key, wrong, agreement = tmp_path / "sums.key", tmp_path / "wrong.key", tmp_path / "agreement.json"
    digests = [join("key", one).json["key"] for one in (key, wrong)]
    assert digests[0] != digests[1]
    assert (key.stat().st_mode & 0o777) == 0o600
    refused("never overwritten", "key", key)
    drafting = (agreement, *offers, "--epsilon", "2", "--protection", "he")
    refused("a hub's offer and the key", "draft", *drafting, "--hub", tmp_path / "hub.json")
    refused("a hub's offer and the key", "draft", *drafting, "--key", key)
    drafted = join("draft", *drafting, "--hub", tmp_path / "hub.json", "--key", key)
    assert "a hub that has no key" in drafted.json["protection"]
    assert 1.9 < drafted.json["epsilon"] <= 2
    content = json.loads(agreement.read_bytes())
    assert (content["sum_key"], content["hub"]["name"]) == (digests[0], "registry")

    refused("name its file, --key FILE", "sign", agreement, *office)
    refused("not the key of the agreement", "sign", agreement, "--key", wrong, *office)
    assert join("sign", agreement, "--key", key, *office).code == 0
    assert join("sign", agreement, *office).code == 0  # it is kept
    kept = [path.read_bytes() for path in rehearsed.office(0).rglob("*.sum-key")]
    assert len(kept) == 1
    assert key.read_bytes()[100:200] not in kept[0]
    refused("has not signed", "train", agreement, *other)
    refused("must not have the offices' key", "sign", agreement, "--key", key, *hub)
    refused("has not signed", "hub", agreement, *hub)
    assert join("sign", agreement, *hub).json["signed"] is True
    assert join("status", agreement, *hub).json["hub"] == {"name": "registry", "address": "[::1]:9010"}
    refused("not its hub", "hub", agreement, *office)
    refused("which has no documents", "train", agreement, *hub)
    assert not list((tmp_path / "hub").rglob("*.sum-key"))
