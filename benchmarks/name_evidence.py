"""The weights of evidence for missed names: their training, and what they find.

A name that no detector saw is simulated: all names of a sentence but one, or but a part of one, are cut. A
logistic regression learns the signs of the words that are left against those of the readable capitalized
words of masked documents in which no other sign is doubted. Sentences: English frames of `benchmarks/gold`,
documents of `fixtures`, and where `../shared` lies beside the repository, judgments of TAB's development
part, whose names are replaced too, and beginnings of contracts. Half of the names put in are words of English
as well ("Weeks", "Grant"), since such are missed.

Printed are the share of the simulated misses that are told, and of the clean documents in which something is,
each by weights trained on the other half of the frames and documents; with `--show` also the weights of the
whole, which `lexveil.nlp.masking.name_evidence` holds.
"""

from __future__ import annotations

import argparse
import random
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.contract import Figure, Outcome, run
from benchmarks.frames import FRAMES, fill
from benchmarks.verdicts import ENGLISH, SHARED, list_probes
from lexveil.nlp.citations import citations
from lexveil.nlp.masking.folding import find_lower_words
from lexveil.nlp.masking.name_evidence import BIAS, THRESHOLD, WEIGHTS, collect_evidence
from lexveil.nlp.masking.readable_text import ReadableText
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.rare_words import is_english
from lexveil.nlp.text import CUT, NormalizedText
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings

COPIES = 24
NAMES_A_DOCUMENT = 12
CLOSING = "The court has considered the matter and reserved its decision on costs."
WEIGHT_OF_NAMES = 0.3
# Weights that change little are dropped.
LEAST_WEIGHT = 0.15
_WORD = re.compile(r"[^\W\d_][\w'’-]+")
_CLEAN = ("frames en clean", "fixtures en", "tab")
Signs = frozenset[str]


@dataclass(frozen=True, slots=True)
class Words:
    """Signs of the words of one sentence or document; `half` is 0 or 1."""

    group: str
    half: int
    words: tuple[Signs, ...]


class Names:
    """First names and surnames, those that are words of English apart."""

    def __init__(self, seed: int) -> None:
        """Read the lists of Faker for the countries of `benchmarks.verdicts`."""
        self._rng = random.Random(seed)
        self._pools: dict[tuple[str, bool], list[str]] = {}
        for locale in sorted({locale for group in ENGLISH.values() for locale in group}):
            provider = import_module(f"faker.providers.person.{locale}").Provider
            for kind in ("first", "last"):
                lists = (f"{kind}_names", f"{kind}_names_male", f"{kind}_names_female")
                for name in sorted({str(one) for key in lists for one in getattr(provider, key, ())}):
                    word = is_ordinary(name.casefold()) or is_english(name.casefold())
                    self._pools.setdefault((kind, word), []).append(name)

    def draw(self, slot: str) -> str:
        """Return a name for a slot of a frame."""
        first, last = (
            self._rng.choice(self._pools[kind, self._rng.random() < 0.5]) for kind in ("first", "last")
        )
        forms = {"n": f"{first} {last}", "s": last, "f": first, "l": f"{last}, {first}"}
        return forms.get(slot) or f"{first[0]}. {self._rng.choice('ABDEGJKLMNPRST')}. {last}"


def list_missed(seed: int) -> Iterator[Words]:
    """Yield simulated misses."""
    names, rng = Names(seed), random.Random(seed)
    lines = (FRAMES / "frames_en.txt").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        kind, found, frame = line.partition(": ")
        if not found or line.startswith("#") or kind in ("clean", "chat"):
            continue
        for _ in range(COPIES):
            document = fill([frame], names.draw)
            missed = rng.choice(document.names)
            yield _miss(f"frame {kind}", number % 2, document.text + CLOSING, missed, document.names, rng)
    for probe in list_probes(seed):
        if probe.group not in ("tab", "fixtures en"):
            continue
        people = [(start, end) for start, end, kind in probe.names if kind == "PERSON"]
        for missed in rng.sample(people, min(NAMES_A_DOCUMENT, len(people))):
            start = max(0, probe.text.rfind("\n", 0, max(0, missed[0] - 300)))
            text = probe.text[start : missed[1] + 500]
            inside = [(a - start, b - start) for a, b in people if start <= a and b <= missed[1] + 500]
            text, place, others = _rename(text, (missed[0] - start, missed[1] - start), inside, names)
            half = zlib.crc32(probe.text[:200].encode()) % 2
            yield _miss(probe.group, half, text, place, others, rng)


def _rename(
    text: str, place: tuple[int, int], people: Iterable[tuple[int, int]], names: Names
) -> tuple[str, tuple[int, int], list[tuple[int, int]]]:
    """Put another name at `place`."""
    several = len(_WORD.findall(text, *place)) > 1
    name = names.draw("n" if several else "s")
    shift = len(name) - (place[1] - place[0])
    moved = [(a, b) if b <= place[0] else (a + shift, b + shift) for a, b in people if (a, b) != place]
    text = text[: place[0]] + name + text[place[1] :]
    return text, (place[0], place[0] + len(name)), moved


