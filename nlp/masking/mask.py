"""Spans -> masked text by a policy, and back again, byte for byte, for whoever holds the replacements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lexveil.nlp.entities.identity import Mention, mention_of
from lexveil.nlp.masking.generalize import generalise
from lexveil.nlp.masking.policy import Action, Policy, decide
from lexveil.nlp.masking.scope import Named, Scope
from lexveil.nlp.text import Span

Place = tuple[int, int]
NOBODY: Mapping[Place, int] = {}


@dataclass(frozen=True, slots=True)
class Replacement:
    """What stands at [start, end) of the MASKED text for `original`. Secret: it undoes the mask.

    Attributes:
        original: the characters at [source_start, source_end) of the text as it was.
        text: the token, surrogate or generalisation in their place.
        entity: number of the entity within its scope.
    """

    start: int
    end: int
    original: str = field(repr=False)
    text: str = field(repr=False)
    type: str
    entity: int
    action: Action
    role: str
    source_start: int
    source_end: int
    score: float
    recognizer: str

    def moved(self, masked: int, source: int) -> Replacement:
        """The same further on: by `masked` in the masked text and by `source` in the original."""
        return replace(
            self,
            start=self.start + masked,
            end=self.end + masked,
            source_start=self.source_start + source,
            source_end=self.source_end + source,
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """A finding that the policy leaves readable, in characters of the original text."""

    span: Span
    role: str

    def moved(self, source: int) -> Kept:
        """The same further on in the original."""
        span = self.span
        return replace(self, span=replace(span, start=span.start + source, end=span.end + source))


@dataclass(frozen=True, slots=True)
class Masked:
    text: str = field(repr=False)
    replacements: tuple[Replacement, ...]
    kept: tuple[Kept, ...] = ()


def no_seed(kind: str, name: str, attempt: int) -> int:
    """The seed of a policy without surrogates, within one document: nothing depends on it."""
    del kind, name
    return attempt


def mask(
    text: str,
    spans: Sequence[Span],
    policy: Policy | None = None,
    scope: Scope | None = None,
    aliases: Mapping[Place, int] = NOBODY,
    plain: Collection[Place] = (),
) -> Masked:
    """Replace every span by what the policy says of it.

    `scope` is the document's own where None is given. `aliases` says which entity a span names where that
    can't be read from its characters; spans in `plain` get a token whatever the policy replaces them by.

    Raises:
        ValueError: spans unsorted, overlapping, empty or outside of the text (indices only are named).
    """
    check_spans(len(text), spans)
    policy = policy or Policy()
    scope = scope or Scope([Named.of(text, spans)], no_seed)
    pieces: list[str] = []
    replacements: list[Replacement] = []
    kept: list[Kept] = []
    length = end_of_last = 0
    for span in spans:
        place = span.start, span.end
        mention = mention_of(text, span)
        entity = aliases[place] if place in aliases else scope.entity(mention)
        role = scope.role(entity)
        action = decide(policy, span, role)
        if action == "keep":
            kept.append(Kept(span, role))
            continue
        original = text[span.start : span.end]
        if place in plain:
            action = "token"
        action, shown = _shown(action, original, entity, mention, policy, scope)
        between = text[end_of_last : span.start]
        start = length + len(between)
        pieces += (between, shown)
        length = start + len(shown)
        replacements.append(
            Replacement(
                start, length, original, shown, span.type, entity, action, role,
                span.start, span.end, span.score, span.recognizer,
            )
        )  # fmt: skip
        end_of_last = span.end
    pieces.append(text[end_of_last:])
    return Masked("".join(pieces), tuple(replacements), tuple(kept))


def _shown(
    action: Action, original: str, entity: int, mention: Mention, policy: Policy, scope: Scope
) -> tuple[Action, str]:
    """What stands in place of a mention; a token where there is nothing else to put."""
    shown: str | None = None
    if action == "surrogate":
        shown = scope.surrogate(entity, mention, original)
    elif action == "generalise" and mention.type == "PERSON":
        shown = scope.initials(entity)
    elif action == "generalise":
        shown = generalise(mention.type, original, policy.dates)
    return (action, shown) if shown else ("token", scope.token(entity))


def restore(masked_text: str, replacements: Sequence[Replacement]) -> str:
    """The original text.

    Raises:
        ValueError: a replacement doesn't stand where it should (its index only is named).
    """
    pieces: list[str] = []
    last = 0
    for index, replacement in enumerate(replacements):
        found = masked_text[replacement.start : replacement.end]
        if replacement.start < last or found != replacement.text:
            raise ValueError(f"replacement {index} doesn't fit the masked text")
        pieces += (masked_text[last : replacement.start], replacement.original)
        last = replacement.end
    pieces.append(masked_text[last:])
    return "".join(pieces)


def check_spans(length: int, spans: Sequence[Span]) -> None:
    """Raises ValueError (indices only) for spans that are unsorted, overlapping, empty or out of the text."""
    last = 0
    for index, span in enumerate(spans):
        if not last <= span.start < span.end <= length:
            raise ValueError(f"span {index} is unsorted, overlapping, empty or outside of the text")
        last = span.end
