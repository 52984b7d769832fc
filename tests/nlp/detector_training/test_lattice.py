"""Training the lattice: its likelihood against sums over all paths, and a small seeded training."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import pytest
import torch

from lexveil.nlp.detector_training.lattice import LatticeNetwork, read_lexicon, train_lattice
from lexveil.nlp.taggers.lattice import LABELS, Lattice, LatticeTagger, fold_characters, hash_words

pytestmark = pytest.mark.model


@pytest.mark.parametrize("length", [1, 2, 5, 6])
def test_the_likelihood_is_that_of_one_path_among_all(length: int) -> None:
    torch.manual_seed(length)
    network = LatticeNetwork(3, 4)
    with torch.no_grad():
        network.transition.normal_()
    scores, labels = torch.randn(2, length, len(LABELS)), torch.randint(0, len(LABELS), (2, length))
    total = torch.zeros(())
    for row in range(2):

        def weigh(path: tuple[int, ...], row: int = row) -> torch.Tensor:
            steps = [network.transition[a, b] for a, b in pairwise(path)]
            return torch.stack([*(scores[row, at, one] for at, one in enumerate(path)), *steps]).sum()

        paths = torch.stack([weigh(path) for path in product(range(len(LABELS)), repeat=length)])
        total = total + torch.logsumexp(paths, 0) - weigh(tuple(labels[row].tolist()))
    torch.testing.assert_close(network.loss(scores, labels), total / labels.numel())


def test_a_training_is_seeded_and_its_lexicon_leaves_full_names_out(tmp_path: Path) -> None:
    dictionary = tmp_path / "dict.txt"
    dictionary.write_text(
        "法院 300 n\n毛泽东 50 nr\n许可 50 nr\n莫斯科 9 nrt\n借款 20 v\n长江大桥管理 3 n\n", encoding="utf-8"
    )
    lexicon = read_lexicon(dictionary)
    known = set(lexicon.hashes.tolist())

    def holds(word: str) -> bool:
        return int(hash_words(fold_characters(word), torch.zeros(1).long().numpy(), len(word))[0]) in known

    assert holds("法院")
    assert holds("被告人")
    assert holds("欧阳")
    assert holds("许可")  # a word, although the dictionary calls it a name
    assert holds("莫斯科")
    assert not holds("毛泽东")
    files: list[bytes] = []
    for number, seed in enumerate((5, 5, 6)):
        path = tmp_path / str(number)
        train_lattice([], lexicon, seed, epochs=1, copies=0, frames=30).save(path)
        files.append(path.read_bytes())
    assert files[0] == files[1] != files[2]
    assert len(LatticeTagger(Lattice.load(tmp_path / "0"), 0.5).tag(["原告葛小芝诉称"])) == 1
