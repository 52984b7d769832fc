"""TODO docstring."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lexveil.nlp.encoders.inputs import Tokens, collate_tokens
from lexveil.nlp.encoders.public import CHUNK_LENGTH, PublicEncoder, public_passages

_LSTM_WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")

# oneDNN keeps a compiled kernel, of about a megabyte, for each shape of a batch.
_LSTM_STEP = 16


class TokenLSTM(nn.Module):
    """A bidirectional LSTM over frozen public token embeddings; mean over positions, less that of public text
    before training, then norm 1."""

    def __init__(self, encoder: PublicEncoder, hidden: int) -> None:
        super().__init__()
        table = encoder.token_embeddings
        # Not saved: public, large, and reloaded with the encoder whose digest the configuration holds.
        self.register_buffer("table", table, persistent=False)
        # Public statistics of the table bring its coordinates to mean 0 and variance 1 for the gates.
        self.register_buffer("shift", table.mean(dim=0), persistent=False)
        self.register_buffer("scale", 1 / table.std(), persistent=False)
        self.mask_id = encoder.mask_id
        # Not `encoder.dimension`: some encoders (ALBERT) have narrower token embeddings.
        self.lstm = nn.LSTM(table.shape[1], hidden, batch_first=True, bidirectional=True)
        self.register_buffer("centre", self._centre(encoder, hidden), persistent=False)

    def forward(self, inputs: Tokens) -> Tensor:
        return normalize(self._mean_states(self.lstm, inputs) - self.get_buffer("centre"), dim=1)

    def _mean_states(self, lstm: nn.LSTM, inputs: Tokens) -> Tensor:
        """Shape: (items, 2 hidden)."""
        if not torch.is_grad_enabled():
            return self._mean_states_fused(lstm, inputs)
        embedded, lengths = self._embedded(inputs.ids), inputs.lengths.cpu()
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True)
        return hidden.sum(dim=1) / inputs.lengths[:, None]

    def _mean_states_fused(self, lstm: nn.LSTM, inputs: Tokens) -> Tensor:
        """The same by the fused kernel, which takes no packed sequences: each direction by itself over the
        padded batch, the second one over chunks turned round, so that padding follows their tokens again."""
        count, longest = inputs.ids.shape
        ids = pad(inputs.ids, (0, -longest % _LSTM_STEP, 0, -count % _LSTM_STEP))
        lengths = pad(inputs.lengths, (0, len(ids) - count), value=1)[:, None]
        places = torch.arange(ids.shape[1], device=ids.device)
        turned = ids.gather(1, (lengths - 1 - places).clamp(min=0))
        read = (places < lengths)[..., None]
        start = self.get_buffer("table").new_zeros(1, len(ids), lstm.hidden_size)
        sums: list[Tensor] = []
        for suffix, order in (("", ids), ("_reverse", turned)):
            weights = [getattr(lstm, name + suffix) for name in _LSTM_WEIGHTS]
            embedded = self._embedded(order)
            states = torch.lstm(embedded, (start, start), weights, True, 1, 0.0, False, False, True)[0]
            sums.append((states * read).sum(dim=1))
        return (torch.cat(sums, dim=1) / lengths)[:count]

    def _embedded(self, ids: Tensor) -> Tensor:
        table, shift, scale = (self.get_buffer(name) for name in ("table", "shift", "scale"))
        return (table[ids] - shift) * scale

    @torch.no_grad()
    def _centre(self, encoder: PublicEncoder, hidden: int) -> Tensor:
        """What all texts share before training, as public text shows it. Shape: (2 hidden,)."""
        with torch.random.fork_rng(devices=[]):
            # Of the LSTM that `build` draws unless told otherwise: a saved model is loaded with the same.
            torch.manual_seed(0)
            lstm = nn.LSTM(self.lstm.input_size, hidden, batch_first=True, bidirectional=True)
        length = min(CHUNK_LENGTH, encoder.max_length)
        chunks = [ids for passage in public_passages() for ids in encoder.chunks(passage, length).ids]
        return self._mean_states(lstm, collate_tokens(chunks)).mean(dim=0)
