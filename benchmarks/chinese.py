"""Chinese: rules alone, the lattice alone, and both, side by side.

The five kinds of personal information in criminal judgments are scored against labels made by reading.

Fifty judgments of `../shared/corpora/judge_zh_judgments` were read and labeled (`gold/judge_zh_50.json` says
what each kind means); 25 served development, 25 were held out. Telephone numbers are injected here, since the
published judgments hold none: in `PHONES_EACH` places of each document, drawn with a seed, in the written
forms of `phone_forms`. The whole detector runs as it does in the pipeline.

A mention counts as found when every character of it is covered by spans. Precision of a kind is the share of
the spans of its type that touch a mention of any kind; spans of places that are nobody's home (birthplaces,
scenes) count against ADDRESS, although a policy that masks places wants them.

Names are also looked for in sentences, headers of mails, tables and lists (`gold/frames_zh.txt`), each a
document by itself, with names that no detector was trained on: Chinese ones, those of minorities and of
foreigners, and Traditional characters. A name counts as found when all of it is covered. "law kept" is the
share of statutes, courts and offices in the frames that stay readable, "clean" the share of frames without a
person in which nothing is taken for one. Of the frames every other one is held out, like the judgments:
`--split` picks. "hostile" are texts whose form hides their names (`gold/hostile_zh.txt`): chats, poor scans,
broken lines, aliases, names in Latin letters, and names that are words.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contract import Figure, Outcome, run
from benchmarks.frames import Document, fill
from lexveil.nlp.text import NormalizedText, Span

SEED = 2026
PHONES_EACH = 4
TARGET = 0.99
KINDS: dict[str, tuple[str, ...]] = {
    "name": ("PERSON",),
    "age_or_birth_date": ("AGE", "BIRTH_DATE"),
    "family_member": ("FAMILY_MEMBER",),
    "home_address": ("ADDRESS",),
    "phone": ("PHONE",),
}
GOLD = Path(__file__).parent / "gold" / "judge_zh_50.json"
FRAMES_ZH = Path(__file__).parent / "gold" / "frames_zh.txt"
HOSTILE_ZH = Path(__file__).parent / "gold" / "hostile_zh.txt"
CORPUS = Path(__file__).parents[2] / "shared" / "corpora" / "judge_zh_judgments" / "data.jsonl.zst"

_WIDE = str.maketrans("0123456789-+()", "０１２３４５６７８９－＋（）")


@dataclass(frozen=True, slots=True)
class LabeledJudgment:
    """A judgment with phones injected; `mentions` are (start, end, type) of its text."""

    split: str
    text: str = field(repr=False)
    mentions: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one kind: mentions, those found, spans of the type, those that touch a mention."""

    mentions: int
    found: int
    spans: int
    right: int

    @property
    def recall(self) -> float:
        return self.found / self.mentions if self.mentions else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.spans if self.spans else 1.0


def phone_forms(rng: random.Random) -> Iterator[str]:
    """Return invented numbers in the forms that Chinese documents use."""
    while True:
        mobile = f"1{rng.choice('3456789')}{rng.choice('0123456789')}{rng.randrange(10**8):08d}"
        area = rng.choice(("010", "021", "0571", "0755", "0431"))
        digits = 7 if len(area) == 3 or rng.random() < 0.5 else 6
        line = f"{rng.randrange(2, 9)}{rng.randrange(10**digits):0{digits}d}"
        forms = (
            mobile,
            f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}",
            f"{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
            f"+86 {mobile}",
            f"+86-{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
            f"(+86){mobile}",
            f"{area}-{line}",
            f"{area}{line}",
            f"({area}){line}",
            f"{area} {line[:4]} {line[4:]}",
            mobile.translate(_WIDE),
            f"{area}-{line}".translate(_WIDE),
        )
        yield rng.choice(forms)


_PHONE_FRAMES = (
    "其电话{}，",
    "联系电话：{}，",
    "手机号码为{}，",
    "通过{}与其联系，",
    "拨打{}后，",
    "（电话{}）",
    "手机{}，",
)


