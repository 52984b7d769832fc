"""The heads that an endpoint serves: the newest, and earlier ones while their clients' sessions last.

A client acts on a manifest, and names its digest in every request. So a session is never answered by another
head than its client believes, and a client whose head is gone gets the instruction to read the manifest
again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from lexveil.pipeline.errors import UserError
from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.evaluation import EvaluationBackend, WorkersUnavailableError
from lexveil.pipeline.serving.server.offers import Listed, Offer, OfferSource
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.pipeline.serving.server.worker import Evaluators
from lexveil.privacy.he import probes, served_model
from lexveil.privacy.he.evaluate import Evaluator
from lexveil.privacy.he.layout import rotation_steps
from lexveil.privacy.he.served_model import ServedModel

log = logging.getLogger("lexveil.serving")

HIDES = ("the features and the result, from the server (Ring-LWE, 128 bits)",)
SEALED_HIDES = (
    "what a reply holds of the weights beside the logits, from a client that follows the protocol (masked, "
    "flooded, under fresh randomness)",
)
FAST_DOES_NOT_HIDE = ("partial sums of the weights between the outputs, from the client",)
DOES_NOT_HIDE = (
    "how many ciphertexts a client sends, and when",
    "the head, from a client that asks often: a linear head of d features is recovered from d+1 answers",
    "the secret key, from whoever is given decrypted logits: hand on labels only (IND-CPA-D)",
    "a wrong answer: a client's probes find a server with another head, not every wrong answer",
)
_RETRY_SECONDS = 2


class NoModelError(RefusalError):
    """There is no model that may be served, or it is being loaded."""

    def __init__(self) -> None:
        super().__init__(503, "no_model", "no model is served at the moment: try again later", _RETRY_SECONDS)


class ManifestOutdatedError(RefusalError):
    """The manifest that the client acts on is no longer that of a served head."""

    def __init__(self) -> None:
        super().__init__(409, "outdated", "another model is served now: read the manifest again")


@dataclass(frozen=True, slots=True)
class LayoutLimits:
    """Limits of requests of one layout.

    Attributes:
        most: number of ciphertexts in a request.
        keys_bytes: bytes of a body with evaluation keys.
        request_bytes: bytes of a body with ciphertexts.
        slots: document slots of a ciphertext.
        divergence: KL divergence of the answer to a ciphertext from one that holds only the logits; 0 if
            nothing is promised.
    """

    most: int
    keys_bytes: int
    request_bytes: int
    slots: int
    divergence: float

    @classmethod
    def of_evaluator(cls, evaluator: Evaluator, most: int) -> LayoutLimits:
        """Return the limits of an evaluator's layout."""
        keys = wire.max_bundle_bytes(1, evaluator.max_keys_bytes)
        request = wire.max_bundle_bytes(most, evaluator.max_ciphertext_bytes)
        slots = evaluator.parameters.documents_per_ciphertext
        return cls(most, keys, request, slots, evaluator.divergence)


@dataclass(frozen=True, slots=True)
class ServedHead:
    """A head with its manifest.

    Attributes:
        listed: its entry in the listing.
        offer: what it was built from.
        key: what sessions are bound to: the offer, and the parameters that keys are made for.
        manifest: its manifest.
        signed: the same, signed.
        digest: by which clients name the manifest.
        layouts: limits of each layout.
        file_sizes: bytes of each file that clients may download.
    """

    listed: Listed
    offer: Offer = field(repr=False)
    key: str
    manifest: wire.ServerManifest = field(repr=False)
    signed: wire.SignedManifest = field(repr=False)
    digest: str
    layouts: Mapping[str, LayoutLimits]
    file_sizes: Mapping[str, int]

    @property
    def largest(self) -> int:
        """Document slots of the largest request."""
        return max(layout.most * layout.slots for layout in self.layouts.values())

    @property
    def longest(self) -> int:
        """Bytes of the longest body or file."""
        bodies = (max(layout.keys_bytes, layout.request_bytes) for layout in self.layouts.values())
        return max(*bodies, *self.file_sizes.values(), 0)

    @property
    def extractor_dir(self) -> Path | None:
        """Folder of the files that clients may download."""
        return self.offer.extractor_dir

    def name_evaluator(self, layout: str) -> str:
        """Return the name by which workers know the evaluator of a layout."""
        return f"{self.key}/{layout}"


