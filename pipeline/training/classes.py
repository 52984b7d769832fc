"""The classes of a model: those of the public list in the settings, or those that the documents have.

With a list, neither the classes nor the objective depend on a document. Without one, both are taken from the
documents, which DP does not cover. Names of classes stand in the model, so those that masking changes are
stored masked; the end of such a name is a keyed digest, by which the key holder finds the class again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from lexveil.nlp.encoders.config import Objective
from lexveil.pipeline.labels import encode_label, is_multilabel, parse_classes
from lexveil.pipeline.settings import TrainSettings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import content_id

OTHER = "other"
NO_LABELS = (
    "no document has a label, so the run stops after masking and charges nothing: name the field of the "
    "labels with --label-field, or train without labels with --objective denoise"
)
# Masks names, each by itself, and returns them in the same order.
MaskNames = Callable[[Sequence[str]], Sequence[str]]
_TAG_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a model, and how the labels of documents fit them.

    Attributes:
        names: names of the classes, in the order of a model's outputs; empty for the objective "denoise".
        objective: what the model learns.
        public: True if the settings list the classes.
        other: the class of everything that is not listed; None: such documents have no class.
        renamed: the name in the model of each class of the documents that has another one.
    """

    names: tuple[str, ...] = field(repr=False)
    objective: Objective
    public: bool
    other: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def fit(self, label: str | None) -> str | None:
        """Return a document's label in the names of the model; None: the document is not trained on.

        It depends on this document and the classes only. For "classify", a label of several classes is none
        of the listed ones.
        """
        if label is None or self.objective == "denoise":
            return label
        written = parse_classes(label)
        if not self.public:
            own = [self.renamed.get(name, name) for name in written]
            return encode_label(own) if is_multilabel(label) else own[0]
        if self.objective == "multilabel":
            own = [name if name in self.names else self.other for name in written]
            return encode_label(own) if any(own) or not written else None
        if len(written) == 1 and written[0] in self.names:
            return written[0]
        return self.other if written else None


def list_public_classes(train: TrainSettings) -> tuple[str, ...] | None:
    """Return the classes that the settings list, with "other" where they ask for it; None: they list none."""
    if train.labels is None:
        return None
    return tuple(sorted({*train.labels, *([OTHER] if train.other_labels == "other" else [])}))


def resolve_objective(train: TrainSettings, labels: Collection[str | None]) -> Objective:
    """Return the objective that the settings mean for documents with these labels.

    Args:
        train: the settings; "auto" decides by the labels, unless the settings list the classes.
        labels: the labels of all documents; None: a document without a label.
    """
    if train.objective in ("denoise", "multilabel"):
        return train.objective
    if train.labels is not None:
        return "classify"
    if train.objective == "auto" and set(labels) <= {None}:
        return "denoise"
    return "multilabel" if any(is_multilabel(label) for label in labels) else "classify"


def stops_without_labels(train: TrainSettings, labels: Collection[str | None]) -> bool:
    """Return True if a first run stops after masking: no document has a label, and no objective is named."""
    return train.objective == "auto" and train.labels is None and set(labels) == {None}


def choose_classes(
    workspace: Workspace,
    labels: Collection[str | None],
    mask: MaskNames | None = None,
    known: Collection[str] = (),
) -> Classes:
    """Choose the classes that the settings mean for documents with these labels.

    Args:
        workspace: the workspace.
        labels: the labels of all documents.
        mask: masks the names of classes that the settings do not list; None: they stay, so the result must
            not leave the house.
        known: classes of a saved model, whose names of the documents' classes are used.
    """
    train = workspace.settings.train
    objective = resolve_objective(train, labels)
    public = list_public_classes(train)
    if objective == "denoise":
        return Classes((), objective, public is not None or train.objective == "denoise")
    if public is not None:
        return Classes(public, objective, True, OTHER if train.other_labels == "other" else None)
    renamed = rename_classes(workspace, labels, known)
    written = sorted({name for label in labels for name in parse_classes(label)})
    unknown = [name for name in written if renamed.get(name, name) not in known]
    if mask is not None:
        for name, masked in zip(unknown, mask(unknown), strict=True):
            if masked != name:
                renamed[name] = masked + _tag(workspace, name)
    names = tuple(sorted({renamed.get(name, name) for name in written}))
    return Classes(names, objective, False, renamed=renamed)


def rename_classes(
    workspace: Workspace, labels: Collection[str | None], known: Collection[str]
) -> dict[str, str]:
    """Return, for the classes of these labels whose names a model masked, the names in the model.

    Args:
        workspace: the workspace of the model.
        labels: labels of documents.
        known: classes of the model.
    """
    by_tag = {name[-_TAG_LENGTH:]: name for name in known}
    written = {name for label in labels for name in parse_classes(label)} - set(known)
    found = {name: by_tag.get(_tag(workspace, name)) for name in written}
    return {name: other for name, other in found.items() if other is not None}


def _tag(workspace: Workspace, name: str) -> str:
    """Return the end of a masked name: two classes stay two, and the key holder knows which is which."""
    digest = content_id(workspace.keys.purpose_key("class-name"), name.encode())
    return f" #{digest[: _TAG_LENGTH - 2]}"