def inject_phones(
    text: str, mentions: Sequence[tuple[int, int, str]], rng: random.Random
) -> tuple[str, list[tuple[int, int, str]]]:
    """`text` with phones behind commas and full stops outside of mentions, and the mentions moved along."""
    places = [
        m.end() for m in re.finditer("[，。](?=.)", text) if not any(s < m.end() < e for s, e, _ in mentions)
    ]
    chosen = sorted(rng.sample(places, min(PHONES_EACH, len(places))))
    numbers = phone_forms(rng)
    pieces: list[str] = []
    moved: list[tuple[int, int, str]] = []
    shift = last = 0
    starts = sorted(mentions)
    for place in (*chosen, len(text)):
        moved += [(s + shift, e + shift, kind) for s, e, kind in starts if last <= s < place]
        pieces.append(text[last:place])
        last = place
        if place == len(text):
            break
        before, after = rng.choice(_PHONE_FRAMES).split("{}")
        number = next(numbers)
        at = place + shift + len(before)
        moved.append((at, at + len(number), "PHONE"))
        pieces.append(before + number + after)
        shift += len(before + number + after)
    return "".join(pieces), moved


def load_judgments(split: str | None = None) -> list[LabeledJudgment]:
    """The gold with its texts, phones injected with `SEED`.

    Raises:
        FileNotFoundError: the corpus is not on this machine.
        ValueError: a record is not the one that was labeled.
    """
    import zstandard

    gold = json.loads(GOLD.read_text())["documents"]
    with CORPUS.open("rb") as packed:
        lines = zstandard.ZstdDecompressor().stream_reader(packed).read().decode().split("\n")
    texts = {record["id"]: record["text"] for record in (json.loads(line) for line in lines if line)}
    documents: list[LabeledJudgment] = []
    for number, entry in enumerate(gold):
        text = texts[entry["id"]]
        if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
            raise ValueError("a record is not the one that was labeled")
        mentions = [(int(s), int(e), str(kind)) for s, e, kind in entry["spans"]]
        text, moved = inject_phones(text, mentions, random.Random(SEED + number))
        if split in (None, entry["split"]):
            documents.append(LabeledJudgment(entry["split"], text, tuple(moved)))
    return documents


