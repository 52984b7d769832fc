from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from lexveil.privacy.pseudonyms import surrogate_seed

KEY = bytes(32)
words = st.text(min_size=1, max_size=8)


def test_one_entity_has_one_seed_in_a_scope() -> None:
    spellings = ["Anna  Example", "ANNA EXAMPLE", " anna example ", "Ａｎｎａ Example", "Anna\u00a0Example"]
    assert len({surrogate_seed(KEY, "matter-1", "PERSON", name, 0) for name in spellings}) == 1


def test_scope_type_name_attempt_and_key_all_matter() -> None:
    seeds = {
        surrogate_seed(KEY, "m1", "PERSON", "Anna", 0),
        surrogate_seed(KEY, "m1", "PERSON", "Anna", 1),
        surrogate_seed(KEY, "m2", "PERSON", "Anna", 0),
        surrogate_seed(KEY, "m1", "ORGANIZATION", "Anna", 0),
        surrogate_seed(KEY, "m1", "PERSON", "Anne", 0),
        surrogate_seed(bytes([1]) * 32, "m1", "PERSON", "Anna", 0),
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**128 for seed in seeds)


def test_is_hmac_over_length_prefixed_parts() -> None:
    parts = [b"lexveil/surrogate/v1", b"m", b"PERSON", b"anna", b"0"]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    expected = hmac.new(KEY, message, hashlib.sha256).hexdigest()[:32]
    assert f"{surrogate_seed(KEY, 'm', 'PERSON', 'Anna', 0):032x}" == expected


@given(scope=words, kind=words, name=words, cut=st.integers(1, 4))
def test_characters_moved_between_the_parts_give_another_seed(
    scope: str, kind: str, name: str, cut: int
) -> None:
    moved = surrogate_seed(KEY, scope + kind[:cut], kind[cut:], name, 0)
    assert moved != surrogate_seed(KEY, scope, kind, name, 0)
