"""Offices train under each protection what they agreed on: one model, charged as planned, and verified.

Run as a script, this file prepares the offices and forks a process for each.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.offices import WORDS, write_records
from tests.deadlines import HANGS_AFTER

ROOT = Path(__file__).parents[3]
PARTING = 55  # bytes: the last record, and TLS's goodbye
STEPS = 2
# Protection, number of offices, kind of model.
CASES: dict[str, tuple[Any, int, str]] = {
    "once": ("once", 3, "linear"),
    "cyclic": ("cyclic", 2, "square"),
    "sum": ("sum", 3, "cubic"),
    "office": ("office", 2, "lora"),
    "he": ("he", 2, "linear"),
    "largest": ("office", 2, "linear"),
}
SCORED, SCORE_EPSILON = "once", 2.0
THETA = {"largest": 0.1}


def script(folder: Path) -> dict[str, Any]:
    import torch

    from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

    keep_model_libraries_out_of_presidio()  # as the command does
    torch.set_num_threads(1)  # forked processes have no others
    write_records(folder / "records.jsonl", 48)
    return {case: run(folder, case) for case in CASES}


def run(folder: Path, case: str) -> list[dict[str, Any]]:
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.hub import run_hub
    from lexveil.pipeline.joint.office import describe_run, train_jointly, verify_run
    from lexveil.pipeline.joint.rehearsal import find_hub, prepare_rehearsal, summarize_rehearsal
    from lexveil.pipeline.joint.roles import attack_roles
    from lexveil.pipeline.joint.views import describe_views
    from lexveil.pipeline.models.card import read_card
    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.workspace.workspace import Workspace

    protection, offices, kind = CASES[case]
    settings = load_settings(
        None,
        train={"model": kind, "labels": list(WORDS), "steps": STEPS, "delta": 1e-3, "device": "cpu"},
        ledger={"limit_delta": 1e-3},
        mask={"detector": "rules"},
        ingest={"owner_field": "owner"},
    )
    path, workspaces = prepare_rehearsal(
        folder / "records.jsonl", folder / case, settings, offices, protection, 0,
        SCORE_EPSILON if case == SCORED else None, THETA.get(case),
    )  # fmt: skip
    agreement = read_agreement(path)
    children: list[int] = []
    if (hub := find_hub(path)) is not None:
        child = os.fork()
        if child == 0:
            try:
                answer = {"steps": run_hub(Workspace.open(hub, settings), agreement, patience=HANGS_AFTER)}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            (folder / f"{case}-hub.json").write_text(json.dumps(answer))
            os._exit(0)
        children.append(child)
    for one, office in zip(workspaces, agreement.offices, strict=True):
        port = office.address.rpartition(":")[2]
        listen = f"0.0.0.0:{port}" if case == "office" else None  # as in a container
        child = os.fork()
        if child == 0:
            try:
                trained = train_jointly(
                    Workspace.open(one, settings), agreement, patience=HANGS_AFTER, listen=listen
                )
                answer = {"card": dict(read_card(trained.saved.folder))}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            (folder / f"{case}-{one.name}.json").write_text(json.dumps(answer))
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    answers = [json.loads((folder / f"{case}-{one.name}.json").read_text()) for one in workspaces]
    if any("error" in answer for answer in answers):
        return answers
    for answer, one in zip(answers, workspaces, strict=True):
        workspace = Workspace.open(one, settings)
        answer |= {"verified": verify_run(workspace, agreement), "status": describe_run(workspace, agreement)}
        answer["views"] = describe_views(workspace, agreement)
        ledger = workspace.ledger
        (population,) = ledger.populations()
        *scored, charged = ledger.reservations(population)
        answer["charged"] = [charged.state, charged.charged_steps]
        answer["scored"] = [[one.state, one.charge.epsilon(1e-3)] for one in scored]
        answer["spent"] = ledger.spent_epsilon(population, 1e-3)
        ledger.close()
        audited = attack_roles(workspace, agreement) if case == "he" else None
        answer["audit"] = None if audited is None else json.loads(audited.read_text())
        again = train_jointly(Workspace.open(one, settings), agreement)
        answer["again"] = [again.new, again.recalled]
    if hub is not None:
        answers[0]["hub"] = json.loads((folder / f"{case}-hub.json").read_text())
        opened = Workspace.open(hub, settings)
        answers[0]["hub"]["views"] = describe_views(opened, agreement)
        answers[0]["hub"]["status"] = describe_run(opened, agreement)
        answers[0]["hub"]["again"] = run_hub(opened, agreement)
    answers[0]["same"] = summarize_rehearsal(path, workspaces, settings)["same_model_in_all_offices"]
    return answers


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path_factory.mktemp("joint"))],
        env=environment, cwd=ROOT, check=True, timeout=4 * HANGS_AFTER, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", list(CASES))
def test_all_offices_have_the_model_that_the_signed_sums_give(
    found: dict[str, list[dict[str, Any]]], case: str
) -> None:
    protection, offices, kind = CASES[case]
    assert [answer.get("error") for answer in found[case]] == [None] * offices
    total = {"once": 1, "cyclic": STEPS * offices}.get(protection, STEPS)
    assert found[case][0]["same"] is True
    for answer in found[case]:
        assert answer["card"]["kind"] == kind
        assert answer["verified"]["steps"] == total
        assert answer["status"]["steps"] == f"{total} of {total}"
        assert answer["again"] == [False, total]


@pytest.mark.parametrize("case", list(CASES))
def test_each_ledger_is_charged_for_its_own_steps(found: dict[str, list[dict[str, Any]]], case: str) -> None:
    steps = 1 if CASES[case][0] == "once" else STEPS
    for answer in found[case]:
        assert answer["charged"] == ["committed", steps]
        assert answer["card"]["steps"] == steps
        assert 7.9 < answer["card"]["epsilon"] <= 8.0
        if case != SCORED:
            assert answer["scored"] == []
            assert answer["spent"] == pytest.approx(answer["card"]["epsilon"], rel=1e-6)


def test_a_score_is_charged_beside_the_training_and_gives_the_weights(
    found: dict[str, list[dict[str, Any]]],
) -> None:
    """Which documents are held out follows from each workspace's random key, so that scores are not known."""
    for answer in found[SCORED]:
        ((state, epsilon),) = answer["scored"]
        assert (state, epsilon) == ("committed", pytest.approx(SCORE_EPSILON, rel=0.01))
        assert 8.0 < answer["spent"] < 8.0 + SCORE_EPSILON
        offices = answer["status"]["offices"]
        best = max(office["score"] for office in offices)
        weights = [min(1.0, office["score"] / (0.7 * best)) if best else 1.0 for office in offices]
        assert [office["weight"] for office in offices] == pytest.approx(weights)
    assert len({json.dumps(answer["status"]["offices"]) for answer in found[SCORED]}) == 1
    assert "weight" not in found["sum"][0]["status"]["offices"][0]


