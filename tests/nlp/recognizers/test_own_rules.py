"""Recognizers that an office adds: classes by module, file and entry point, and files of Presidio."""

from __future__ import annotations

import sys
from pathlib import Path

import presidio_analyzer
import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.recognizers.own_rules import OwnRules, OwnRulesError, compute_rules_digest
from lexveil.nlp.recognizers.scores import RESERVED

CLASS = """
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult

class Matter(PatternRecognizer):
    def __init__(self):
        super().__init__(supported_entity="MATTER", patterns=[Pattern("m", r"M-\\d{4}", 0.9)])

class Wrong(EntityRecognizer):
    def __init__(self):
        super().__init__(["PERSON"])
    def load(self): pass
    def analyze(self, text, entities, nlp_artifacts=None):
        return [RecognizerResult("PERSON", 0, len(text) + 1, 1.0)]

class Named(Matter):
    def __init__(self):
        super().__init__()
        self.name = "AllowList"

class Unannounced(Wrong):
    def analyze(self, text, entities, nlp_artifacts=None):
        return [RecognizerResult("MATTER", 0, 1, 1.0)]

class NeedsMore(Matter):
    def __init__(self, more):
        super().__init__()

NOT_A_CLASS = 5
"""
STAFF = r"""
recognizers:
  - name: Staff numbers
    supported_entity: ID_NUMBER
    patterns: [{name: staff, regex: '\bP\d{5}\b', score: 0.2}]
    context: [staff]
"""
TYPES = (("MATTER", "CASE_NUMBER"),)
GERMAN = "Die Akte M-1234 wurde dem Gericht in der Sache nicht vorgelegt und ist mit dem Urteil verbunden."


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with an entry point."""
    (tmp_path / "officerules").mkdir()
    (tmp_path / "officerules" / "__init__.py").touch()
    (tmp_path / "officerules" / "matter.py").write_text(CLASS)
    info = tmp_path / "officerules-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: officerules\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[lexveil.recognizers]\nmatter = officerules.matter:Matter\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("officerules")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def detect(rules: OwnRules, text: str, language: str | None = None) -> list[tuple[str, str, str]]:
    (found,) = Detector(own=rules).detect_many([text], language)
    return [(text[s.start : s.end], s.type, s.recognizer) for s in found.spans]


@pytest.mark.parametrize("name", ["officerules.matter:Matter", "matter", "FILE:Matter"])
@pytest.mark.parametrize("text", ["See M-1234 there.", GERMAN, "\u6848\u53f7\uff1aM-1234\u3002"])
def test_a_class_reads_every_language(package: Path, name: str, text: str) -> None:
    name = name.replace("FILE", str(package / "officerules" / "matter.py"))
    assert ("M-1234", "CASE_NUMBER", "Matter") in detect(OwnRules((name,), types=TYPES), text)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.at_all:Matter", "no such module"),
        ("officerules.none:Matter", "no such module"),
        ("none.py:Matter", "no such module"),
        ("officerules.matter:None_", "no EntityRecognizer"),
        ("officerules.matter:NOT_A_CLASS", "no EntityRecognizer"),
        ("officerules.matter:NeedsMore", "cannot be created"),
        ("officerules.matter:Matter", "MATTER is not a type"),
        ("none", "no installed package"),
        ("officerules.matter:Named", "itself uses the name AllowList"),
    ],
)
@pytest.mark.usefixtures("package")
def test_what_cannot_be_loaded_is_one_line(name: str, says: str) -> None:
    with pytest.raises(OwnRulesError, match=says) as raised:
        Detector(own=OwnRules((name,), types=() if "MATTER" in says else TYPES))
    assert str(raised.value).startswith(f"recognizers: {name}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("package")
def test_a_finding_outside_of_the_text_is_refused() -> None:
    with pytest.raises(OwnRulesError, match="Wrong finds something outside"):
        detect(OwnRules(("officerules.matter:Wrong",)), "A text.")


@pytest.mark.usefixtures("package")
def test_a_finding_of_an_unannounced_type_counts_or_is_refused() -> None:
    name = "officerules.matter:Unannounced"
    assert ("M", "CASE_NUMBER", "Unannounced") in detect(OwnRules((name,), types=TYPES), "M is a text.")
    with pytest.raises(OwnRulesError, match="Unannounced finds a type that is neither") as raised:
        detect(OwnRules((name,)), "M is a text.")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_names_that_decide_about_a_span_are_reserved_in_files_too(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.yaml").write_text(STAFF.replace("Staff numbers", name))
    with pytest.raises(OwnRulesError, match=f"itself uses the name {name}"):
        Detector(own=OwnRules(files=(str(tmp_path / "a.yaml"),)))


def test_a_file_of_presidio_with_its_words_of_context(tmp_path: Path) -> None:
    (tmp_path / "staff.yaml").write_text(STAFF)
    rules = OwnRules(files=(str(tmp_path / "staff.yaml"),))
    assert detect(rules, "The staff number P12345 was named.") == [("P12345", "ID_NUMBER", "Staff numbers")]
    assert detect(rules, "The building P12345 was named.") == []
    assert detect(rules, "Die Nummer von staff ist P12345 und sie wurde nicht genannt.", "de") != []


@pytest.mark.parametrize("name", ["example_recognizers.yaml", "default_recognizers.yaml"])
def test_the_files_that_presidio_ships_are_read(name: str) -> None:
    file = Path(presidio_analyzer.__file__).parent / "conf" / name
    text = "Miss Roe has a card, 4012888888881881."
    assert ("4012888888881881", "ACCOUNT_NUMBER") in [
        one[:2] for one in detect(OwnRules(files=(str(file),)), text)
    ]


@pytest.mark.parametrize(
    "content",
    [
        "recognizers: 5", "[]", "a: [", "", "recognizers: [{name: x}]",
        "recognizers: [{name: x, supported_entity: PERSON, patterns: [{name: p, regex: '(', score: 1}]}]",
        "recognizers: [{name: NoSuchRecognizer, type: predefined}]",
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(OwnRulesError, match=r"recognizer_files: .*a\.yaml: ") as raised:
        Detector(own=OwnRules(files=(str(tmp_path / "a.yaml"),)))
    assert "\n" not in str(raised.value)
    with pytest.raises(OwnRulesError, match="cannot be read"):
        Detector(own=OwnRules(files=(str(tmp_path / "none.yaml"),)))


def test_the_digest_follows_code_files_and_lists(package: Path) -> None:
    (package / "staff.yaml").write_text(STAFF)
    rules = OwnRules(("officerules.matter:Matter", "matter"), (str(package / "staff.yaml"),), TYPES)
    digests = [compute_rules_digest(rules)]
    assert compute_rules_digest(rules) == digests[0]
    with (package / "officerules" / "__init__.py").open("a") as helper:
        helper.write("X = 1\n")
    digests.append(compute_rules_digest(rules))
    with (package / "staff.yaml").open("a") as file:
        file.write("# changed\n")
    digests.append(compute_rules_digest(rules))
    digests.append(compute_rules_digest(OwnRules(rules.recognizers, rules.files, TYPES, allow=("Roe",))))
    assert len(set(digests)) == 4
    assert "officerules.matter" not in sys.modules  # it is not run for its digest
