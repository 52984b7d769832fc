"""Decisions: what they do to spans, and which files of them are taken in."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.nlp.text import Span
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.decisions import (
    Decision,
    Verdict,
    compute_decisions_digests,
    compute_text_digests,
    load_decisions,
    remove_review,
    review_folder,
    store_decisions,
)
from lexveil.pipeline.masking.reviewed_spans import apply_decisions
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.workspace import Workspace

TEXT = "Mr Bond met Ada Roe. Bond left; Ada\nRoe stayed in Bond Street. 王小明 and 王小明们, Bonds and bond."


def at(string: str, nth: int = 0) -> tuple[int, int]:
    return [match.span() for match in re.finditer(re.escape(string), TEXT)][nth]


def found(string: str, nth: int = 0, kind: str = "PERSON") -> Span:
    return Span(*at(string, nth), kind, 0.8, "X")


def decide(string: str, verdict: Verdict, nth: int = 0, kind: str = "PERSON") -> Decision:
    return Decision(*at(string, nth), kind, verdict)


def masked(spans: list[Span], *decisions: Decision) -> list[tuple[str, int, str]]:
    return [(TEXT[s.start : s.end], s.start, s.type) for s in apply_decisions(spans, decisions, TEXT)]


def test_without_decisions_nothing_changes() -> None:
    spans = [found("Bond"), found("Roe")]
    assert apply_decisions(spans, [], TEXT) == spans


def test_a_rejected_string_is_readable_everywhere() -> None:
    spans = [found("Bond"), found("Ada Roe"), found("Bond", 1), found("Bond Street", 0, "LOCATION")]
    assert masked(spans, decide("Bond", "reject")) == [
        ("Ada Roe", at("Ada Roe")[0], "PERSON"),
        ("Bond Street", at("Bond Street")[0], "LOCATION"),
    ]


def test_unless_another_decision_says_that_it_is_personal() -> None:
    spans = [found("Bond"), found("Bond", 1), found("Bond", 2)]
    kept = masked(spans, decide("Bond", "reject"), decide("Bond", "accept", 1))
    assert [start for _, start, _ in kept] == [at("Bond", 1)[0], at("Bond", 2)[0]]


def test_what_lies_within_a_rejected_stretch_goes_too() -> None:
    assert masked([found("Bond", 2)], decide("Bond Street", "reject", 0, "LOCATION")) == []


def test_an_accepted_span_stays_whatever_the_detector_finds() -> None:
    (span,) = apply_decisions([], [decide("Ada Roe", "accept")], TEXT)
    assert (span.start, span.end, span.score, span.recognizer) == (*at("Ada Roe"), 1.0, "Reviewer")
    (kept,) = apply_decisions([found("Ada Roe")], [decide("Ada Roe", "accept", 0, "ORGANIZATION")], TEXT)
    assert (kept.type, kept.score, kept.recognizer) == ("ORGANIZATION", 0.8, "X")


def test_an_added_string_is_masked_everywhere_as_whole_words() -> None:
    assert [start for _, start, _ in masked([], decide("Ada Roe", "add"))] == [
        at("Ada Roe")[0],
        at("Ada\nRoe")[0],
    ]
    assert [start for _, start, _ in masked([], decide("Bond", "add"))] == [
        at("Bond", n)[0] for n in range(3)
    ]
    # Chinese writes no space between words.
    assert [start for _, start, _ in masked([], decide("王小明", "add"))] == [
        at("王小明")[0],
        at("王小明", 1)[0],
    ]
    assert len(masked([], decide("Mr", "add"))) == 1


def test_an_added_string_spares_what_was_rejected() -> None:
    kept = masked([], decide("Bond", "add"), decide("Bond Street", "reject", 0, "LOCATION"))
    assert [start for _, start, _ in kept] == [at("Bond")[0], at("Bond", 1)[0]]


def test_overlaps_become_one_span_of_the_reviewers_type() -> None:
    spans = [found("met Ada", 0, "ORGANIZATION"), found("Roe. Bond", 0, "MISC")]
    assert masked(spans, decide("Ada Roe", "accept")) == [
        ("met Ada Roe. Bond", at("met Ada")[0], "PERSON"),
    ]


_PLACES = st.tuples(st.integers(0, len(TEXT) - 1), st.integers(1, 12)).map(
    lambda pair: (pair[0], min(len(TEXT), sum(pair)))
)


@given(
    st.lists(_PLACES, max_size=6),
    st.lists(st.tuples(_PLACES, st.sampled_from(["accept", "reject", "add"])), max_size=6),
)
def test_spans_are_sorted_apart_and_upheld(
    places: list[tuple[int, int]], decided: list[tuple[tuple[int, int], Verdict]]
) -> None:
    spans: list[Span] = []
    for start, end in sorted(places):
        if not spans or start >= spans[-1].end:
            spans.append(Span(start, end, "PERSON", 0.5, "X"))
    decisions = [Decision(start, end, "DATE", verdict) for (start, end), verdict in dict(decided).items()]
    result = apply_decisions(spans, decisions, TEXT)
    last = 0
    for span in result:
        assert last <= span.start < span.end <= len(TEXT)
        last = span.end
    for decision in decisions:
        if decision.verdict != "reject":
            assert any(s.start <= decision.start and decision.end <= s.end for s in result)


class TestFiles:
    @pytest.fixture
    def workspace(self, tmp_path: Path, write_jsonl: Callable[..., Path]) -> Workspace:
        """Ingested documents, not masked."""
        workspace = Workspace.create_or_open(tmp_path / "workspace")
        ingest(
            workspace.with_settings(Settings()),
            [write_jsonl([{"id": n, "text": f"{n} {TEXT}"} for n in range(3)])],
        )
        return workspace

    @pytest.fixture
    def document(self, workspace: Any) -> Any:
        row = workspace.with_settings(Settings()).catalogue.read().to_pylist()[0]
        (document,) = read_raw(workspace.with_settings(Settings()), row["shard"], [row["doc_id"]])
        return document

    @pytest.fixture
    def write(self, workspace: Any, document: Any, tmp_path: Path) -> Callable[..., Path]:
        (digest,) = compute_text_digests(workspace.with_settings(Settings()), [document.text])
        entry = {"start": 0, "end": 4, "type": "PERSON", "verdict": "accept"}

        def write(name: str = "decisions-a.json", entries: Any = (entry,), **changes: Any) -> Path:
            content = {"doc_id": document.doc_id, "digest": digest, "decisions": list(entries), **changes}
            path = tmp_path / "files" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content))
            return path

        return write

    def test_kept_replaced_and_forgotten(
        self, workspace: Any, document: Any, write: Callable[..., Path]
    ) -> None:
        settings = Settings()
        assert load_decisions(workspace.with_settings(settings), [document]) == {}
        assert store_decisions(workspace.with_settings(settings), write()) == 1
        assert load_decisions(workspace.with_settings(settings), [document]) == {
            document.doc_id: (Decision(0, 4, "PERSON", "accept"),)
        }
        (file,) = review_folder(workspace).iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        before = compute_decisions_digests(workspace)
        entries = [{"start": 5, "end": 9, "type": "DATE", "verdict": "add"}]
        assert store_decisions(workspace.with_settings(settings), write(entries=entries).parent) == 1
        assert compute_decisions_digests(workspace).keys() == before.keys()
        assert compute_decisions_digests(workspace) != before
        store_decisions(workspace.with_settings(settings), write(entries=[]))
        assert compute_decisions_digests(workspace) == {}
        store_decisions(workspace.with_settings(settings), write())
        assert remove_review(workspace, document.doc_id) == 1
        assert load_decisions(workspace.with_settings(settings), [document]) == {}

    def test_decisions_about_another_text_are_left_alone(
        self, workspace: Any, document: Any, write: Callable[..., Path]
    ) -> None:
        from dataclasses import replace

        store_decisions(workspace.with_settings(Settings()), write())
        changed = replace(document, text=f" {document.text}")
        assert load_decisions(workspace.with_settings(Settings()), [changed]) == {}

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"doc_id": "0" * 32}, "no such document"),
            ({"doc_id": "../../x"}, "doc_id"),
            ({"digest": "0" * 32}, "is not the reviewed one"),
            ({"text": "Quill"}, "text"),
            ({"entries": [{"start": 0, "end": 10**9, "type": "PERSON", "verdict": "add"}]}, "outside"),
            ({"entries": [{"start": 4, "end": 4, "type": "PERSON", "verdict": "add"}]}, "outside"),
            ({"entries": [{"start": 0, "end": 4, "type": "NAME", "verdict": "add"}]}, "decisions.0.type"),
            ({"entries": [{"start": 0, "end": 4, "type": "PERSON", "verdict": "no"}]}, "decisions.0.verdict"),
            (
                {"entries": [{"start": 0, "end": 4, "type": "DATE", "verdict": "add"}] * 2},
                "repeats a decision",
            ),
        ],
        ids=lambda value: None if isinstance(value, str) else "-".join(value),
    )
    def test_a_file_that_does_not_fit_changes_nothing(
        self, workspace: Any, write: Callable[..., Path], changes: dict[str, Any], says: str
    ) -> None:
        sound = write()
        wrong = write("decisions-b.json", **changes)
        if "doc_id" not in changes:
            sound.unlink()
        with pytest.raises(SourceError) as refused:
            store_decisions(workspace.with_settings(Settings()), wrong.parent)
        assert says in str(refused.value)
        assert "\n" not in str(refused.value)
        assert not review_folder(workspace).exists()

    def test_files_that_are_none(self, workspace: Any, tmp_path: Path, write: Callable[..., Path]) -> None:
        (tmp_path / "x.json").write_text("{")
        (tmp_path / "empty").mkdir()
        for name, says in (("x.json", "x.json"), ("empty", "no decisions"), ("none", "no file or folder")):
            with pytest.raises(SourceError, match=says):
                store_decisions(workspace.with_settings(Settings()), tmp_path / name)
        write()
        with pytest.raises(SourceError, match="another file"):
            store_decisions(workspace.with_settings(Settings()), write("decisions-b.json").parent)
