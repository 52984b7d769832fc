"""The seal, and a log that holds no content."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest

from lexveil.pipeline.errors import (
    BudgetRefusedError,
    LexveilError,
    SourceError,
    SourceMissingError,
    StageError,
    UserError,
)
from lexveil.pipeline.logs import seal_errors

CANARY = "Canary Wharfinger"


def fail(error: BaseException) -> None:
    raise error


class Nested(Exception):
    pass


def nested() -> None:
    try:
        fail(ValueError(CANARY))
    except ValueError as error:
        raise Nested(CANARY) from error


def test_a_foreign_error_leaves_as_its_type_alone() -> None:
    with pytest.raises(StageError) as caught:
        seal_errors("mask")(nested)()
    assert str(caught.value) == "mask: Nested"
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


def ours() -> None:
    try:
        fail(ValueError(CANARY))
    except ValueError:
        raise SourceError("no file") from None


@pytest.mark.parametrize("work", [nested, ours])
def test_what_an_error_came_of_does_not_go_with_it(work: Callable[[], None]) -> None:
    """Dask has exceptions pickled with cause and context, whatever a traceback would show of them."""
    with pytest.raises(LexveilError) as caught:
        seal_errors("mask")(work)()
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize("error", [StageError("a: B"), SourceError("no file"), BudgetRefusedError("over")])
def test_our_own_errors_pass(error: LexveilError) -> None:
    with pytest.raises(type(error)) as caught:
        seal_errors("mask")(fail)(error)
    assert caught.value is error


def test_the_path_of_a_source_stays_inside() -> None:
    with pytest.raises(SourceMissingError, match="cannot be found or read") as caught:
        seal_errors("scheduled")(fail)(SourceMissingError("there is no file or folder /inbox/Doe v. Roe"))
    assert "Doe" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_an_interrupt_is_no_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        seal_errors("mask")(fail)(KeyboardInterrupt())


def test_what_was_done_is_returned() -> None:
    assert seal_errors("mask")(lambda text: text.upper())(text="a") == "A"


def test_exit_codes() -> None:
    assert LexveilError.exit_code == 1
    assert UserError.exit_code == 2
    assert BudgetRefusedError.exit_code == 3
    assert StageError.exit_code == 1
