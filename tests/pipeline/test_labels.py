"""One class or several: as sources write it, as tables hold it."""

from __future__ import annotations

import pytest

from lexveil.pipeline.labels import encode_label, is_multilabel, parse_classes


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
    found = encode_label(value)
    assert found == expected
    assert encode_label(found) == found


def test_classes() -> None:
    assert parse_classes(None) == parse_classes("[]") == ()
    assert parse_classes("lease") == parse_classes('["lease"]') == ("lease",)
    assert parse_classes('["lease", "tax"]') == ("lease", "tax")
    assert [is_multilabel(label) for label in (None, "lease", '["lease"]', "[]")] == [
        False,
        False,
        True,
        True,
    ]
