"""Our recognizers beside Presidio's own: importing them changes nothing for a host that uses both."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from presidio_analyzer import EntityRecognizer, RecognizerRegistry

from lexveil.flows.runners.pool import WorkerPool
from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.recognizers.base import LABELED, Finding, RuleRecognizer
from tests.deadlines import HANGS_AFTER

AS_A_WORKER = """
from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio
keep_model_libraries_out_of_presidio()
"""
IMPORT_ALL = """
import importlib, pkgutil, sys
import lexveil.nlp.recognizers as package
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"{package.__name__}.{module.name}")
"""


def start(script: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=HANGS_AFTER)
    assert process.returncode == 0, err
    return out.strip()


def classes_of(kind: type) -> set[type]:
    return {kind}.union(*(classes_of(sub) for sub in kind.__subclasses__()))


def is_ours(kind: type) -> bool:
    return kind.__module__.startswith("lexveil.")


def test_importing_every_recognizer_leaves_spacy_its_torch() -> None:
    # transformers has no part in it, and takes longest to import.
    without_transformers = "import sys\nsys.modules['transformers'] = None\n"
    ask = "import thinc.compat\nprint(thinc.compat.has_torch)"
    assert output(start(without_transformers + IMPORT_ALL + ask)) == "True"


def test_a_worker_imports_presidio_without_torch_and_can_import_torch_later() -> None:
    ask = """
from importlib.util import find_spec
heavy = {"torch", "transformers", "spacy"} & set(sys.modules)
print("presidio_analyzer" in sys.modules, heavy, bool(find_spec("torch")))
"""
    assert output(start(AS_A_WORKER + IMPORT_ALL + ask)) == "True set() True"


def test_patterns_are_checked_again_once_presidio_is_imported() -> None:
    ask = """
from presidio_analyzer import Pattern
from presidio_analyzer.predefined_recognizers import IbanRecognizer
print(len(IbanRecognizer().analyze("IBAN DE89370400440532013000", ["IBAN_CODE"])))
try:
    Pattern("open", "(", 0.5)
except ValueError:
    print("refused")
"""
    assert output(start(AS_A_WORKER + ask)).split() == ["1", "refused"]


def test_spacy_is_there_as_soon_as_it_is_used() -> None:
    ask = """
from presidio_analyzer.nlp_engine import spacy_nlp_engine
print("spacy" in sys.modules, spacy_nlp_engine.spacy.__name__, spacy_nlp_engine.spacy.blank("en")("a b")[1])
import spacy
print(spacy.tokens.Doc.__module__)
"""
    assert output(start(AS_A_WORKER + IMPORT_ALL + ask)).split() == [
        "False", "spacy", "b", "spacy.tokens.doc",
    ]  # fmt: skip


def test_a_presidio_that_calls_spacy_when_it_is_imported_gets_it() -> None:
    script = """
import sys
from lexveil.nlp.recognizers import presidio_import
presidio_import._StandInClass = None  # as if a stand-in did not do
presidio_import.keep_model_libraries_out_of_presidio()
from presidio_analyzer import EntityRecognizer
from presidio_analyzer.nlp_engine import nlp_artifacts
print(nlp_artifacts.Doc.__module__, "torch" in sys.modules, EntityRecognizer.__module__)
"""
    assert output(start(script)) == "spacy.tokens.doc False presidio_analyzer.entity_recognizer"


def test_presidio_makes_its_own_recognizers_after_ours_are_imported() -> None:
    ask = """
from presidio_analyzer import RecognizerRegistry
registry = RecognizerRegistry()
registry.load_predefined_recognizers()
modules = [type(recognizer).__module__ for recognizer in registry.recognizers]
print(len(modules) > 10, any(module.startswith("lexveil") for module in modules))
"""
    script = AS_A_WORKER + IMPORT_ALL + ask
    for process in [start(script, PYTHONHASHSEED=seed) for seed in ("0", "1", "2")]:
        assert output(process) == "True False"


def test_no_recognizer_is_named_like_one_of_presidio() -> None:
    Detector.load("rules")  # imports all of ours
    RecognizerRegistry().load_predefined_recognizers()
    kinds = classes_of(EntityRecognizer)
    ours = {kind.__name__ for kind in kinds if is_ours(kind)}
    theirs = {kind.__name__ for kind in kinds if not is_ours(kind)}
    assert len(ours) > 25
    assert not ours & theirs


@pytest.mark.parametrize("heavy", ["presidio_analyzer", "spacy", "torch", "lexveil.nlp.recognizers"])
def test_citations_need_no_recognizer(heavy: str) -> None:
    script = f"import sys\nfrom lexveil.nlp.citations import citations\nprint({heavy!r} in sys.modules)"
    assert output(start(script)) == "False"


class MatterNumber(RuleRecognizer):
    TYPES = ("CASE_NUMBER", "DATE")

    def find(self, text: str):
        yield Finding(0, 4, "CASE_NUMBER", LABELED)
        yield Finding(5, 9, "DATE", LABELED)


def test_a_rule_is_a_presidio_recognizer() -> None:
    recognizer = MatterNumber(supported_language="de")
    assert recognizer.supported_entities == ["CASE_NUMBER", "DATE"]
    assert recognizer.supported_language == "de"
    (result,) = recognizer.analyze("M-17 2020", ["DATE"])
    assert (result.start, result.end, result.entity_type, result.score) == (5, 9, "DATE", LABELED)
    assert result.recognition_metadata["recognizer_name"] == "MatterNumber"


def test_spans_record_the_names_that_recognizers_have_always_had() -> None:
    text = "Call Ms Ann Roe on +44 20 7946 0018 or write to a.roe@mail.example.org of Roe Holdings Ltd."
    names = {span.type: span.recognizer for span in Detector.load("rules").detect(text)}
    assert names == {
        "PERSON": "PersonRecognizer",
        "PHONE": "PhoneRecognizer",
        "EMAIL": "EmailRecognizer",
        "ORGANIZATION": "OrganisationRecognizer",
    }


def test_a_worker_that_reads_and_masks_imports_presidio_without_torch() -> None:
    modules = ["nlp.recognizers.engine", *(f"pipeline.stages.{name}" for name in ("ingest", "find", "mask"))]
    question = (
        f"[__import__(f'lexveil.{{name}}') for name in {modules}] and "
        "[name in __import__('sys').modules for name in ('presidio_analyzer', 'torch', 'spacy')]"
    )
    with WorkerPool(1) as pool:
        assert list(pool.ordered(eval, [question])) == [[True, False, False]]
