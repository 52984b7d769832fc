"""Who has sent a wrong share of a sum is named where nobody could be accused wrongly, and nowhere else."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from lexveil.privacy.joint.secret_sharing import Field, InconsistentSharesError

NUMBERS = np.array([0, 1, -1, 2**40, -(2**40)], dtype=np.int64)


def share(offices: int, threshold: int) -> tuple[Field, list[np.ndarray]]:
    field = Field(64, offices, threshold)
    return field, [field.read(one, len(NUMBERS)) for one in field.split(NUMBERS)]


@pytest.mark.parametrize(("offices", "threshold", "colluders"), [(4, 1, 0), (4, 1, 1), (5, 2, 1), (6, 2, 2)])
def test_one_wrong_share_is_named(offices: int, threshold: int, colluders: int) -> None:
    field, shares = share(offices, threshold)
    assert (field.combine(shares) == NUMBERS).all()
    assert field.find_wrong(shares, colluders) is None
    for liar in range(offices):
        changed = list(shares)
        changed[liar] = changed[liar].copy()
        changed[liar][3] = (changed[liar][3] + 1) % field.modulus
        with pytest.raises(InconsistentSharesError):
            field.combine(changed)
        assert field.find_wrong(changed, colluders) == liar


@pytest.mark.parametrize(("offices", "threshold", "colluders"), [(3, 1, 0), (3, 1, 1), (5, 2, 2), (4, 1, 2)])
def test_too_few_offices_name_nobody(offices: int, threshold: int, colluders: int) -> None:
    field, shares = share(offices, threshold)
    shares[0] = (shares[0] + 1) % field.modulus
    assert field.find_wrong(shares, colluders) is None


def test_as_many_as_may_collude_cannot_accuse_another_office() -> None:
    offices, threshold, colluders = 6, 2, 2
    field, shares = share(offices, threshold)
    other = [field.read(one, len(NUMBERS)) for one in field.split(NUMBERS + 1)]
    for liars in combinations(range(offices), colluders):
        # The best that they can do: shares that lie on one curve with those of some honest offices.
        changed = [other[index] if index in liars else one for index, one in enumerate(shares)]
        assert field.find_wrong(changed, colluders) in (None, *liars)
    honest = [index for index in range(offices) if index not in (0, 1)]
    for kept in combinations(honest, threshold):
        points = [(index + 1, shares[index]) for index in kept] + [(1, (shares[0] + 1) % field.modulus)]
        forged = [points[-1][1], field._interpolate(points, 2)]  # pyright: ignore[reportPrivateUsage]
        assert field.find_wrong([*forged, *shares[2:]], colluders) in (None, 0, 1)