def _miss(
    group: str,
    half: int,
    text: str,
    missed: tuple[int, int],
    names: Sequence[tuple[int, int]],
    rng: random.Random,
) -> Words:
    """Cut all names but the missed one, of which sometimes a part was found."""
    parts = [match.span() for match in _WORD.finditer(text, *missed)]
    cut = list(names)
    if len(parts) > 1 and rng.random() < 0.4:
        missed = rng.choice(parts)
        cut += parts
    start, end = missed
    before = _cut(text, 0, start, cut)
    shown = before + text[start:end] + _cut(text, end, len(text), cut)
    words = collect_evidence(shown, find_lower_words(shown))
    last = len(before) + end - start
    return Words(group, half, tuple(one.signs for one in words if len(before) <= one.start < last))


def _cut(text: str, start: int, end: int, names: Iterable[tuple[int, int]]) -> str:
    """Return a part of a text with `CUT` in place of the names in it."""
    pieces: list[str] = []
    for first, last in sorted(names):
        if start <= first and last <= end:
            pieces += (text[start:first], CUT)
            start = last
    return NormalizedText.of("".join((*pieces, text[start:end]))).text


def list_clean(seed: int) -> Iterator[Words]:
    """Yield the readable words of masked documents in which no other sign is doubted."""
    probes = [(probe.group, probe.text) for probe in list_probes(seed) if probe.group in _CLEAN]
    probes += (("contracts", text) for text in _read_contracts())
    settings = MaskSettings(preset="balanced", detector="light")
    checked = mask_texts([text for _, text in probes], settings, b"k" * 32)
    for number, ((group, text), one) in enumerate(zip(probes, checked, strict=True)):
        readable = ReadableText(one.masked)
        law = citations(text)
        found = collect_evidence(readable.normalized.text, find_lower_words(readable.remove_kept()))
        words: list[Signs] = []
        for word in found:
            start, end = readable.to_original(word.start, word.end)
            if not readable.is_kept(start, end, "") and not any(a < end and b > start for a, b in law):
                words.append(word.signs)
        if one.reasons.keys() <= {"likely", "repaired"}:  # what is trained here doubts nothing
            yield Words(group, number % 2, tuple(words))


def _read_contracts() -> Iterator[str]:
    import io
    import json

    import zstandard

    for corpus, most in (("cuad_contracts", 60), ("contraxsuite_contracts", 30)):
        path = SHARED / "corpora" / corpus / "data.jsonl.zst"
        if path.is_file():
            with path.open("rb") as file:
                lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
                yield from (
                    json.loads(line)["text"][:9000] for _, line in zip(range(most), lines, strict=False)
                )


@dataclass(frozen=True, slots=True)
class Weights:
    """Weight of each sign, and the sum at which a word is told."""

    signs: dict[str, float]
    bias: float
    threshold: float = THRESHOLD

    def tells(self, words: Iterable[Signs]) -> bool:
        """Return True if a word among these is told."""
        return any(self.bias + sum(self.signs.get(s, 0.0) for s in signs) > self.threshold for signs in words)


def train(missed: Sequence[Words], clean: Sequence[Words]) -> Weights:
    """Fit a logistic regression of the words of missed names against all others."""
    from sklearn.linear_model import LogisticRegression

    rows = [signs for group in (missed, clean) for one in group for signs in one.words]
    count = sum(len(one.words) for one in missed)
    names = sorted({sign for signs in rows for sign in signs})
    columns = {name: index for index, name in enumerate(names)}
    inputs = np.zeros((len(rows), len(names)), np.float32)
    for index, signs in enumerate(rows):
        inputs[index, [columns[sign] for sign in signs]] = 1
    labels = np.arange(len(rows)) < count
    model: Any = LogisticRegression(C=0.5, max_iter=1000)
    model.fit(inputs, labels, sample_weight=np.where(labels, WEIGHT_OF_NAMES, 1.0))
    pairs = [(name, round(float(weight), 2)) for name, weight in zip(names, model.coef_[0], strict=True)]
    return Weights({n: w for n, w in pairs if abs(w) >= LEAST_WEIGHT}, round(float(model.intercept_[0]), 2))


def measure(arguments: argparse.Namespace) -> Outcome:
    """Train on each half, and count on the other."""
    missed = list(list_missed(arguments.seed))
    clean = list(list_clean(arguments.seed))
    told: dict[str, list[bool]] = {}
    for half in (0, 1):
        weights = train([m for m in missed if m.half != half], [c for c in clean if c.half != half])
        for kind, group in (("missed", missed), ("clean", clean)):
            for one in group:
                if one.half == half:
                    told.setdefault(f"{kind}: {one.group}", []).append(weights.tells(one.words))
    whole = train(missed, clean)
    if arguments.show:
        for name, weight in sorted(whole.signs.items(), key=lambda one: -one[1]):
            print(f'    "{name}": {weight},')
        print(f"BIAS = {whole.bias}")
    shipped = Weights(dict(WEIGHTS), BIAS)
    told["missed, shipped weights"] = [shipped.tells(one.words) for one in missed]
    told["clean, shipped weights"] = [shipped.tells(one.words) for one in clean]
    figures = {
        name: Figure(sum(found) / len(found), None, "share", "higher" if "missed" in name else "lower")
        for name, found in sorted(told.items())
    }
    return Outcome(figures, {name: len(found) for name, found in sorted(told.items())}, (arguments.seed,))


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--show", action="store_true", help="print the weights")


if __name__ == "__main__":
    run(__doc__, measure, _options)
