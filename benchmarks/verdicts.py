"""How well the verdict shows which documents still name somebody.

Documents whose names are known are masked with each preset. A leak is a document in which a word of a name,
or a direct identifier, stays readable that no role keeps. Printed are the share of the leaks with verdict
PASS, and the share of REVIEW among the documents without any leak. Documents in unsupported languages always
get REVIEW and are counted separately.

Probes: the frames of `benchmarks/gold`, each a document by itself; documents of `fixtures`; and, where
`../shared` lies beside the repository, judgments of TAB, sentences of German courts (development part),
Chinese judgments labeled for development, and the field cases. A third of the English frames gets names
made of syllables, which stand in no list: so many of the names in TAB's judgments are in none either.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chinese import frames as chinese_frames
from benchmarks.contract import Figure, Outcome, run
from benchmarks.frames import FRAMES, fill, make_documents, read_frames
from lexveil.nlp.entity_types import DIRECT_TYPES
from lexveil.nlp.evaluation.gold import GoldDocument, read_gold
from lexveil.nlp.masking.anonymize import CheckedText
from lexveil.nlp.masking.policy import Policy, Preset, decide_action
from lexveil.nlp.text import Span
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings

SHARED = Path(__file__).resolve().parents[2] / "shared"
PRESETS: tuple[Preset, ...] = ("balanced", "strict", "court-publication")
# Names of people who come before courts that write English.
ENGLISH = {
    "in": ("en_IN", "en_IN", "en_PK"),
    "uk": ("en_GB", "en_NG", "pl_PL", "tr_TR", "en_IN"),
    "us": ("en_US", "es_MX", "vi_VN", "yo_NG", "it_IT"),
}
COPIES = 4
_WORD = re.compile(r"[^\W\d_]{2,}|\d{2,}")
_NO_NAMES = frozenset("van de der von den la du le zu el al bin da dos di del Mr Mrs Ms Dr Prof".split())  # noqa: SIM905
_ONSETS = (
    "b",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "z",
    "br",
    "dr",
    "kh",
    "sh",
    "tr",
)
_CLOSING = "The court has considered the matter and reserved its decision on costs."


@dataclass(frozen=True, slots=True)
class Probe:
    """A text and the ranges in it that identify somebody."""

    group: str
    text: str
    names: tuple[tuple[int, int, str], ...]
    presets: tuple[Preset, ...] = PRESETS


def list_probes(seed: int) -> Iterator[Probe]:
    """Yield all probes."""
    yield from _english(seed)
    for language, frames in read_frames().items():
        for document in make_documents(language, frames, seed):
            yield Probe(f"frames {language}", document.text, _people(document.names))
    for kind, written in chinese_frames("held-out").items():
        for document in written[::4]:
            yield Probe(f"frames zh {kind}", document.text, _people(document.names))
    yield from _fixtures(seed)
    if SHARED.is_dir():
        yield from _real()


def _english(seed: int) -> Iterator[Probe]:
    """Yield each English frame by itself, so that nothing is propagated."""
    from faker import Faker

    lines = (FRAMES / "frames_en.txt").read_text(encoding="utf-8").splitlines()
    rng = random.Random(seed)
    pools: dict[str, Any] = {}
    for line in lines * COPIES:
        kind, found, frame = line.partition(": ")
        if not found or line.startswith("#"):
            continue
        locales = ENGLISH.get(kind) or tuple({locale for group in ENGLISH.values() for locale in group})
        locale = rng.choice(sorted(locales))
        if locale not in pools:
            pools[locale] = Faker(locale)
            pools[locale].seed_instance(seed + zlib.crc32(locale.encode()))
        document = fill([frame], lambda slot, fake=pools[locale]: _draw(fake, slot, rng))
        text = document.text.lower() if kind == "chat" else document.text + _CLOSING
        names = () if kind == "clean" else document.names
        yield Probe(f"frames en {kind}", text, _people(names))


def _draw(fake: Any, slot: str, rng: random.Random) -> str:
    invent = rng.random() < 1 / 3
    first, last = (_invent(rng), _invent(rng)) if invent else (fake.first_name(), fake.last_name())
    forms = {"n": f"{first} {last}", "s": last, "f": first, "l": f"{last}, {first}"}
    return forms.get(slot) or f"{first[0]}. {fake.first_name()[0]}. {last}"


def _invent(rng: random.Random) -> str:
    syllables = (rng.choice(_ONSETS) + rng.choice("aeiou") for _ in range(rng.choice((2, 2, 3))))
    return ("".join(syllables) + rng.choice(("", "n", "r", "l", "s", "m"))).title()


def _fixtures(seed: int) -> Iterator[Probe]:
    from fixtures.documents import documents

    for one in documents(80, 1000 + seed):
        names = tuple((s.start, s.end, s.type) for s in one.spans if s.type in DIRECT_TYPES)
        yield Probe(f"fixtures {one.lang}", one.text, names)


def _real() -> Iterator[Probe]:
    corpora = SHARED / "corpora"
    for document in read_gold(corpora / "tab" / "echr_traindev113.json"):
        yield Probe("tab", document.text, _direct(document))
    for document in read_gold(corpora / "german_ler" / "data.jsonl.zst")[:400]:
        yield Probe("german_ler", document.text, _direct(document))
    from benchmarks.chinese import load_judgments

    for one in load_judgments("development"):
        names = tuple(mention for mention in one.mentions if mention[2] in DIRECT_TYPES)
        yield Probe("judgments zh", one.text, names)
    for line in (SHARED / "cases" / "masking.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        names = tuple(
            (*m.span(), "PERSON")
            for one in case["must_mask"]
            if not any(word.islower() for word in one.split()) or one.islower()
            for m in re.finditer(rf"(?<!\w){re.escape(one)}", case["text"])
        )
        yield Probe("field cases", case["text"], names, tuple(case["presets"]))


def _direct(document: GoldDocument) -> tuple[tuple[int, int, str], ...]:
    return tuple(
        (s.start, s.end, s.type)
        for s in document.annotations[0]
        if s.identifier == "DIRECT" or (s.type == "PERSON" and s.identifier == "QUASI")
    )


def _people(names: Sequence[tuple[int, int]]) -> tuple[tuple[int, int, str], ...]:
    return tuple((start, end, "PERSON") for start, end in names)


def find_leaks(probe: Probe, checked: CheckedText, policy: Policy) -> list[tuple[int, int]]:
    """Return the words of the probe's names that stay readable, without those that the policy keeps.

    A word in lower case that belongs to a name with capitals identifies nobody: "van het", "da", "auch".
    """
    hidden = bytearray(len(probe.text))
    for r in checked.masked.replacements:
        hidden[r.source_start : r.source_end] = b"\1" * (r.source_end - r.source_start)
    for kept in checked.masked.kept:
        if kept.span.type == "PERSON":  # by role
            hidden[kept.span.start : kept.span.end] = b"\1" * (kept.span.end - kept.span.start)
    return [
        word.span()
        for start, end, kind in probe.names
        if decide_action(policy, Span(start, end, kind, 1.0, "")) != "keep"
        for word in _WORD.finditer(probe.text, start, end)
        if word.group() not in _NO_NAMES
        and not (word.group().islower() and not probe.text[start:end].islower())
        and not all(hidden[word.start() : word.end()])
    ]


def measure(arguments: argparse.Namespace) -> Outcome:
    """Mask the probes with each preset, and compare the verdicts with what is left."""
    probes = list(list_probes(arguments.seed))
    leaks: Counter[str] = Counter()
    clean: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    groups: dict[str, Counter[str]] = {}
    seconds = 0.0
    for preset in PRESETS:
        settings = MaskSettings(preset=preset, detector=arguments.detector)
        chosen = [probe for probe in probes if preset in probe.presets]
        start = time.process_time()
        results = mask_texts([probe.text for probe in chosen], settings, b"k" * 32)
        seconds += time.process_time() - start
        for probe, checked in zip(chosen, results, strict=True):
            leaked = find_leaks(probe, checked, settings.policy)
            if (
                arguments.show
                and (checked.verdict == "PASS") == bool(leaked)
                and "language" not in checked.reasons
            ):
                around = [probe.text[max(0, a - 60) : b + 30] for a, b in leaked[:3]] or checked.text[:300]
                print(preset, probe.group, dict(checked.reasons), repr(around))
            kind = "leaks" if leaked else "unserved" if "language" in checked.reasons else "clean"
            groups.setdefault(probe.group, Counter()).update([kind, f"{kind} {checked.verdict}"])
            (leaks if leaked else clean)[checked.verdict if kind != "unserved" else "unserved"] += 1
            if kind == "clean":
                reasons.update(checked.reasons.keys())
    served = clean.total() - clean["unserved"]
    figures = {
        "leaks with PASS": Figure(leaks["PASS"] / leaks.total(), 0.10, "share", "lower"),
        "clean with REVIEW": Figure(1 - clean["PASS"] / served, 0.05, "share", "lower"),
        "CPU-seconds": Figure(seconds, None, "s", "lower"),
    }
    n = {"leaks": leaks.total(), "clean": served, "clean, unserved": clean["unserved"]}
    return Outcome(figures, n, (arguments.seed,), {"groups": groups, "reasons of clean": reasons})


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detector", default="default")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--show", action="store_true", help="print the documents with a wrong verdict")


if __name__ == "__main__":
    run(__doc__, measure, _options)