def tally(documents: Sequence[LabeledJudgment], found: Sequence[Sequence[Span]]) -> dict[str, Tally]:
    """Counts by kind over all documents."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    kind_of = {entity: kind for kind, types in KINDS.items() for entity in types}
    for document, spans in zip(documents, found, strict=True):
        masked = bytearray(len(document.text))
        wanted = bytearray(len(document.text))
        for span in spans:
            masked[span.start : span.end] = b"\x01" * (span.end - span.start)
        for start, end, entity in document.mentions:
            wanted[start:end] = b"\x01" * (end - start)
            counts[kind_of[entity]].update(mentions=1, found=int(all(masked[start:end])))
        for span in spans:
            if span.type in kind_of:
                counts[kind_of[span.type]].update(spans=1, right=int(any(wanted[span.start : span.end])))
    return {
        kind: Tally(count["mentions"], count["found"], count["spans"], count["right"])
        for kind, count in counts.items()
    }


SYSTEMS = ("rules", "lattice", "both")
COPIES = 8
Find = Callable[[Sequence[str]], Sequence[Sequence[Span]]]
Rates = dict[str, tuple[float, int]]  # share, and of how many


def frames(split: str) -> dict[str, list[Document]]:
    """The frames of a split by kind, each filled `COPIES` times."""
    from faker import Faker

    from lexveil.nlp.detector_training.chinese_names import ChineseNames

    rng, pool, taiwan = random.Random(SEED), ChineseNames(held_out=True), Faker("zh_TW")
    taiwan.seed_instance(SEED)
    kinds: dict[str, list[Document]] = {}
    for number, (kind, frame) in enumerate(_read_lines(FRAMES_ZH)):

        def draw(slot: str, kind: str = kind) -> str:
            if slot == "k":
                return pool.draw("shortened", rng)
            if kind == "traditional":
                return f"{taiwan.last_name()}{taiwan.first_name()}"
            return pool.draw(kind if kind in ("minority", "foreign") else "han", rng)

        if (number % 2 == 0) == (split == "development"):
            kinds.setdefault(kind, []).extend(fill([frame], draw) for _ in range(COPIES))
    return kinds | hostile(split)


def hostile(split: str) -> dict[str, list[Document]]:
    """The hostile texts of a split: those that name somebody, and the clean ones."""
    kinds: dict[str, list[Document]] = {"hostile": [], "hostile clean": []}
    for kind, marked in _read_lines(HOSTILE_ZH):
        if kind.startswith(split):
            document = Document()
            for index, piece in enumerate(re.split("[⟦⟧]", marked)):
                start, document.text = len(document.text), document.text + piece
                if index % 2:
                    document.names.append((start, len(document.text)))
            kinds["hostile clean" if kind.endswith("clean") else "hostile"].append(document)
    return kinds


def _read_lines(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            kind, _, text = line.partition(": ")
            yield kind, text.replace("\\n", "\n").replace("\\t", "\t")


def find_by(system: str) -> Find:
    """The spans that a system finds: the rules, the lattice without any rule, or both."""
    from lexveil.nlp.detection.detector import Detector
    from lexveil.nlp.taggers.lattice import LatticeTagger

    if system != "lattice":
        detector = Detector(LatticeTagger.load()) if system == "both" else Detector.load("rules")
        return lambda texts: [one.spans for one in detector.detect_many(texts)]
    tagger = LatticeTagger.load()

    def find(texts: Sequence[str]) -> list[list[Span]]:
        normalized = [NormalizedText.of(text) for text in texts]
        found = tagger.tag([one.text for one in normalized])
        return [
            [
                Span(*one.to_original(span.start, span.end), span.type, span.score, span.recognizer)
                for span in spans
            ]
            for one, spans in zip(normalized, found, strict=True)
        ]

    return find


def measure(arguments: argparse.Namespace) -> Outcome:
    """Detect in the chosen documents, in batches as the pipeline does."""
    finders = {system: find_by(system) for system in SYSTEMS}
    figures: dict[str, Figure] = {}
    n: dict[str, int] = {}
    seconds: dict[str, float] = dict.fromkeys(SYSTEMS, 0.0)
    characters = 0
    for split in ("development", "held-out") if arguments.split == "both" else (arguments.split,):
        documents = load_judgments(split) if CORPUS.is_file() else []
        probes = frames(split)
        texts = [document.text for document in documents]
        characters += sum(map(len, texts))
        rates: dict[str, Rates] = {}
        for system, find in finders.items():
            find(texts[:2])
            begin = time.process_time()
            found = find(texts)
            seconds[system] += time.process_time() - begin
            rates[system] = score_judgments(documents, found) | score_frames(probes, find)
        for name, (_, count) in rates["rules"].items():
            n[f"{split} {name}"] = count
            # The lattice knows names only.
            for system in SYSTEMS if name.startswith(("name", "frames", "law")) else ("rules", "both"):
                aimed = system == "both" and not ("precision" in name or "hostile" in name)
                target = TARGET if aimed else None
                share = rates[system][name][0]
                figures[f"{split} {name}, {system}"] = Figure(share, target, "share", "higher")
    for system in SYSTEMS if characters else ():
        speed = characters / 1000 / seconds[system]
        figures[f"speed, {system}"] = Figure(speed, None, "kchar/CPU-s", "higher")
    return Outcome(figures, n, (SEED,))


def score_judgments(documents: Sequence[LabeledJudgment], found: Sequence[Sequence[Span]]) -> Rates:
    """Recall and precision of each kind in the labeled judgments."""
    rates: Rates = {}
    for kind, count in tally(documents, found).items() if documents else ():
        rates[f"{kind} recall"] = count.recall, count.mentions
        rates[f"{kind} precision"] = count.precision, count.spans
    return rates


def score_frames(probes: Mapping[str, Sequence[Document]], find: Find) -> Rates:
    """Shares of names covered by kind of frame, of laws kept, and of frames without a person left alone."""
    rates: Rates = {}
    laws: list[bool] = []
    for kind, documents in probes.items():
        covered: list[bool] = []
        for document, spans in zip(documents, find([one.text for one in documents]), strict=True):
            masked = bytearray(len(document.text))
            for span in spans:
                masked[span.start : span.end] = b"\x01" * (span.end - span.start)
            covered += [
                all(
                    hidden or letter.isspace()
                    for hidden, letter in zip(masked[start:end], document.text[start:end], strict=True)
                )
                for start, end in document.names
            ]
            laws += [not any(masked[start:end]) for start, end in document.laws]
            if kind.endswith("clean"):
                covered.append(all(span.type != "PERSON" for span in spans))
        rates[f"frames {kind}"] = sum(covered) / len(covered), len(covered)
    rates["law kept"] = sum(laws) / len(laws), len(laws)
    return rates


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--split", choices=("development", "held-out", "both"), default="both")


if __name__ == "__main__":
    run(__doc__, measure, _options)
