"""One class or several: as sources write it, as tables hold it."""

from __future__ import annotations

import pytest

from lexveil.pipeline.labels import classes, several, written


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("lease", "lease"),
        ("  lease ", "lease"),
        ("", None),
        (None, None),
        ({"a": 1}, None),
        (3, "3"),
        (["lease", "tax"], '["lease", "tax"]'),
        (["tax", " lease ", "tax", ""], '["lease", "tax"]'),
        ([], "[]"),
        ('["tax","lease"]', '["lease", "tax"]'),
        ("[2019] UKSC 1", "[2019] UKSC 1"),
        ("[1, 2]", "[1, 2]"),
        (["税"], '["税"]'),
    ],
)
def test_what_a_field_says(value: object, expected: str | None) -> None:
    found = written(value)
    assert found == expected
    assert written(found) == found


def test_classes() -> None:
    assert classes(None) == classes("[]") == ()
    assert classes("lease") == classes('["lease"]') == ("lease",)
    assert classes('["lease", "tax"]') == ("lease", "tax")
    assert [several(label) for label in (None, "lease", '["lease"]', "[]")] == [False, False, True, True]
