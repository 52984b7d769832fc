"""Records of stages: what they count, what they write, and what no repr shows."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.pipeline.records import (
    CountKind,
    Document,
    Manifest,
    Shard,
    ShardResult,
    SourceDocument,
    count_names,
    format_moment,
    now,
    run_one_by_one,
)


def result(index: int, rows: int = 1, **counts: int) -> ShardResult:
    return ShardResult(
        index, f"key{index}", rows, "digest", {name.replace("__", ":"): n for name, n in counts.items()}
    )


class TestCounts:
    @pytest.mark.parametrize(
        ("kind", "name", "key"),
        [
            (CountKind.QUARANTINE, "missing_text", "quarantine:missing_text"),
            (CountKind.SPAN, "PERSON", "span:PERSON"),
            (CountKind.VERDICT, "PASS", "verdict:PASS"),
            (CountKind.REASON, "language", "reason:language"),
        ],
    )
    def test_keys_are_those_of_existing_workspaces(self, kind: CountKind, name: str, key: str) -> None:
        assert kind.key(name) == key
        assert type(kind.key(name)) is str
        assert json.dumps({kind.key(name): 1}) == json.dumps({key: 1})

    def test_a_kind_selects_its_own_counts_sorted(self) -> None:
        counts = {"spans": 5, "span:PERSON": 3, "span:DATE": 2, "verdict:PASS": 1, "spanner": 9}
        assert list(CountKind.SPAN.select(counts).items()) == [("DATE", 2), ("PERSON", 3)]
        assert CountKind.REASON.select(counts) == {}

    def test_names_may_have_colons(self) -> None:
        key = CountKind.REASON.key("a:b")
        assert CountKind.REASON.select({key: 1}) == {"a:b": 1}

    @given(st.sampled_from(CountKind), st.dictionaries(st.text(), st.integers(0), max_size=5))
    def test_what_was_put_in_is_selected(self, kind: CountKind, counts: dict[str, int]) -> None:
        others = {
            other.key(name): n for other in CountKind if other is not kind for name, n in counts.items()
        }
        assert kind.select({kind.key(name): n for name, n in counts.items()} | others) == counts

    def test_a_manifest_sums_over_shards(self) -> None:
        first, second = result(0, 2, documents=2, span__DATE=1), result(1, 3, documents=3, verdict__PASS=3)
        manifest = Manifest("mask", (first, second), more={"forgotten": 1, "documents": 10})
        assert manifest.rows == 5
        assert manifest.counts() == {"forgotten": 1, "documents": 15, "span:DATE": 1, "verdict:PASS": 3}
        assert (manifest.total("documents"), manifest.total("duplicates")) == (15, 0)

    def test_summing_changes_nothing(self) -> None:
        manifest = Manifest("mask", (result(0, documents=2),), more={"documents": 1})
        assert manifest.counts() == manifest.counts()
        assert manifest.more == {"documents": 1}

    def test_names_are_counted(self) -> None:
        assert count_names(iter("abcab")) == {"a": 2, "b": 2, "c": 1}
        assert type(count_names([])) is dict


class TestJson:
    def test_a_result_comes_back(self) -> None:
        before = result(3, 7, documents=7, quarantine__empty=1)
        assert ShardResult.from_json(json.loads(json.dumps(before.to_json()))) == before

    def test_the_fields_are_those_of_existing_workspaces(self) -> None:
        assert list(result(0).to_json()) == ["index", "key", "rows", "digest", "counts"]

    def test_counts_are_written_in_their_order(self) -> None:
        written = json.dumps(ShardResult(0, "k", 1, "d", {"b": 1, "a": 2}).to_json())
        assert written.endswith('"counts": {"b": 1, "a": 2}}')


class TestRun:
    def test_one_by_one_is_in_order_and_lazy(self) -> None:
        done: list[int] = []

        def work(shard: Shard) -> ShardResult:
            done.append(shard.index)
            return result(shard.index)

        results = run_one_by_one("stage", work, [Shard(index, "key") for index in (2, 0, 1)])
        assert done == []
        assert next(results).index == 2
        assert done == [2]
        assert [entry.index for entry in results] == [0, 1]


class TestTimes:
    def test_now_is_utc(self) -> None:
        assert abs(datetime.fromisoformat(now()) - datetime.now(UTC)) < timedelta(minutes=1)
        assert now().endswith("+00:00")

    @given(st.lists(st.floats(1e9, 4e9), min_size=2, max_size=2, unique_by=lambda at: round(at, 5)))
    def test_moments_are_ordered_as_text(self, moments: list[float]) -> None:
        early, late = sorted(moments)
        assert format_moment(early) <= format_moment(late)
        assert len(format_moment(early)) == len(format_moment(late))


def test_no_repr_shows_text_or_names() -> None:
    source = SourceDocument("Canary text", "Canary id", ("Canary owner",), "Canary label", item="Canary item")
    document = Document("0a", "0b", "Canary label", None, "Canary text")
    assert "Canary" not in repr([source, document])
    assert pickle.loads(pickle.dumps(document)) == document
