"""Wrong labels that a lying server gives undetected, in 1,000 answers of each kind.

    python -m benchmarks.lying_server [--answers N]

A client, new each time, classifies `DOCUMENTS` documents by an honest server; then the server lies, and the
client classifies as many again (`fixtures.liars`: heads of 64 features, `sealed`, real encryption; documents
are random). `equal_sizes` is the lie of an audit, K (x_a^2 - x_b^2). `published` is another function of the
head's degree, which is zero at all probes that the server knows. `rare` differs from the head for one
document in twenty, so that few probes see it. Details: `caught` of `requests` lying requests were found out;
one that was not, and in which no label is wrong, did no harm.

`from_first_use_*` lies by `published` from the first request on. A client cannot find that out: it knows no
more of the head than the server tells it.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

import httpx
import numpy as np

from benchmarks.contract import Figure, Outcome, run
from fixtures import liars
from lexveil.pipeline.serving.client.channel import Channel
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier, ServingError
from lexveil.pipeline.serving.client.trust_store import ClientState
from lexveil.privacy.he.served_model import Head

SEED = 5
DOCUMENTS = 70
LIES: dict[str, liars.Lie] = {
    "equal_sizes": liars.lie_by_equal_sizes,
    "published": liars.lie_by_published_probes,
    "rare": liars.lie_about_rare_documents,
}


@dataclass(frozen=True, slots=True)
class Tally:
    """What a lying server got through.

    Attributes:
        answers: answers of lying requests.
        undetected: wrong labels in requests that passed.
        requests: lying requests.
        caught: those that were found out.
    """

    answers: int
    undetected: int
    requests: int
    caught: int


def attack(
    kind: str, lie: liars.Lie, answers: int, *, honest_first: bool = True, documents: int = DOCUMENTS
) -> Tally:
    """Let a server lie to new clients until it has given so many answers."""
    random = np.random.default_rng(SEED)
    head = liars.build_head(kind)
    server = liars.LyingServer(head, lie)
    try:
        requests = -(-answers // documents)
        passed = [_deceive(server, head, random, documents, honest_first) for _ in range(requests)]
    finally:
        server.close()
    wrong = sum(labels for labels in passed if labels is not None)
    return Tally(requests * documents, wrong, requests, passed.count(None))


def _deceive(
    server: liars.LyingServer, head: Head, random: np.random.Generator, documents: int, honest_first: bool
) -> int | None:
    """Return the number of wrong labels that a new client takes for right; None if it finds out."""
    http = httpx.Client(base_url="http://liar", transport=liars.Unclosed(server))
    with EncryptedClassifier(Channel(http), ClientState()) as client:
        server.lies = False
        if honest_first:
            client.classify(liars.draw_documents(random, documents))
        features = liars.draw_documents(random, documents)
        server.lies = True
        try:
            found = client.classify(features)
        except ServingError as error:
            if error.code != "dishonest":
                raise
            return None
    logits = head.logits(features)
    chosen = np.array([liars.LABELS.index(label) for label in found.labels])
    gap = logits.max(axis=1) - logits[np.arange(len(logits)), chosen]
    return int((gap > 2 * found.error_bound).sum())  # what is nearer is a tie within the stated error


def measure(arguments: argparse.Namespace) -> Outcome:
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    for kind in liars.KINDS:
        for name, lie in LIES.items():
            if kind == "linear" and name == "equal_sizes":
                continue  # a server of a linear head has no keys for squares
            tally = attack(kind, lie, arguments.answers)
            details[f"{name}_{kind}"] = asdict(tally)
            figures[f"{name}_{kind}"] = Figure(
                tally.undetected, None if name == "rare" else 0, "labels", "lower"
            )
        tally = attack(kind, LIES["published"], arguments.answers, honest_first=False)
        details[f"from_first_use_{kind}"] = asdict(tally)
        figures[f"from_first_use_{kind}"] = Figure(tally.undetected, None, "labels", "lower")
    return Outcome(figures, {"answers": arguments.answers, "documents": DOCUMENTS}, [SEED], details)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--answers", type=int, default=1000, help="of each lying server")


if __name__ == "__main__":
    run(__doc__, measure, _options)
