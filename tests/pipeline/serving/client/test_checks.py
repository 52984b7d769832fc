"""Answers that a client keeps: what follows from them, how they are mixed in, and how they are stored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixtures import liars
from lexveil.pipeline.serving.client.checks import keep_lines, mix_checks, plan_lines
from lexveil.pipeline.serving.client.trust_store import OpenSession, Pin

RANDOM = np.random.default_rng(4)
DOCUMENTS = liars.draw_documents(RANDOM, 20)
DEGREES = {"linear": 1, "square": 2, "cubic": 3}


@pytest.mark.parametrize("kind", DEGREES)
def test_the_answers_on_a_line_follow_from_those_that_were_kept(kind: str) -> None:
    head = liars.build_head(kind)
    planned = plan_lines(DOCUMENTS, 3, DEGREES[kind])
    asked = np.concatenate([line.asked for line in planned])
    assert len(asked) == 3 * DEGREES[kind]
    lines = keep_lines(planned, head.logits(DOCUMENTS), head.logits(asked), 1e-3)
    drawn = [line.draw() for line in lines for _ in range(50)]
    features = np.array([probe.features for probe in drawn])
    np.testing.assert_allclose([probe.logits for probe in drawn], head.logits(features), atol=1e-9)
    assert max(np.linalg.norm(features, axis=1)) <= 1 + 1e-9  # a row that may be sent
    assert all(1e-3 <= probe.tolerance * (1 + 1e-9) < 2e-3 for probe in drawn)
    documents = {row.tobytes() for row in DOCUMENTS}
    rows = [row.tobytes() in documents for row in features]
    assert 0 < sum(rows) < len(rows)  # documents themselves, and points that were never sent
    fresh = [row.tobytes() for row, old in zip(features, rows, strict=True) if not old]
    assert len(set(fresh)) == len(fresh)


def test_no_two_requests_share_a_mixture() -> None:
    lines = plan_lines(DOCUMENTS, 50, 1)
    assert len({line.ends[1].tobytes() for line in lines}) == 50


def test_every_row_has_its_place() -> None:
    planned = plan_lines(DOCUMENTS, 2, 2)
    head = liars.build_head("square")
    asked = np.concatenate([line.asked for line in planned])
    lines = keep_lines(planned, head.logits(DOCUMENTS), head.logits(asked), 1e-3)
    mixed = mix_checks(DOCUMENTS, [lines[0].draw, lines[1].draw], 8, asked)
    np.testing.assert_array_equal(mixed.features[mixed.documents], np.concatenate([DOCUMENTS, asked]))
    for row, probe in mixed.probes:
        np.testing.assert_array_equal(mixed.features[row], probe.features)
    for row, document in mixed.twins:
        np.testing.assert_array_equal(mixed.features[row], DOCUMENTS[document])
        assert row // 8 != mixed.documents[document] // 8
    places = [*mixed.documents, *(row for row, _ in mixed.probes), *(row for row, _ in mixed.twins)]
    assert sorted(places) == list(range(len(mixed.features)))


class TestPin:
    def test_it_is_read_as_it_was_written(self) -> None:
        planned = plan_lines(DOCUMENTS, 2, 1)
        head = liars.build_head("linear")
        asked = np.concatenate([line.asked for line in planned])
        lines = keep_lines(planned, head.logits(DOCUMENTS), head.logits(asked), 1e-3)
        sessions = {"block": OpenSession("x" * 43, "f" * 64, "0" * 64)}
        pin = Pin("key", "2026", "0" * 64, "2026", "", sessions, lines)
        again = Pin.from_json(pin.to_json())
        assert again.to_json() == pin.to_json()
        np.testing.assert_array_equal(again.lines[1].ends, lines[1].ends)
        assert repr(lines[0].tolerance) in repr(again.lines[0])
        assert "[" not in repr(again)  # neither rows nor logits

    def test_one_of_protocol_2_loses_its_answers_to_predictable_probes(self) -> None:
        former = {
            "public_key": "key",
            "issued_at": "2025",
            "commitment": "0" * 64,
            "probe_seed": "5" * 64,
            "answers": [[1.0, 2.0]],
            "tolerance": 1e-3,
            "sessions": {"block": "x" * 43},
        }
        pin = Pin.from_json(json.dumps(former))
        assert (pin.public_key, pin.issued_at, pin.commitment) == ("key", "2025", "0" * 64)
        assert (pin.lines, pin.sessions) == ([], {})  # a session named no key

    @pytest.mark.parametrize("text", ["", "[]", "{}x", '{"lines": [{}]}', '{"of a later version": 1}', "7"])
    def test_no_pin(self, text: str) -> None:
        with pytest.raises(ValueError):
            Pin.from_json(text)
