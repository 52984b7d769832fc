"""Bidirectional LSTM over the frozen token embeddings of a public encoder.

It starts from public weights, trained by `distill_lstm.py` on public text; `weights/README.md` is their card.
They fit the packaged encoder alone: over another one, an LSTM starts from random weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from lexveil.nlp.encoders.config import DEFAULT_CHUNK_LENGTH, LstmStart
from lexveil.nlp.encoders.inputs import TokenBatch, collate_tokens
from lexveil.nlp.encoders.packaged import read_weights
from lexveil.nlp.encoders.public import PublicEncoder, read_public_passages

_LSTM_WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")

# oneDNN keeps a compiled kernel of about a megabyte for each shape of a batch: rounding up leaves few shapes.
_SHAPE_MULTIPLE = 16


class TokenLSTM(nn.Module):
    """Bidirectional LSTM from chunks of tokens to features of norm 1.

    The features are the mean state over all positions, minus the mean state of public text before training,
    scaled to norm 1.

    Args:
        encoder: The public encoder whose token embeddings are read.
        hidden: Width of each direction.
        start: Public weights to start from; "random": the generator's present state decides.
    """

    def __init__(self, encoder: PublicEncoder, hidden: int, start: LstmStart = "random") -> None:
        super().__init__()
        table = encoder.token_embeddings
        # Not saved: public, large, and reloaded with the encoder whose digest is in the configuration.
        self.register_buffer("table", table, persistent=False)
        # Standardize the coordinates for the gates by public statistics: those of the table itself.
        self.register_buffer("shift", table.mean(dim=0), persistent=False)
        self.register_buffer("scale", 1 / table.std(), persistent=False)
        self.mask_id = encoder.mask_id
        # Not `encoder.dimension`: some encoders (ALBERT) have narrower token embeddings.
        self.lstm = nn.LSTM(table.shape[1], hidden, batch_first=True, bidirectional=True)
        if start == "random":
            center = self._compute_center(encoder, hidden)
        else:
            weights = read_start()
            center = weights.pop("center")
            self.lstm.load_state_dict(weights)
        self.register_buffer("center", center, persistent=False)

    def forward(self, inputs: TokenBatch) -> Tensor:
        """Return the features of chunks. Shape: (items, longest) -> (items, 2 hidden)."""
        return normalize(self.mean_states(inputs) - self.get_buffer("center"), dim=1)

    def mean_states(self, inputs: TokenBatch) -> Tensor:
        """Return the mean state of each chunk, not centered. Shape: (items, 2 hidden)."""
        if torch.is_grad_enabled():
            return self._packed_states(inputs).sum(dim=1) / inputs.lengths[:, None]
        return self._fused_means(self.lstm, inputs)

    def states(self, inputs: TokenBatch) -> Tensor:
        """Return the state at each position, zero in the padding. Shape: (items, longest, 2 hidden)."""
        if torch.is_grad_enabled():
            return self._packed_states(inputs)
        count, longest = inputs.ids.shape
        (ahead, _), (back, order) = self._fused_states(self.lstm, inputs)
        aligned = back.gather(1, order[..., None].expand_as(back))
        is_token = torch.arange(longest, device=order.device) < inputs.lengths[:, None]
        return torch.cat([ahead, aligned], dim=2)[:count, :longest] * is_token[..., None]

    def _packed_states(self, inputs: TokenBatch) -> Tensor:
        embedded, lengths = self._embed(inputs.ids), inputs.lengths.cpu()
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        return _pad(self.lstm(packed)[0], *inputs.ids.shape)

    def _fused_means(self, lstm: nn.LSTM, inputs: TokenBatch) -> Tensor:
        sums = [states.sum(dim=1) for states, _ in self._fused_states(lstm, inputs)]
        return torch.cat(sums, dim=1)[: len(inputs.ids)] / inputs.lengths[:, None]

    def _fused_states(self, lstm: nn.LSTM, inputs: TokenBatch) -> list[tuple[Tensor, Tensor]]:
        """Return the states of each direction by the fused kernel, zero in the padding, and their positions.

        The kernel takes no packed sequences. Each direction runs separately over the padded batch, the second
        one over reversed chunks, so that the padding follows their tokens in both. The batch is padded to a
        multiple of 16 items and positions.
        """
        count, longest = inputs.ids.shape
        ids = pad(inputs.ids, (0, -longest % _SHAPE_MULTIPLE, 0, -count % _SHAPE_MULTIPLE))
        lengths = pad(inputs.lengths, (0, len(ids) - count), value=1)[:, None]
        positions = torch.arange(ids.shape[1], device=ids.device)
        order = (lengths - 1 - positions).clamp(min=0)
        is_token = (positions < lengths)[..., None]
        start = self.get_buffer("table").new_zeros(1, len(ids), lstm.hidden_size)
        found: list[tuple[Tensor, Tensor]] = []
        for suffix, places in (("", positions.expand_as(order)), ("_reverse", order)):
            weights = [getattr(lstm, name + suffix) for name in _LSTM_WEIGHTS]
            embedded = self._embed(ids.gather(1, places))
            states = torch.lstm(embedded, (start, start), weights, True, 1, 0.0, False, False, True)[0]
            found.append((states * is_token, places))
        return found

    def _embed(self, ids: Tensor) -> Tensor:
        table, shift, scale = (self.get_buffer(name) for name in ("table", "shift", "scale"))
        return (table[ids] - shift) * scale

    @torch.no_grad()
    def _compute_center(self, encoder: PublicEncoder, hidden: int) -> Tensor:
        """Return the mean state of public text before training. Shape: (2 hidden,)."""
        with torch.random.fork_rng(devices=[]):
            # The LSTM that `build_model` draws by default: a saved model is loaded with the same center.
            torch.manual_seed(0)
            lstm = nn.LSTM(self.lstm.input_size, hidden, batch_first=True, bidirectional=True)
        return self._fused_means(lstm, collate_public_chunks(encoder)).mean(dim=0)


def _pad(packed: PackedSequence, items: int, longest: int) -> Tensor:
    """Return the rows of a packed sequence in the places of a padded batch, zeros elsewhere.

    The same as `pad_packed_sequence`, whose backward pass copies the whole batch once for each length.
    Shape: (items, longest, n).
    """
    device = packed.data.device
    taken = torch.arange(items, device=device) < packed.batch_sizes.to(device)[:, None]
    position, rank = taken.nonzero(as_tuple=True)
    assert packed.sorted_indices is not None
    places = packed.sorted_indices[rank] * longest + position
    flat = packed.data.new_zeros(items * longest, packed.data.shape[1])
    return flat.index_copy(0, places, packed.data).view(items, longest, -1)


def collate_public_chunks(encoder: PublicEncoder) -> TokenBatch:
    """Return the chunks of the public text."""
    length = min(DEFAULT_CHUNK_LENGTH, encoder.max_length)
    return collate_tokens(
        [ids for passage in read_public_passages() for ids in encoder.chunks(passage, length).ids]
    )


def read_start() -> dict[str, Tensor]:
    """Read the public weights of an LSTM, and `center`, in float32."""
    return {name: torch.from_numpy(value).float() for name, value in read_weights("lstm-legal-1").items()}