def serve_head(listed: Listed, offer: Offer, state: ServerState, most: int, seconds: int) -> ServedHead:
    """Build what the server needs of a head.

    Args:
        listed: entry of the offer.
        offer: the offer.
        state: the endpoint's state, which signs the manifest.
        most: ciphertexts of the `block` layout in a request. One of the `slot` layout holds thousands of
            documents, so a request holds one.
        seconds: lifetime of a session.

    Raises:
        ValueError: the labels do not fit the head, or the head cannot be served (`ShapeRefusedError`,
            `HeadRefusedError`).
    """
    if len(set(offer.labels)) != len(offer.labels) or len(offer.labels) != offer.model.head.n_classes:
        raise ValueError("labels must differ from one another, one for each class")
    evaluators: Evaluators = served_model.build_evaluators(offer.model)
    manifest = _build_manifest(listed, offer, state, evaluators, {"block": most, "slot": 1}, seconds)
    signed = wire.SignedManifest.sign(manifest, state.signing_key)
    layouts = {
        name: LayoutLimits.of_evaluator(evaluators[name], layout.ciphertexts_per_request)
        for name, layout in manifest.layouts.items()
    }
    key = _digest_head(listed, manifest)
    folder = offer.extractor_dir
    sizes = {name: (folder / name).stat().st_size for name in manifest.extractor} if folder else {}
    digest = wire.name_manifest(signed.manifest)
    return ServedHead(listed, offer, key, manifest, signed, digest, layouts, sizes)


def build_all_evaluators(models: Mapping[str, ServedModel]) -> Evaluators:
    """Build the evaluators of several heads, by `ServedHead.name_evaluator`, in a worker."""
    return {
        f"{key}/{packing}": evaluator
        for key, model in models.items()
        for packing, evaluator in served_model.build_evaluators(model).items()
    }


class HeadWatcher(Protocol):
    """Receives the events of heads: one became the newest, one is no longer served."""

    async def end_head(self, key: str) -> None:
        """End what is bound to a head that is no longer served.

        Raises:
            RefusalError: it cannot be ended now.
        """
        ...

    async def record_head(self, head: ServedHead | None) -> None:
        """Record which head is the newest from now on; None: there is none.

        Raises:
            UserError: it cannot be recorded now.
            RefusalError: the same.
        """
        ...


class Heads:
    """The served heads, kept as their source lists them.

    Args:
        source: where they come from.
        build: builds a served head from its entry and offer.
        evaluation: has the evaluators.
        watcher: ends the sessions of a head with it, and records which is the newest.
        seconds: how long an earlier head is kept: the lifetime of a session.
    """

    def __init__(
        self,
        source: OfferSource,
        build: Callable[[Listed, Offer], ServedHead],
        evaluation: EvaluationBackend,
        watcher: HeadWatcher,
        seconds: int,
    ) -> None:
        self._source, self._build, self._evaluation = source, build, evaluation
        self._watcher, self._seconds = watcher, seconds
        self._recorded: str | None = None
        self._served: tuple[ServedHead, ...] = ()
        self._built: dict[Listed, ServedHead] = {}
        self._failed: set[Listed] = set()
        self._complete = False
        self._ending: set[str] = set()  # keys of heads whose sessions are yet to be ended

    @property
    def current(self) -> ServedHead:
        """The newest head.

        Raises:
            NoModelError: there is none at the moment.
        """
        if not self._served:
            raise NoModelError
        return self._served[0]

    @property
    def ready(self) -> bool:
        """True if there is a head."""
        return bool(self._served)

    def find_by_manifest(self, digest: str | None) -> ServedHead:
        """Return the head that a client means by the digest of its manifest; None means the newest.

        Raises:
            NoModelError: it may be one that is being loaded.
            ManifestOutdatedError: it is no longer served.
        """
        if digest is None:
            return self.current
        for head in self._served:
            if head.digest == digest:
                return head
        if not self._complete:
            raise NoModelError
        raise ManifestOutdatedError

    def find_by_key(self, key: str) -> ServedHead | None:
        """Return the head that a session is bound to, if it is served.

        Raises:
            NoModelError: it may be one that is being loaded.
        """
        for head in self._served:
            if head.key == key:
                return head
        if not self._complete:
            raise NoModelError
        return None

    def prepare(self) -> tuple[Listed, ...]:
        """Load and build what the source lists; this blocks.

        Raises:
            OSError: the source cannot be read at the moment.
            ValueError: an offer is damaged, or cannot be served.
        """
        listed = _drop_ended(self._source.list(), self._seconds)
        for one in listed:
            if one not in self._built:
                self._built[one] = self._build(one, self._source.load(one))
        self._built = {one: self._built[one] for one in listed}
        return listed

    async def refresh(self) -> None:
        """Serve what the source lists now. Heads that it no longer lists are dropped first, at once.

        New ones are served once workers have them. What cannot be loaded is logged, and tried again at the
        next call; meanwhile the newest that could be loaded is served.
        """
        listed = await anyio.to_thread.run_sync(self._list)
        if listed is None:
            return
        gone = [head for head in self._served if head.listed not in listed]
        self._served = tuple(head for head in self._served if head.listed in listed)
        awaited = set(listed) - {head.listed for head in self._served} - self._failed
        self._complete = self._complete and not awaited
        kept = {head.key for head in self._served}
        wanted = await anyio.to_thread.run_sync(self._load, listed)
        # The same offer may have become the newest again: then its sessions go on.
        self._ending |= {head.key for head in gone} - kept
        self._ending -= {head.key for head in wanted}
        await self._end_heads()
        if gone or wanted != self._served:
            await self._switch(wanted)
        self._complete = self._served == wanted
        await self._record()

    async def _end_heads(self) -> None:
        for key in sorted(self._ending):
            try:
                await self._watcher.end_head(key)
            except RefusalError:
                log.error("the sessions of a model that is gone could not be ended; it is tried again")
                return
            self._ending.discard(key)

    async def _record(self) -> None:
        newest = self._served[0] if self._served else None
        key = "" if newest is None else newest.key
        if key == self._recorded or (newest is None and self._recorded is None):
            return
        try:
            await self._watcher.record_head(newest)
        except (UserError, RefusalError):
            log.error("the model that is served could not be recorded; it is tried again")
            return
        self._recorded = key

    async def _switch(self, wanted: tuple[ServedHead, ...]) -> None:
        models = {head.key: head.offer.model for head in wanted}
        try:
            await self._evaluation.replace(
                functools.partial(build_all_evaluators, models) if models else None
            )
        except WorkersUnavailableError:
            log.exception("the new model has no workers yet")
            return
        if wanted[:1] != self._served[:1] and wanted:
            log.info("model", extra={"fields": {"model": wanted[0].offer.name, "offer": wanted[0].listed.id}})
        if not wanted:
            log.warning("no model may be served")
        self._served = wanted

    def _list(self) -> tuple[Listed, ...] | None:
        try:
            return _drop_ended(self._source.list(), self._seconds)
        except (OSError, ValueError):
            log.exception("the listing of models cannot be read; what is served stays")
            return None

    def _load(self, listed: tuple[Listed, ...]) -> tuple[ServedHead, ...]:
        built: dict[Listed, ServedHead] = {}
        for one in listed:
            try:
                built[one] = self._built.get(one) or self._build(one, self._source.load(one))
            except (OSError, ValueError, KeyError, TypeError):
                if one not in self._failed:
                    log.exception("a model cannot be loaded", extra={"fields": {"offer": one.id}})
        self._failed = set(listed) - set(built)
        self._built = built
        return tuple(built.values())


