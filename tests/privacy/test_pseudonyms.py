from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from lexveil.privacy.pseudonyms import entity_id, surrogate_seed

KEY = bytes(32)
words = st.text(min_size=1, max_size=8)


def test_one_entity_has_one_id_in_a_scope() -> None:
    spellings = ["Anna  Example", "ANNA EXAMPLE", " anna example ", "Ａｎｎａ Example", "Anna\u00a0Example"]
    assert len({entity_id(KEY, "matter-1", "PERSON", name) for name in spellings}) == 1


def test_scope_type_name_and_key_all_matter() -> None:
    ids = {
        entity_id(KEY, "m1", "PERSON", "Anna"),
        entity_id(KEY, "m2", "PERSON", "Anna"),
        entity_id(KEY, "m1", "ORGANIZATION", "Anna"),
        entity_id(KEY, "m1", "PERSON", "Anne"),
        entity_id(bytes([1]) * 32, "m1", "PERSON", "Anna"),
    }
    assert len(ids) == 5
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)


def test_is_hmac_over_length_prefixed_parts() -> None:
    parts = [b"lexveil/entity/v1", b"m", b"PERSON", b"anna"]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert entity_id(KEY, "m", "PERSON", "Anna") == hmac.new(KEY, message, hashlib.sha256).hexdigest()[:32]


@given(scope=words, kind=words, name=words, cut=st.integers(1, 4))
def test_characters_moved_between_the_parts_give_another_id(
    scope: str, kind: str, name: str, cut: int
) -> None:
    moved = entity_id(KEY, scope + kind[:cut], kind[cut:], name)
    assert moved != entity_id(KEY, scope, kind, name)


def test_a_seed_is_an_entity_s_own_and_says_nothing_of_its_id() -> None:
    first = surrogate_seed(KEY, "m", "PERSON", "Anna Example", 0)
    assert first == surrogate_seed(KEY, "m", "PERSON", " ANNA  example", 0) < 2**128
    others = {
        surrogate_seed(KEY, "m", "PERSON", "Anna Example", 1),
        surrogate_seed(KEY, "n", "PERSON", "Anna Example", 0),
        surrogate_seed(bytes([1]) * 32, "m", "PERSON", "Anna Example", 0),
        int(entity_id(KEY, "m", "PERSON", "Anna Example"), 16),
    }
    assert len(others | {first}) == 5
