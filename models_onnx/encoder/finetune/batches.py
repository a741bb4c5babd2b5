"""Which texts a step sees, and how they are laid out: the step's number says it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.finetune.corpus import Corpus, levels

if TYPE_CHECKING:
    from torch import Tensor

NO_LEVEL = -1
LEAST_HALVED = 16  # tokens; a shorter text says too little in a half


@dataclass(frozen=True)
class Tokens:
    """The tokenizer's numbers for what is no word, and how many words it has."""

    opening: int
    closing: int
    padding: int
    mask: int
    words: int


@dataclass(frozen=True)
class Batch:
    """Texts of one step, (texts, tokens): `held` marks tokens, not padding.

    `halves` are the two halves of each text in the same layout, `level` (texts,) the place of its
    rating among those given, NO_LEVEL for none, `spend` (texts,) standardised, NaN for none, and
    `is_same` (texts, texts) where two are the same words.
    """

    ids: Tensor
    held: Tensor
    halves: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]] | None
    level: Tensor
    spend: Tensor
    is_same: Tensor


class Texts:
    """The texts of a corpus in tokens, with labels as the objectives take them."""

    def __init__(self, corpus: Corpus, tokenizer: bytes, longest: int) -> None:
        from tokenizers import Tokenizer

        loaded = Tokenizer.from_buffer(tokenizer)
        loaded.enable_truncation(longest)
        self.tokens = _known_tokens(loaded)
        self.ids = [loaded.encode(text).ids for text in corpus.texts]
        self.levels = levels(corpus.ratings)
        place = {rating: number for number, rating in enumerate(self.levels)}
        self.level = np.array([place.get(float(one), NO_LEVEL) for one in corpus.ratings])
        self.spend = _standardised(corpus.spends, ~corpus.is_held_out)
        _, self.words = np.unique(np.array(corpus.texts, dtype=object), return_inverse=True)
        self.train = np.flatnonzero(~corpus.is_held_out)
        self.held_out = np.flatnonzero(corpus.is_held_out)

    def batch(self, rows: NDArray[np.intp], device: Any, *, halved: bool) -> Batch:
        """The texts of these rows."""
        import torch

        chosen = [self.ids[row] for row in rows]
        ids, held = self._laid_out(chosen, device)
        halves = None
        if halved:
            pairs = [_halves(one) for one in chosen]
            first, second = ([pair[side] for pair in pairs] for side in (0, 1))
            halves = (self._laid_out(first, device), self._laid_out(second, device))
        words = torch.tensor(self.words[rows], device=device)
        return Batch(
            ids,
            held,
            halves,
            torch.tensor(self.level[rows], device=device),
            torch.tensor(self.spend[rows], dtype=torch.float32, device=device),
            words[:, None] == words[None, :],
        )

    def _laid_out(self, chosen: Sequence[Sequence[int]], device: Any) -> tuple[Tensor, Tensor]:
        import torch

        longest = max(len(one) for one in chosen)
        ids = np.full((len(chosen), longest), self.tokens.padding, dtype=np.int64)
        held = np.zeros((len(chosen), longest), dtype=np.bool_)
        for row, one in enumerate(chosen):
            ids[row, : len(one)] = one
            held[row, : len(one)] = True
        return torch.tensor(ids, device=device), torch.tensor(held, device=device)


def rows_of_step(rows: NDArray[np.intp], step: int, size: int, seed: int) -> NDArray[np.intp]:
    """The rows that a step learns from: each once an epoch, but for what is left of a batch."""
    size = min(size, len(rows))
    steps = len(rows) // size
    epoch, place = divmod(step, steps)
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    return order[place * size : (place + 1) * size]


def _halves(ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Both halves with the opening and closing marks; a short text is both."""
    if len(ids) < LEAST_HALVED:
        return list(ids), list(ids)
    middle = len(ids) // 2
    return [*ids[:middle], ids[-1]], [ids[0], *ids[middle:]]


def _standardised(
    spends: NDArray[np.float64], is_trained_on: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """log(1 + spend) with mean 0 and deviation 1 over what is trained on."""
    logs = np.log1p(np.maximum(spends, 0.0))
    known = logs[is_trained_on & np.isfinite(logs)]
    if not len(known):
        return logs
    return np.asarray((logs - known.mean()) / max(float(known.std()), 1e-9))


def _known_tokens(tokenizer: Any) -> Tokens:
    def number(*names: str) -> int:
        found = [tokenizer.token_to_id(name) for name in names]
        return int(next((one for one in found if one is not None), 0))

    return Tokens(
        opening=number("[CLS]", "<s>"),
        closing=number("[SEP]", "</s>"),
        padding=number("[PAD]", "<pad>"),
        mask=number("[MASK]", "<mask>"),
        words=int(tokenizer.get_vocab_size()),
    )
