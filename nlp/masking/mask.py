"""Mask the spans of a text by a policy, and restore the original exactly from the replacements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lexveil.nlp.entities.identity import Mention, read_mention
from lexveil.nlp.masking.evidence import find_unsupported
from lexveil.nlp.masking.generalize import generalize
from lexveil.nlp.masking.policy import Action, Policy, decide_action
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.recognizers.scores import ALLOWED
from lexveil.nlp.text import Span

Range = tuple[int, int]
"""[start, end) in characters of a text."""

NO_ALIASES: Mapping[Range, int] = {}


@dataclass(frozen=True, slots=True)
class Replacement:
    """A replaced span. It is secret, because it undoes the mask.

    Attributes:
        start: start of `text` in the masked text.
        end: end of `text` in the masked text.
        original: the characters at [source_start, source_end) of the original text.
        text: the token, surrogate or generalization that replaces them.
        type: the entity type.
        entity: number of the entity within its scope.
        action: how the policy treats the span.
        role: role of the entity, or "".
        source_start: start of the span in the original text.
        source_end: end of the span in the original text.
        score: score of the span.
        recognizer: recognizer that found the span.
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

    def shift(self, masked: int, source: int) -> Replacement:
        """Return this replacement `masked` characters later in the masked text, `source` in the original."""
        return replace(
            self,
            start=self.start + masked,
            end=self.end + masked,
            source_start=self.source_start + source,
            source_end=self.source_end + source,
        )


@dataclass(frozen=True, slots=True)
class KeptSpan:
    """A span that the policy leaves readable.

    Attributes:
        span: the span, in characters of the original text.
        role: role of its entity, or "".
    """

    span: Span
    role: str

    def shift(self, source: int) -> KeptSpan:
        """Return this span `source` characters later in the original text."""
        span = self.span
        return replace(self, span=replace(span, start=span.start + source, end=span.end + source))


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A masked text.

    Attributes:
        text: the text with its replacements.
        replacements: the replaced spans, sorted.
        kept: the spans that the policy leaves readable, sorted.
    """

    text: str = field(repr=False)
    replacements: tuple[Replacement, ...]
    kept: tuple[KeptSpan, ...] = ()


def unkeyed_seed(kind: str, name: str, attempt: int) -> int:
    """Return the seed for a single document whose policy has no surrogates: no result depends on it."""
    del kind, name
    return attempt


def mask_text(
    text: str,
    spans: Sequence[Span],
    policy: Policy | None = None,
    scope: Scope | None = None,
    aliases: Mapping[Range, int] = NO_ALIASES,
    token_only: Collection[Range] = (),
) -> MaskedText:
    """Treat every span as the policy says.

    Args:
        text: the original text.
        spans: its spans, sorted and without overlaps.
        policy: by default every span becomes a token.
        scope: the entities; by default those of this document alone.
        aliases: entity of a span, where its characters do not show it.
        token_only: spans that become a token, whatever else the policy replaces them by.

    Raises:
        ValueError: spans are unsorted, overlapping, empty or outside of the text (the message has indices
            only).
    """
    check_spans(len(text), spans)
    policy = policy or Policy()
    scope = scope or Scope([DocumentNames.read(text, spans)], unkeyed_seed)
    pieces: list[str] = []
    replacements: list[Replacement] = []
    kept: list[KeptSpan] = []
    length = last_end = 0
    unsupported = find_unsupported(text, spans) if policy.keeps_any else frozenset[Span]()
    for span in spans:
        position = span.start, span.end
        mention = read_mention(text, span)
        entity = aliases[position] if position in aliases else scope.entity(mention)
        role = scope.role(entity)
        action = decide_action(policy, _withdraw(span, mention, scope, entity), role, span not in unsupported)
        if action == "keep":
            kept.append(KeptSpan(span, role))
            continue
        original = text[span.start : span.end]
        if position in token_only:
            action = "token"
        action, shown = _choose_text(action, original, entity, mention, policy, scope)
        between = text[last_end : span.start]
        start = length + len(between)
        pieces += (between, shown)
        length = start + len(shown)
        replacements.append(
            Replacement(
                start, length, original, shown, span.type, entity, action, role,
                span.start, span.end, span.score, span.recognizer,
            )
        )  # fmt: skip
        last_end = span.end
    pieces.append(text[last_end:])
    return MaskedText("".join(pieces), tuple(replacements), tuple(kept))


def _withdraw(span: Span, mention: Mention, scope: Scope, entity: int) -> Span:
    """Return a span of a string that is never masked as any other if it is a part of a longer name."""
    if span.recognizer != ALLOWED or len(mention.words) >= len(scope.canonical(entity).words):
        return span
    return replace(span, recognizer="")


def _choose_text(
    action: Action, original: str, entity: int, mention: Mention, policy: Policy, scope: Scope
) -> tuple[Action, str]:
    """Return the action that is possible and its text: a token if there is no surrogate or generalization."""
    shown: str | None = None
    if action == "surrogate":
        shown = scope.surrogate(entity, mention, original)
    elif action == "generalise" and mention.type == "PERSON":
        shown = scope.initials(entity)
    elif action == "generalise":
        shown = generalize(mention.type, original, policy.dates)
    return (action, shown) if shown else ("token", scope.token(entity))


def restore_text(masked_text: str, replacements: Sequence[Replacement]) -> str:
    """Return the original text.

    Args:
        masked_text: text of a `MaskedText`.
        replacements: its replacements.

    Raises:
        ValueError: a replacement is not where it should be (the message has its index only).
    """
    pieces: list[str] = []
    last_end = 0
    for index, replacement in enumerate(replacements):
        shown = masked_text[replacement.start : replacement.end]
        if replacement.start < last_end or shown != replacement.text:
            raise ValueError(f"replacement {index} does not fit the masked text")
        pieces += (masked_text[last_end : replacement.start], replacement.original)
        last_end = replacement.end
    pieces.append(masked_text[last_end:])
    return "".join(pieces)


def check_spans(length: int, spans: Sequence[Span]) -> None:
    """Check that spans fit a text of `length` characters.

    Raises:
        ValueError: spans are unsorted, overlapping, empty or outside of the text (the message has indices
            only).
    """
    last_end = 0
    for index, span in enumerate(spans):
        if not last_end <= span.start < span.end <= length:
            raise ValueError(f"span {index} is unsorted, overlapping, empty or outside of the text")
        last_end = span.end
