"""Offers of an endpoint: a head with its labels and extractor; and the folder from which servers load them.

A serving bundle is a folder that holds everything that a server needs, and nothing secret but the weights:

    listing.json               which offers stand, newest first, and since when
    <offer>/offer.json         name, labels, profile, statement of the guarantee, digest of each file
    <offer>/head.npz           the head's weights
    <offer>/extractor/         the files that clients may download

An offer's folder is written before the listing names it, and deleted after the listing no longer does.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.workspace.storage import write_bytes, write_json
from lexveil.privacy.files import sync_folder
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.parameters import Profile
from lexveil.privacy.he.served_model import Head, LinearHead, NetworkHead, ServedModel, weights_digest

FORMAT = 1
LISTING = "listing.json"
EXTRACTOR = "extractor"
_OFFER, _HEAD = "offer.json", "head.npz"
# The newest offer, and those before it, whose clients may go on until their sessions end.
MOST_OFFERS = 3


def tell_time() -> str:
    """Return the time, ISO 8601, UTC, as listings and manifests state it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Offer:
    """What an endpoint serves.

    Attributes:
        model: head and profile.
        labels: label of each class.
        name: name of the model.
        extractor_dir: folder with the files of `wire.EXTRACTOR_FILES`, which clients may download. Offer only
            an extractor trained under DP, or a public one.
    """

    model: ServedModel
    labels: Sequence[str]
    name: str = "linear"
    extractor_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of a listing.

    Attributes:
        id: id of the offer; its folder's name in a serving bundle.
        since: when it became the newest, ISO 8601, UTC.
        model: name of the model.
        source: digest of the files and settings that the offer was made from.
    """

    id: str
    since: str
    model: str = ""
    source: str = ""


class OfferSource(Protocol):
    """Where a server takes its offers from."""

    def list(self) -> tuple[Listed, ...]:
        """Return the valid offers, newest first.

        Raises:
            OSError: they cannot be read at the moment.
            ValueError: the listing is damaged.
        """
        ...

    def load(self, listed: Listed) -> Offer:
        """Return an offer.

        Raises:
            OSError: it cannot be read at the moment.
            ValueError: it is damaged.
        """
        ...


class FixedOffer:
    """A single offer that never changes."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._listed = (Listed(weights_digest(offer.model.head)[:16], tell_time(), offer.name),)

    def list(self) -> tuple[Listed, ...]:
        """Return the one entry."""
        return self._listed

    def load(self, listed: Listed) -> Offer:
        """Return the offer."""
        del listed
        return self._offer


class ServingBundle:
    """A serving bundle, to be read by servers, or written by the one process that may see the models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp: object = None
        self._listed: tuple[Listed, ...] = ()

    def list(self) -> tuple[Listed, ...]:
        """Return the valid offers, newest first; none if there is no listing.

        Raises:
            OSError: the listing cannot be read at the moment.
            ValueError: it is damaged, or of another version.
        """
        path = self.folder / LISTING
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp != self._stamp:
                self._listed, self._stamp = _parse_listing(path.read_bytes()), stamp
        except FileNotFoundError:
            self._listed, self._stamp = (), None
        return self._listed

    def load(self, listed: Listed) -> Offer:
        """Return an offer, whose files have the digests that `offer.json` states.

        Raises:
            OSError: it cannot be read at the moment.
            ValueError: it is damaged, or of another version.
        """
        folder = self.folder / listed.id
        told = json.loads((folder / _OFFER).read_bytes())
        if told["format"] != FORMAT:
            raise ValueError("an offer of another version")
        for name, digest in told["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise ValueError("a file of the offer is damaged")
        head = _decode_head((folder / _HEAD).read_bytes())
        return Offer(ServedModel(head, told["profile"]), told["labels"], told["name"], folder / EXTRACTOR)

    @contextmanager
    def lock(self) -> Generator[None, None, None]:
        """Keep other processes from writing this bundle meanwhile.

        Raises:
            EndpointError: the folder cannot be used.
        """
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            raise EndpointError("the folder of the serving bundle cannot be written") from None
        with os.fdopen(handle) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def write_listing(self, listed: Sequence[Listed]) -> None:
        """Replace the listing, and delete the folders that it no longer names. The caller holds the lock.

        Raises:
            OSError: it cannot be written. If an offer was to be removed, the listing is deleted: a full disk
                must not keep an erased model in service.
        """
        names = {one.id for one in listed}
        try:
            write_json(self.folder / LISTING, {"format": FORMAT, "offers": [asdict(one) for one in listed]})
        except OSError:
            with suppress(ValueError):
                if not {one.id for one in self.list()} <= names:
                    (self.folder / LISTING).unlink(missing_ok=True)
            raise
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in names:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def add_offer(self, draft: OfferDraft, offer_id: str) -> Generator[Path, None, None]:
        """Write an offer; the block writes the extractor into the folder that is yielded.

        The offer's folder appears complete or not at all. The caller holds the lock.
        """
        made = self.folder / f".{offer_id}.partial"
        shutil.rmtree(made, ignore_errors=True)
        (made / EXTRACTOR).mkdir(parents=True)
        yield made / EXTRACTOR
        write_bytes(made / _HEAD, _encode_head(draft.head))
        files = {
            str(path.relative_to(made)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(made.rglob("*"))
            if path.is_file()
        }
        told = {"name": draft.name, "labels": list(draft.labels), "profile": draft.profile}
        write_json(made / _OFFER, {"format": FORMAT, **told, "guarantee": draft.guarantee, "files": files})
        target = self.folder / offer_id
        shutil.rmtree(target, ignore_errors=True)  # of an export that was killed before it was listed
        made.replace(target)
        sync_folder(self.folder)


@dataclass(frozen=True, slots=True)
class OfferDraft:
    """What an offer's files are written from, beside the extractor.

    Attributes:
        name: name of the model.
        labels: label of each class.
        profile: profile of the encryption.
        head: the head.
        guarantee: what the model's card states of privacy: numbers and names of settings.
    """

    name: str
    labels: Sequence[str]
    profile: Profile
    head: Head = field(repr=False)
    guarantee: Mapping[str, Any]


def _parse_listing(content: bytes) -> tuple[Listed, ...]:
    told = json.loads(content)
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ValueError("a listing of another version")
    try:
        return tuple(Listed(**one) for one in told["offers"])[:MOST_OFFERS]
    except (KeyError, TypeError):
        raise ValueError("a damaged listing") from None


def _encode_head(head: Head) -> bytes:
    arrays = {str(place): array for place, array in enumerate(head.arrays())}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _decode_head(content: bytes) -> Head:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = [np.asarray(stored[str(place)], np.float64) for place in range(len(stored.files))]
    if len(arrays) == 2:
        return LinearHead(*arrays)
    first, first_bias, polynomial, last, last_bias = arrays
    *coefficients, low, high = (float(value) for value in polynomial)
    return NetworkHead(first, first_bias, Activation(tuple(coefficients), (low, high)), last, last_bias)
