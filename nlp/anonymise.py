"""Mask a text, look at the outcome with other eyes, mask what was left, and say how it ended."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nlp.citations import citations
from nlp.mask import Masked, Place, mask
from nlp.policy import Policy, decide
from nlp.scope import Scope
from nlp.second_pass import FATAL, Leftover, leftovers, near_spellings
from nlp.text import ENTITY_TYPES, NormalisedText, Span

Verdict = Literal["PASS", "REVIEW", "FAIL"]
SECOND_PASS = "SecondPass"  # noqa: S105
_REPAIRS = 4
_AROUND = 1000


@dataclass(frozen=True, slots=True)
class Checked:
    """Masked text and what the second pass says of it.

    Attributes:
        reasons: how often each was met: `string`, `surname`, `rule` and `revealed` where something is left
            (FAIL); `near`, `ambiguous`, `language` and `reviewer` where a human should look (REVIEW);
            `repaired` counts what was left at first and masked then.
    """

    masked: Masked
    verdict: Verdict
    reasons: Mapping[str, int]

    @property
    def text(self) -> str:
        return self.masked.text


def anonymise(
    text: str,
    spans: Sequence[Span],
    policy: Policy,
    scope: Scope,
    *,
    served: bool = True,
    readable: Sequence[Place] = (),
) -> Checked:
    """Mask `spans` by `policy`, and check the outcome.

    `scope` knows the mentions of the document, alone or with those of its matter. `readable` are places that
    a reviewer wants kept, with every other place of the same string. `served` tells whether a learnt
    detector speaks the language: where none does, the document is to be reviewed.

    Raises:
        ValueError: spans unsorted, overlapping, empty or outside of the text.
    """
    work = _Work(text, list(spans), policy, scope, readable)
    masked, left = work.once()
    repaired = 0
    for _ in range(_REPAIRS):
        fatal = [one for one in left if one.reason in FATAL]
        if not fatal:
            break
        repaired += work.repair(fatal)
        masked, left = work.once()
    reasons = Counter(str(one.reason) for one in [*left, *work.lawful(near_spellings(masked))])
    reasons["repaired"] = repaired
    reasons["language"] = int(not served)
    reasons["reviewer"] = work.overruled
    failed = any(reasons[reason] for reason in FATAL)
    doubtful = any(n for reason, n in reasons.items() if reason != "repaired")
    verdict: Verdict = "FAIL" if failed else "REVIEW" if doubtful else "PASS"
    return Checked(masked, verdict, {reason: n for reason, n in sorted(reasons.items()) if n})


class _Work:
    """One document between its passes: the spans as they stand, and what was said about single ones."""

    def __init__(
        self, text: str, spans: list[Span], policy: Policy, scope: Scope, readable: Sequence[Place]
    ) -> None:
        self._text = text
        self._spans = spans
        self._policy = policy
        self._scope = scope
        self._readable = sorted(readable)
        self._aliases: dict[Place, int] = {}
        self._plain: set[Place] = set()
        self._kept_types = frozenset(
            kind for kind in ENTITY_TYPES if decide(policy, Span(0, 1, kind, 1.0, "")) == "keep"
        )
        self.overruled = 0

    def once(self) -> tuple[Masked, list[Leftover]]:
        masked = mask(self._text, self._spans, self._policy, self._scope, self._aliases, self._plain)
        strings = {self._text[start:end] for start, end in self._readable}
        left = leftovers(masked, self._kept_types, strings)
        asked = [one for one in left if not self._is_readable(one)]
        self.overruled = sum(one.reason == "rule" for one in left) - sum(
            one.reason == "rule" for one in asked
        )
        return masked, self.lawful(asked)

    def lawful(self, left: Sequence[Leftover]) -> list[Leftover]:
        """Without what stands in a citation. Rule findings can't be mistaken, so law doesn't excuse them."""
        named = [one for one in left if one.reason not in ("rule", "revealed")]
        law = _law_around(self._text, named)
        starts = [start for start, _ in law]

        def touches(one: Leftover) -> bool:
            place = bisect_left(starts, one.end) - 1
            return place >= 0 and law[place][1] > one.start

        return [one for one in left if one.reason in ("rule", "revealed") or not touches(one)]

    def repair(self, fatal: Sequence[Leftover]) -> int:
        """Mask what was left. What the policy keeps gives way where something else was found inside of it."""
        before = len(self._spans) + len(self._plain)
        made: list[Span] = []
        for one in fatal:
            if one.reason == "revealed":
                self._plain.add((one.start, one.end))
                continue
            made.append(Span(one.start, one.end, one.type, 1.0, SECOND_PASS))
            if one.entity is not None:
                self._aliases[one.start, one.end] = one.entity
        self._spans = _merged(self._spans, made)
        return max(1, len(self._spans) + len(self._plain) - before)

    def _is_readable(self, one: Leftover) -> bool:
        place = bisect_left(self._readable, (one.start + 1, 0)) - 1
        return place >= 0 and one.end <= self._readable[place][1]


def _merged(spans: Sequence[Span], made: Collection[Span]) -> list[Span]:
    """Both, sorted; of a span that a made one overlaps, what lies outside of it stays a span."""
    result: list[Span] = []
    cuts = sorted(made)
    starts = [cut.start for cut in cuts]
    for span in spans:
        start = span.start
        place = max(0, bisect_left(starts, span.start) - 1)
        while place < len(cuts) and cuts[place].start < span.end:
            cut = cuts[place]
            if cut.end > start:
                if cut.start > start:
                    result.append(replace(span, start=start, end=cut.start))
                start = max(start, cut.end)
            place += 1
        if start < span.end:
            result.append(replace(span, start=start))
    return sorted([*result, *cuts])


def _law_around(text: str, left: Sequence[Leftover]) -> list[Place]:
    """The citations about the given places, in characters of `text`."""
    windows: list[list[int]] = []
    for one in sorted(left, key=lambda one: one.start):
        start, end = max(0, one.start - _AROUND), min(len(text), one.end + _AROUND)
        if windows and start <= windows[-1][1]:
            windows[-1][1] = max(end, windows[-1][1])
        else:
            windows.append([start, end])
    found: list[Place] = []
    for start, end in windows:
        window = NormalisedText.of(text[start:end])
        for first, last in citations(window.text):
            first, last = window.to_original(first, last)
            found.append((start + first, start + last))
    return sorted(found)