def _drop_ended(listed: tuple[Listed, ...], seconds: int) -> tuple[Listed, ...]:
    """Drop the earlier heads whose last session has ended: none can begin once there is a newer head."""
    oldest = datetime.now(UTC) - timedelta(seconds=seconds)
    ended = [datetime.fromisoformat(newer.since) < oldest for newer in listed[:-1]]
    return listed[:1] + tuple(one for one, over in zip(listed[1:], ended, strict=True) if not over)


def _build_manifest(
    listed: Listed,
    offer: Offer,
    state: ServerState,
    evaluators: Evaluators,
    most: Mapping[str, int],
    seconds: int,
) -> wire.ServerManifest:
    sealed = offer.model.profile == "sealed"
    folder = offer.extractor_dir
    files = [] if folder is None else [name for name in wire.EXTRACTOR_FILES if (folder / name).is_file()]
    commitment = state.commit_to_weights(served_model.weights_digest(offer.model.head))
    return wire.ServerManifest(
        protocol=wire.PROTOCOL,
        model=offer.name,
        labels=list(offer.labels),
        extractor={name: _digest_file(folder / name) for name in files} if folder else {},
        profile=offer.model.profile,
        hides=[*HIDES, *(SEALED_HIDES if sealed else ())],
        does_not_hide=[*DOES_NOT_HIDE, *(() if sealed else FAST_DOES_NOT_HIDE)],
        layouts={name: _describe_layout(evaluator, most[name]) for name, evaluator in evaluators.items()},
        issued_at=listed.since,
        weights_commitment=commitment,
        session_seconds=max(1, seconds),
        probes=_build_probes(offer, commitment, evaluators),
    )


def _build_probes(offer: Offer, seed: str, evaluators: Evaluators) -> wire.Probes:
    # The seed changes with the weights only: a restart reveals no further answers.
    bound = max(evaluator.error_bound(1.0) for evaluator in evaluators.values())
    answers = probes.known_answers(offer.model.head, seed, bound)
    return wire.Probes(seed=seed, answers=answers, rounding=probes.rounding_error(bound))


def _describe_layout(evaluator: Evaluator, most: int) -> wire.Layout:
    parameters = evaluator.parameters
    return wire.Layout(
        parameters=json.loads(parameters.to_json()),
        reason=parameters.reason,
        steps=list(rotation_steps(parameters)),
        feature_norm=evaluator.feature_norm,
        error_floor=evaluator.error_floor,
        error_slope=evaluator.error_slope,
        ciphertexts_per_request=most,
    )


def _digest_head(listed: Listed, manifest: wire.ServerManifest) -> str:
    """Digest what sessions are bound to: the offer, and the parameters that keys are made for."""
    parameters = {name: layout.parameters for name, layout in manifest.layouts.items()}
    content = json.dumps([listed.id, manifest.weights_commitment, parameters], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
