"""Export of a workspace's model into a serving bundle, which holds what a server needs and nothing else.

The bundle follows the workspace: a new model is listed before the former one, and a model that an erasure has
marked, or whose folder is gone, is taken out at once.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable

from lexveil.nlp.encoders.storage import ModelLoadError, read_config, save_extractor
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.models.card import CARD, read_card
from lexveil.pipeline.models.heads import build_head
from lexveil.pipeline.models.loading import open_model
from lexveil.pipeline.models.saved import (
    ERASURES,
    MASKING,
    SavedModel,
    is_marked_by_erasure,
    list_models,
    translate_load_error,
)
from lexveil.pipeline.serving.server.offers import (
    FORMAT,
    MOST_OFFERS,
    Listed,
    OfferDraft,
    ServingBundle,
    tell_time,
)
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.he.served_model import (
    Head,
    HeadRefusedError,
    ServedModel,
    ShapeRefusedError,
    build_evaluators,
)

log = logging.getLogger(__name__)

_GUARANTEE = ("epsilon", "delta", "unit", "relation", "encoder_digest", "created", "statement")


def export_model(workspace: Workspace, name: str | None, bundle: ServingBundle) -> Listed:
    """Update a bundle: its newest offer becomes the model with a name, or the newest model of a kind.

    Models that an erasure has marked are never offered. Of a kind, the newest servable model is taken.

    Args:
        workspace: the workspace.
        name: name or kind of the model; None: the kind in the settings.
        bundle: the bundle.

    Returns:
        The entry of the newest offer.

    Raises:
        TrainingRefusedError: no model can be offered; then the bundle offers none.
        EndpointError: the bundle cannot be written.
    """
    with bundle.lock():
        try:
            listed = bundle.list()
        except ValueError:  # of another version, or damaged: all is written anew
            listed = ()
        standing = [one for one in listed if _stands(workspace, one)]
        if tuple(standing) != listed:
            bundle.write_listing(standing)  # first, because what follows takes long, or fails on a full disk
        try:
            newest, refusal = _offer_newest(workspace, name, bundle, standing), None
        except TrainingRefusedError as error:
            newest, refusal = None, error
        earlier = [one for one in standing if newest is not None and one.id != newest.id]
        wanted = [] if newest is None else [newest, *earlier][:MOST_OFFERS]
        if wanted != standing:
            bundle.write_listing(wanted)
    if newest is None:
        assert refusal is not None
        raise refusal
    return newest


class Follower:
    """Keeps a bundle up to date with a workspace. While nothing changes, a look costs a few `stat` calls.

    Args:
        workspace: the workspace.
        name: name or kind of the model; None: the kind in the settings.
        bundle: the bundle.
        announce: called with a line for people when the offered model changes.
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str | None,
        bundle: ServingBundle,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._workspace, self._name, self._bundle, self._announce = workspace, name, bundle, announce
        self._seen: object = None
        self._told = ""

    @property
    def remote(self) -> bool:
        """True if every look costs requests to an object store."""
        return self._workspace.remote

    def update(self) -> None:
        """Export if a model came, went or was marked since the last look.

        Raises:
            EndpointError: the bundle cannot be written. What it offered before, it still does: look again.
        """
        seen = _stamp_models(self._workspace)
        if seen == self._seen:
            return
        try:
            self._tell(f"model {export_model(self._workspace, self._name, self._bundle).model}")
        except TrainingRefusedError as error:
            self._tell(f"no model is served: {error}")
        self._seen = seen

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._announce(line)
        self._told = line


def _stamp_models(workspace: Workspace) -> object:
    """Return a value that changes when a model comes, goes or is marked."""
    if workspace.remote:
        return sorted(str(path) for name in (CARD, ERASURES) for path in workspace.models.glob(f"*/{name}"))
    paths = [path for name in (CARD, ERASURES) for path in workspace.models.glob(f"*/{name}")]
    return sorted((str(path), path.stat().st_mtime_ns) for path in paths)


def _stands(workspace: Workspace, listed: Listed) -> bool:
    folder = workspace.models / listed.model
    return bool(listed.model) and (folder / CARD).is_file() and not is_marked_by_erasure(folder)


def _offer_newest(
    workspace: Workspace, name: str | None, bundle: ServingBundle, standing: list[Listed]
) -> Listed:
    wanted = name or workspace.settings.train.model
    found = [model for model in list_models(workspace) if wanted in (model.name, model.kind)]
    if not found:
        raise TrainingRefusedError(f"this workspace has no model {wanted!r}; train one with `lexveil train`")
    left = [model for model in found if not is_marked_by_erasure(model.folder)]
    if not left:
        raise TrainingRefusedError(
            f"every model {wanted!r} was trained on documents that were erased; train a new one"
        )
    refusals: list[TrainingRefusedError] = []
    for model in reversed(left):
        try:
            return _offer(workspace, model, bundle, standing)
        except TrainingRefusedError as error:
            refusals.append(error)
            log.warning("a model cannot be served: %s", error)
    raise refusals[0]


def _offer(workspace: Workspace, saved: SavedModel, bundle: ServingBundle, standing: list[Listed]) -> Listed:
    """Return the entry of a model, whose files are written if the bundle lacks them."""
    profile = workspace.settings.encrypted.profile
    source = hashlib.sha256(json.dumps([FORMAT, saved.digest, profile]).encode()).hexdigest()
    if standing and standing[0].source == source:
        return standing[0]
    # Never before the former one: clients take an older manifest of other weights for an attack.
    since = max(tell_time(), *(one.since for one in standing), "")
    listed = Listed(f"{saved.name}-{source[:8]}", since, saved.name, source)
    if listed.id not in {one.id for one in standing}:
        _write(workspace, saved, bundle, listed.id)
    return listed


def _write(workspace: Workspace, saved: SavedModel, bundle: ServingBundle, offer_id: str) -> None:
    try:
        if read_config(saved.folder).objective == "multilabel":
            raise TrainingRefusedError(
                "the endpoint answers one label per document; this model predicts several labels"
            )
    except ModelLoadError as error:
        raise translate_load_error(error) from None
    model = open_model(saved.folder, workspace.settings)
    profile = workspace.settings.encrypted.profile
    head = _check_head(build_head(model), profile)
    card = read_card(saved.folder)
    guarantee = {name: card[name] for name in _GUARANTEE if name in card}
    draft = OfferDraft(saved.name, model.config.labels, profile, head, guarantee)
    with bundle.add_offer(draft, offer_id) as folder:
        save_extractor(model, folder)
        if (saved.folder / MASKING).is_file():
            (folder / MASKING).write_bytes((saved.folder / MASKING).read_bytes())


def _check_head(head: Head, profile: str) -> Head:
    try:
        build_evaluators(ServedModel(head, profile))  # pyright: ignore[reportArgumentType]
    except (HeadRefusedError, ShapeRefusedError) as error:
        raise TrainingRefusedError(f"this model's head cannot be served encrypted: {error}") from None
    return head
