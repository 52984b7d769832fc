"""The card of a model: what it states, and how the verdict of an audit gets onto it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.card import (
    CARD,
    CARD_FOR_PEOPLE,
    NOT_COVERED,
    ModelCard,
    format_audit,
    read_card,
    record_audit,
)

MakeCard = Callable[..., ModelCard]
AUDIT: dict[str, Any] = {
    "date": "2024-06-02T11:12:13.000+00:00",
    "tests": ["one_run", "noise_variance", "accounting", "secret_randomness"],
    "failed": [],
    "claimed_epsilon": 3.0,
    "epsilon_lower_bound": 0.74321,
    "confidence": 0.95,
}


@pytest.fixture
def folder(tmp_path: Path, make_card: MakeCard) -> Path:
    card = make_card()
    (tmp_path / CARD).write_text(json.dumps({**asdict(card), "statement": card.statement}))
    (tmp_path / CARD_FOR_PEOPLE).write_text(card.to_markdown(), encoding="utf-8")
    return tmp_path


def test_the_statement_names_epsilon_delta_unit_and_relation(make_card: MakeCard) -> None:
    statement = make_card().statement
    assert "(2.99, 1e-05)-differential privacy" in statement
    assert "unit: one owner" in statement
    assert "add or remove one owner with all of its items" in statement
    assert "Features themselves are not differentially private." in statement
    assert "\n" not in statement


def test_a_model_of_a_known_seed_claims_nothing(make_card: MakeCard) -> None:
    statement = make_card(seeded=True).statement
    assert statement.startswith("NOT PRIVATE")
    assert "epsilon" not in statement
    assert "2.99" not in statement


@pytest.mark.parametrize("unit", ["owner", "document"])
def test_the_card_for_people_has_every_field_and_every_gap(make_card: MakeCard, unit: str) -> None:
    card = make_card(unit=unit)
    text = card.to_markdown()
    for name, value in asdict(card).items():
        assert f"| {name.replace('_', ' ')} | {value} |" in text
    for gap in NOT_COVERED:
        assert f"- {gap.format(unit=unit)}" in text
    assert "{unit}" not in text
    assert text.startswith(f"# {card.name}\n")
    assert text.endswith("\n## Audit\nNot audited.\n")


def test_a_card_is_read_as_it_was_written(folder: Path, make_card: MakeCard) -> None:
    card = read_card(folder)
    statement = card.pop("statement")
    assert ModelCard(**card) == make_card()
    assert statement == make_card().statement


def test_a_folder_without_a_card_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(TrainingRefusedError, match=r"no readable card\.json"):
        read_card(tmp_path)
    (tmp_path / CARD).write_text("{")
    with pytest.raises(TrainingRefusedError, match=r"no readable card\.json"):
        read_card(tmp_path)


def test_an_audit_changes_one_field_and_one_section(folder: Path) -> None:
    card, text = read_card(folder), (folder / CARD_FOR_PEOPLE).read_text()
    record_audit(folder, AUDIT)
    assert read_card(folder) == {**card, "audit": AUDIT}
    audited = (folder / CARD_FOR_PEOPLE).read_text()
    before, _, section = audited.partition("\n## Audit\n")
    assert before == text.partition("\n## Audit\n")[0]
    assert section == f"{format_audit(read_card(folder))}\n"


def test_a_later_audit_replaces_the_earlier_one(folder: Path) -> None:
    record_audit(folder, {**AUDIT, "failed": ["accounting"]})
    record_audit(folder, AUDIT)
    text = (folder / CARD_FOR_PEOPLE).read_text()
    assert text.count("## Audit") == 1
    assert "FAILED" not in text
    assert read_card(folder)["audit"] == AUDIT


def test_a_card_for_people_that_was_deleted_is_written_again(folder: Path) -> None:
    (folder / CARD_FOR_PEOPLE).unlink()
    record_audit(folder, AUDIT)
    card = read_card(folder)
    text = (folder / CARD_FOR_PEOPLE).read_text()
    assert text == f"# {card['name']}\n\n{card['statement']}\n\n## Audit\n{format_audit(card)}\n"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Passed. 4 of 4 tests held on 2024-06-02."),
        ({"failed": ["accounting"]}, "FAILED: accounting. 3 of 4 tests held on 2024-06-02."),
        (
            {"failed": ["one_run", "accounting"]},
            "FAILED: one_run, accounting. 2 of 4 tests held on 2024-06-02.",
        ),
    ],
    ids=["passed", "one", "two"],
)
def test_the_audit_in_one_line(changes: dict[str, Any], expected: str) -> None:
    line = format_audit({"audit": {**AUDIT, **changes}})
    assert line.startswith(expected)
    assert line.endswith("Of a claimed epsilon of 3 the one-run audit proves 0.74 at 95% confidence.")
    assert "\n" not in line


def test_a_card_shows_both_bounds_of_the_one_run_audit() -> None:
    line = format_audit({"audit": {**AUDIT, "profile_lower_bound": 1.234}})
    assert "proves 0.74 at 95% confidence, and 1.2 if only the noise can differ" in line
