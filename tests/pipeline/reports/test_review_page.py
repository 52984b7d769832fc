"""The review page in a real browser: what is pressed there comes out as decisions."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lxml import html

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.pipeline.masking.decisions import Decision
from lexveil.pipeline.records import Document
from lexveil.pipeline.reports.review_page import (
    KEYS,
    Reviewable,
    ReviewSpan,
    render_review,
    write_gold,
    write_reviews,
)
from tests.deadlines import wait_until

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.workspace import Workspace

# Letters beyond the basic plane before and inside of names: offsets count them as one, browsers as two.
TEXT = (
    "𝒜 Court\r\nMr Ada Quill met 𝒥o Venn.\n\nQuill & Sons paid. "
    "</script><b>Ada Quill</b> — Venn\u2028Roe left."
)
DOC_ID, DIGEST = "0123456789abcdef" * 2, "fedcba9876543210" * 2


def places(string: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(re.escape(string), TEXT)]


def reviewable(decisions: tuple[Decision, ...] = ()) -> Reviewable:
    (first, second), (jo,), (firm,) = places("Ada Quill"), places("𝒥o Venn"), places("Quill & Sons")
    spans = (
        ReviewSpan(*first, "PERSON", 0.99, "CrfRecognizer", "party", "0", "[PERSON_1]"),
        ReviewSpan(*jo, "PERSON", 0.4, "CrfRecognizer", "witness", "1", "[PERSON_2]"),
        ReviewSpan(*firm, "ORGANIZATION", 0.7, "Propagation", "company", "2", "[ORGANIZATION_1]"),
        ReviewSpan(*second, "PERSON", 0.7, "Propagation", "party", "0", "[PERSON_1]"),
    )
    return Reviewable(Document(DOC_ID, "owner", None, None, TEXT), spans, decisions, DIGEST)


class TestTheFile:
    def test_asks_nothing_of_the_network(self) -> None:
        written = render_review(reviewable())
        tree = html.fromstring(written)
        assert not tree.xpath("//link | //iframe | //img | //object | //embed | //base | //form[@action]")
        assert not tree.xpath("//@src | //@*[starts-with(name(), 'on')] | //@style")
        assert "http" not in re.sub(r'http-equiv="', "", written)
        (policy,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy

    def test_no_text_is_markup(self) -> None:
        tree = html.fromstring(render_review(reviewable()))
        assert len(tree.xpath("//script")) == 2
        assert not tree.xpath("//b")
        (data,) = tree.xpath("//script[@id='data']")
        assert json.loads(data.text)["text"] == TEXT

    def test_every_type_has_a_key_of_its_own(self) -> None:
        used = KEYS[: len(ENTITY_TYPES)]
        assert len(set(used)) == len(ENTITY_TYPES)
        assert not set(used) & set("jknarARue/?")

    def test_what_the_text_does_not_show_is_said_first(self) -> None:
        assert "bad redaction" not in render_review(reviewable())
        tree = html.fromstring(render_review(replace(reviewable(), notes={"covered_text": 2})))
        (warning,) = (p.text_content() for p in tree.xpath("//p[@class='warning']")[1:])
        assert "This file has a bad redaction" in warning
        assert "(2)" in warning

    def test_reprs_show_no_text(self) -> None:
        assert "Quill" not in repr(reviewable())


class Page:
    def __init__(self, browser: Any, folder: Path, shown: Reviewable) -> None:
        self.browser, self.folder = browser, folder
        path = folder / "page.html"
        path.write_text(render_review(shown), encoding="utf-8")
        browser.problems.clear()
        browser.open(path, folder)

    def press(self, *keys: str) -> None:
        self.browser.press(*keys)

    def select(self, string: str) -> None:
        self.browser.press("/")
        self.browser.send("Input.insertText", text=string)
        self.browser.press("Enter")

    def decisions(self) -> set[tuple[str, str, str]]:
        """What the exported file says: (string, type, verdict)."""
        found = self.export()
        assert set(found) == {"doc_id", "digest", "decisions"}
        assert (found["doc_id"], found["digest"]) == (DOC_ID, DIGEST)
        assert all(set(entry) == {"start", "end", "type", "verdict"} for entry in found["decisions"])
        return {(TEXT[d["start"] : d["end"]], d["type"], d["verdict"]) for d in found["decisions"]}

    def export(self) -> dict[str, Any]:
        file = self.folder / f"decisions-{DOC_ID}.json"
        file.unlink(missing_ok=True)
        self.press("e")
        wait_until(lambda: file.exists() and file.read_text(encoding="utf-8"))
        return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Page]:
    yield Page(browser, tmp_path, reviewable())
    assert browser.problems == []


class TestInTheBrowser:
    def test_the_text_stands_there_to_the_letter(self, page: Page) -> None:
        assert page.browser.ask("document.getElementById('text').textContent") == TEXT
        marked = page.browser.ask("[...document.querySelectorAll('#text mark')].map(m => m.textContent)")
        assert marked == ["Ada Quill", "𝒥o Venn", "Quill & Sons", "Ada Quill"]

    def test_accept_reject_and_undo(self, page: Page) -> None:
        page.press("j", "a", "r", "r", "u")
        assert page.decisions() == {("Ada Quill", "PERSON", "accept"), ("𝒥o Venn", "PERSON", "reject")}
        page.press("k", "r")
        assert ("𝒥o Venn", "PERSON", "reject") not in page.decisions()

    def test_all_mentions_at_once(self, page: Page) -> None:
        page.press("j", "A")
        found = page.export()["decisions"]
        assert [(d["start"], d["end"]) for d in found] == places("Ada Quill")

    def test_what_was_missed_is_added_and_taken_back(self, page: Page) -> None:
        page.select("roe")
        page.press("1")
        page.select("Court")
        page.press("6")
        assert page.decisions() == {("Roe", "PERSON", "add"), ("Court", ENTITY_TYPES[5], "add")}
        page.press("r")
        assert page.decisions() == {("Roe", "PERSON", "add")}
        page.press("u")
        assert len(page.decisions()) == 2

    def test_a_selection_over_marks_and_lines(self, page: Page) -> None:
        page.browser.ask(
            "(() => { const marks = document.querySelectorAll('#text mark');"
            "getSelection().setBaseAndExtent(marks[1].firstChild, 3, marks[2], 1); })()"
        )
        page.press("q")
        assert page.decisions() == {("Venn.\n\nQuill & Sons", ENTITY_TYPES[10], "add")}

    def test_another_type_is_an_accepted_span_of_that_type(self, page: Page) -> None:
        page.press("j", "j", "j", "1")
        assert page.decisions() == {("Quill & Sons", "PERSON", "accept")}

    def test_filters_by_type_and_score(self, page: Page) -> None:
        page.browser.ask("document.querySelector('[data-show=PERSON]').click()")
        page.press("j", "a")
        assert page.decisions() == {("Quill & Sons", "ORGANIZATION", "accept")}
        page.browser.ask("document.querySelector('[data-show=PERSON]').click()")
        page.browser.ask(
            "(() => { const most = document.getElementById('most'); most.value = 0.5;"
            "most.dispatchEvent(new Event('input')); })()"
        )
        page.press("k", "r")
        assert ("𝒥o Venn", "PERSON", "reject") in page.decisions()

    def test_earlier_decisions_are_there_again(self, browser: Any, tmp_path: Path) -> None:
        (roe,), (first, _) = places("Roe"), places("Ada Quill")
        (court,) = places("Court")
        earlier = (
            Decision(*first, "PERSON", "accept"),
            Decision(*roe, "PERSON", "add"),
            Decision(*court, "LOCATION", "reject"),
        )
        page = Page(browser, tmp_path, reviewable(earlier))
        assert page.decisions() == {
            ("Ada Quill", "PERSON", "accept"),
            ("Roe", "PERSON", "add"),
            ("Court", "LOCATION", "reject"),
        }

    def test_a_long_document_has_few_nodes_and_answers(self, browser: Any, tmp_path: Path) -> None:
        line = "The lessee Ada Quill shall pay the rent on the first day of every month to the lessor.\n"
        text = line * 12_000
        spans = tuple(
            ReviewSpan(
                n * len(line) + 11, n * len(line) + 20, "PERSON", 0.9, "X", "party", str(n), "[PERSON_1]"
            )
            for n in range(0, 12_000, 4)
        )
        long = Reviewable(Document(DOC_ID, "o", None, None, text), spans, (), DIGEST)
        page = Page(browser, tmp_path, long)
        page.press("k", "r")
        last = spans[-1]
        assert page.export()["decisions"] == [
            {"start": last.start, "end": last.end, "type": "PERSON", "verdict": "reject"}
        ]
        assert page.browser.ask("document.querySelectorAll('#text *').length") < 2 * len(spans)


def test_the_page_shows_where_the_second_pass_doubts(tmp_path: Path) -> None:
    from lexveil.pipeline.settings import Settings
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.workspace.workspace import Workspace

    source = tmp_path / "in" / "client"
    source.mkdir(parents=True)
    text = "The Court heard the parties on 4 May 2011. The bag belonged to Gerhard, it seems."
    (source / "a.txt").write_text(text, encoding="utf-8")
    settings = Settings.model_validate({"mask": {"detector": "rules"}})
    workspace = Workspace.create_or_open(tmp_path / "ws", settings)
    ingest(workspace, [source.parent])
    mask(workspace)
    _, page = write_reviews(workspace, [])
    (data,) = html.fromstring(page.read_text(encoding="utf-8")).xpath("//script[@id='data']")
    doubts = [span for span in json.loads(data.text)["spans"] if span[-1] == "doubt"]
    assert [text[start:end] for start, end, *_ in doubts] == ["Gerhard"]
    assert [span[4] for span in doubts] == ["words that look like a name"]


def test_pages_and_gold_lie_under_the_protected_root(masked: Workspace) -> None:
    from lexveil.pipeline.masking.decisions import store_decisions
    from lexveil.pipeline.settings import Settings

    settings = Settings()
    count = masked.with_settings(Settings()).catalogue.read().num_rows
    index, *paths = write_reviews(masked.with_settings(settings), [])
    links = html.fromstring(index.read_text(encoding="utf-8")).xpath("//@href")
    assert sorted(links) == sorted(path.name for path in paths)
    assert len(paths) == count
    assert {path.parent for path in paths} == {masked.protected / "review"}
    assert stat.S_IMODE(paths[0].parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    (data,) = html.fromstring(paths[0].read_text(encoding="utf-8")).xpath("//script[@id='data']")
    found = json.loads(data.text)
    start, end = found["spans"][0][:2]
    decided = {
        "doc_id": found["doc_id"],
        "digest": found["digest"],
        "decisions": [{"start": start, "end": end, "type": "PERSON", "verdict": "accept"}],
    }
    file = masked.root.parent / f"decisions-{found['doc_id']}.json"
    file.write_text(json.dumps(decided))
    assert store_decisions(masked.with_settings(settings), file) == 1
    result = write_gold(masked.with_settings(settings))
    path = Path(result["gold"])
    assert path.parent == masked.protected / "review"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    from lexveil.nlp.evaluation.gold import read_gold

    (document,) = read_gold(path)
    assert document.text == found["text"]
    assert len(document.annotations[0]) == result["spans"] == len(found["spans"])
