"""The tree of errors: names, exit codes, and that its page tells the truth."""

from __future__ import annotations

import inspect
import re

import pytest

from lexveil.pipeline import errors
from lexveil.pipeline.errors import LexveilError, UserError

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
TREE = dict(
    re.findall(r"^ +(\w+Error) +(?:exit code (\d)\b)?", inspect.getdoc(errors) or "", flags=re.MULTILINE)
)


def test_all_errors_are_listed_at_the_top() -> None:
    assert set(TREE) == {kind.__name__ for kind in ALL}


@pytest.mark.parametrize("kind", ALL)
def test_every_error(kind: type[LexveilError]) -> None:
    assert issubclass(kind, LexveilError)
    assert kind.__name__.endswith("Error")
    assert kind.__doc__
    assert kind.exit_code == int(TREE[kind.__name__] or UserError.exit_code)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SettingsError", 2), ("SourceMissingError", 2), ("RemovalRefusedError", 2), ("WorkspaceError", 2),
        ("WorkspaceKeyError", 2), ("TrainingRefusedError", 2), ("EndpointError", 2),
        ("BudgetRefusedError", 3), ("AuditFailedError", 4),
        ("TrainingStoppedError", 5), ("StorageError", 1), ("StageError", 1),
    ],
)  # fmt: skip
def test_exit_codes_are_those_that_scripts_know(name: str, code: int) -> None:
    assert getattr(errors, name).exit_code == code


def test_a_missing_source_is_caught_as_a_source() -> None:
    assert issubclass(errors.SourceMissingError, errors.SourceError)
