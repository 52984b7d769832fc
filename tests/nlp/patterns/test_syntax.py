"""Patterns whose classes are read once for all match what `re` matches."""

from __future__ import annotations

import re

import pytest

from lexveil.nlp.letters import HAN, LOWER, SPACED_WORD, UPPER
from lexveil.nlp.patterns.syntax import compile_pattern, parse
from lexveil.nlp.patterns.triggers import PatternSet

# Every character of the two first planes and some of the third, but no half of a pair.
EVERYTHING = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x20100), *range(0x3FF00, 0x40000))))


@pytest.mark.parametrize(
    "source",
    [
        f"[{UPPER}]",
        f"[^{LOWER}]",
        f"[{UPPER}{LOWER}'’-]",
        rf"[^{LOWER}\d ]",
        f"[{UPPER}]|x|[{LOWER}]",
        f"[{UPPER}]|xy",
        SPACED_WORD,
        rf"[\W{HAN}]",
        f"(?i:[{UPPER}])",
        f"(?i)[^{LOWER}]",
        f"(?i){SPACED_WORD}",
        f"(?i:[{HAN}k])|(?-i:[{LOWER}])",
    ],
)
def test_a_class_matches_the_same_characters(source: str) -> None:
    assert compile_pattern(source, 0).findall(EVERYTHING) == re.findall(source, EVERYTHING)


@pytest.mark.parametrize(
    "source",
    [
        rf"(?<![{UPPER}])[{UPPER}][{LOWER}]+(?:-[{UPPER}][{LOWER}]*){{0,2}}(?![{LOWER}])",
        rf"(?P<first>[{UPPER}])[{LOWER}]*?(?P<last>[{LOWER}]) (?P=first)",
        rf"([{UPPER}])?(?(1)[{LOWER}]|[^{LOWER}])",
        rf"(?>[{LOWER}]+)(?=[{UPPER}]| )|[{LOWER}]++,",
        rf"(?i:[{UPPER}]\.){{2}}|[{UPPER}]{{2,}}",
    ],
)
@pytest.mark.parametrize("flags", [0, re.IGNORECASE, re.MULTILINE])
def test_classes_within_parts_of_a_pattern_match_the_same(source: str, flags: int) -> None:
    text = "Ada Äda ÉLAN, Èze-Êre žižka Žižka-Žuk, ΑΒγ, Ђуро Ада A.B. É.é. aDA ada, straße ẞ ı İi"
    ours, plain = compile_pattern(source, flags), re.compile(source, flags)
    assert [m.span() for m in ours.finditer(text)] == [m.span() for m in plain.finditer(text)]
    assert [m.groups() for m in ours.finditer(text)] == [m.groups() for m in plain.finditer(text)]
    assert (ours.groupindex, ours.groups, ours.flags) == (plain.groupindex, plain.groups, plain.flags)


def test_the_letters_of_a_class_are_not_in_the_tree() -> None:
    name = rf"[{UPPER}][{LOWER}]+ [^{UPPER}]"
    assert len(str(parse(name, 0))) < 500
    assert PatternSet().compile(rf"Mr {name}").trigger == PatternSet().compile(r"Mr [A-Z]\w+ [^A-Z]").trigger


def test_what_is_no_regular_expression_is_refused() -> None:
    for source in ("(", f"[{UPPER}", "(?P<a>x)(?P<a>y)"):
        with pytest.raises(re.error):
            compile_pattern(source, 0)
