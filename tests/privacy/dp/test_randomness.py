from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from lexveil.privacy.dp.randomness import SecureRandom, keystream
from lexveil.privacy.dp.sampling import poisson_sample

KEY = bytes(range(32))


def test_keystream_is_rfc_8439_test_vector():
    # Appendix A.1, test vectors 1 (zero key and nonce) and 5 (nonce 00..02).
    assert keystream(bytes(32), bytes(12), 64).hex() == (
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    )
    assert keystream(bytes(32), bytes(11) + b"\x02", 64).hex() == (
        "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
        "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"
    )


@pytest.mark.parametrize(("key", "nonce", "n"), [(b"", bytes(12), 1), (KEY, b"", 1), (KEY, bytes(12), 2**39)])
def test_keystream_refuses(key, nonce, n):
    with pytest.raises(ValueError):
        keystream(key, nonce, n)


def test_draws_are_addressed_by_key_label_and_step():
    random = SecureRandom(KEY)
    draw = random.uniform("a", 3, 50)
    assert np.array_equal(draw, SecureRandom(KEY).uniform("a", 3, 50))
    assert np.array_equal(draw[:7], random.uniform("a", 3, 7))
    for other in (random.uniform("b", 3, 50), random.uniform("a", 4, 50), SecureRandom().uniform("a", 3, 50)):
        assert not np.intersect1d(draw, other).size
    assert np.array_equal(random.normal("n", 0, 9).numpy(), SecureRandom(KEY).normal("n", 0, 9).numpy())


def test_uniform_is_uniform():
    draw = SecureRandom(KEY).uniform("u", 0, 200_000)
    assert draw.min() >= 0
    assert draw.max() < 1
    assert stats.kstest(draw, "uniform").pvalue > 1e-3
    counts = np.bincount((draw * 256).astype(int), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_normal_is_standard_gaussian_without_correlation():
    random = SecureRandom(KEY)
    draw = random.normal("n", 0, 200_000).numpy()
    assert draw.dtype == np.float64
    assert stats.kstest(draw, "norm").pvalue > 1e-3
    # The variance of a sample variance is 2/n: five standard deviations.
    assert abs(draw.var() - 1) < 5 * np.sqrt(2 / draw.size)
    assert abs(stats.kurtosis(draw)) < 5 * np.sqrt(24 / draw.size)
    # Neighbors share a Box-Muller pair: they must be independent all the same, in size too.
    for a, b in ((draw[1:], draw[:-1]), (draw[1:] ** 2, draw[:-1] ** 2)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(draw.size)
    assert abs(np.corrcoef(draw, random.normal("n", 1, draw.size))[0, 1]) < 5 / np.sqrt(draw.size)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_normal_of_few(n):
    draws = np.array([SecureRandom(KEY).normal("n", step, n).numpy() for step in range(2000)])
    assert draws.shape == (2000, n)
    if n:
        assert abs(draws.var() - 1) < 5 * np.sqrt(2 / draws.size)


def test_the_key_is_never_shown():
    random = SecureRandom(KEY)
    assert KEY.hex() not in repr(random)
    assert str(KEY) not in repr(random)
    with pytest.raises(TypeError):
        pickle.dumps(random)
    with pytest.raises(ValueError, match="found 3"):
        SecureRandom(b"abc")


def test_poisson_sample_draws_each_owner_at_the_rate():
    random = SecureRandom(KEY)
    counts = np.zeros(500)
    sizes = []
    for step in range(400):
        owners = poisson_sample(500, 0.1, random, step)
        assert owners.dtype == np.int64
        assert np.array_equal(owners, np.unique(owners))
        counts[owners] += 1
        sizes.append(owners.size)
    # Binomial, not fixed, in both directions.
    for sample, n in ((counts, 400), (np.array(sizes), 500)):
        assert abs(sample.mean() - 0.1 * n) < 5 * np.sqrt(0.09 * n / sample.size)
        assert 0.7 < sample.var() / (0.09 * n) < 1.4


def test_poisson_sample_edges():
    random = SecureRandom(KEY)
    assert poisson_sample(20, 1.0, random, 0).tolist() == list(range(20))
    assert poisson_sample(3, 1e-9, random, 0).size == 0
    with_last = poisson_sample(100, 0.3, random, 5)
    assert poisson_sample(99, 0.3, random, 5).tolist() == [o for o in with_last if o != 99]
    for n, rate in ((0, 0.5), (5, 0.0), (5, 1.1), (5, float("nan"))):
        with pytest.raises(ValueError):
            poisson_sample(n, rate, random, 0)


def reference_normal(random: SecureRandom, label: str, step: int, n: int) -> torch.Tensor:
    """As earlier versions drew, whose runs must go on with the same noise: from all uniforms at once."""
    m, piece = max(n, 2), 1 << 14
    uniforms = torch.from_numpy(random.uniform(label, step, 4 * m)).view(4, m)
    total = torch.zeros(m, dtype=torch.float64)
    for first, angle in zip(uniforms[:2], uniforms[2:], strict=True):
        pieces = [slice(start, start + piece) for start in range(0, m, piece)]
        radius = torch.cat([torch.log1p(-first[one]).mul_(-2 / 4).sqrt_() for one in pieces])
        turned = [angle[one] * (2 * np.pi) for one in pieces]
        cosines = radius * torch.cat([torch.cos(one) for one in turned])
        sines = (radius * torch.cat([torch.sin(one) for one in turned])).roll(1)
        # In later pieces, the sine of the piece before was there first.
        begins = torch.arange(m) % piece == 0
        begins[0] = False
        total = torch.where(begins, total + sines + cosines, total + cosines + sines)
    return total[:n]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 65, 16_383, 16_384, 16_385, 40_000])
def test_normal_in_pieces_has_the_bits_of_earlier_versions(n):
    for step in (0, 3):
        random = SecureRandom(KEY)
        assert torch.equal(random.normal("n", step, n), reference_normal(random, "n", step, n))