def test_an_audit_of_a_training_with_a_hub_attacks_what_each_role_has_left(
    found: dict[str, list[dict[str, Any]]],
) -> None:
    for answer in found["he"]:
        assert answer["audit"]["raw"]["read"] == 1.0
        assert answer["audit"]["1 shares of noise"]["read"] == 0.0


def test_the_card_says_who_is_trusted(found: dict[str, list[dict[str, Any]]]) -> None:
    for case, says in (
        ("once", "one sum alone is opened"),
        ("cyclic", "2 offices in turns"),
        ("office", "no other"),
        ("he", "a hub that has no key"),
    ):
        assert says in found[case][0]["card"]["joint"]


@pytest.mark.parametrize("case", list(CASES))
def test_each_office_has_received_what_the_other_says_it_has_sent(
    found: dict[str, list[dict[str, Any]]], case: str
) -> None:
    protection, offices, _ = CASES[case]
    views = {answer["views"]["office"]: answer["views"] for answer in found[case]}
    assert list(views) == [f"office-{index + 1}" for index in range(offices)]
    if case == "he":  # an office has no connection but to the hub
        assert all([wire["office"] for wire in view["on_the_wire"]] == ["hub"] for view in views.values())
        views["hub"] = found[case][0]["hub"]["views"]
    secret = {"share of an upload", "comparison of norms", "share of the sum"}
    for name, view in views.items():
        for wire in view["on_the_wire"]:
            mine, theirs = (list_messages(views[one], other) for one, other in pair(name, wire["office"]))
            assert mine == {kind: (there, here) for kind, (here, there) in theirs.items()}
            (back,) = [one for one in views[wire["office"]]["on_the_wire"] if one["office"] == name]
            # What closes a connection counts or not, depending on who closes first.
            assert abs(back["received"] - wire["sent"]) <= PARTING
            assert wire["sent"] > sum(sent for sent, _ in mine.values())
            hidden = protection in ("sum", "once")
            opened = {"encrypted upload", "encrypted sum"} if protection == "he" else {"upload"}
            assert (secret <= set(mine), opened <= set(mine)) == (hidden, not hidden)


def test_the_largest_entries_take_so_many_bytes(found: dict[str, list[dict[str, Any]]]) -> None:
    """A bit for each weight, and eight bytes for each entry that is sent; 64 are the signature."""
    weights = 896 * len(WORDS)
    size = 64 + weights // 8 + 8 * math.ceil(0.1 * weights)
    for answer in found["largest"]:
        (other,) = {one["office"] for one in answer["views"]["messages"]}
        sent, received = list_messages(answer["views"], other)["upload"]
        assert sent == received
        assert STEPS * size <= sent < STEPS * (size + 64)
        assert "which guarantees nothing further" in answer["card"]["joint"]


def test_the_hub_has_added_each_step_and_is_done(found: dict[str, list[dict[str, Any]]]) -> None:
    hub = found["he"][0]["hub"]
    assert (hub["steps"], hub["again"]) == (STEPS, 0)
    assert (hub["status"]["steps"], hub["status"]["trained"]) == (f"{STEPS} of {STEPS}", False)
    assert hub["status"]["hub"]["name"] == "hub"


def pair(name: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (name, other), (other, name)


def list_messages(view: dict[str, Any], office: str) -> dict[str, tuple[int, int]]:
    mine = [one for one in view["messages"] if one["office"] == office]
    return {one["message"]: (one["sent"], one["received"]) for one in mine}


if __name__ == "__main__":
    print(json.dumps(script(Path(sys.argv[1]))))
