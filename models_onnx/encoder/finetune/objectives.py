"""What a step is judged by: pairs, hidden words, ratings, later spend.

Contrastive is SimCSE's (Gao et al. 2021, arXiv:2104.08821), hidden words are BERT's (Devlin et al.
2019, arXiv:1810.04805), ratings the cumulative logits of McCullagh (1980, "Regression models for
ordinal data").
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cva_sql.models_onnx.encoder.finetune.batches import NO_LEVEL, Batch, Tokens
from cva_sql.models_onnx.encoder.finetune.recipe import (
    CONTRASTIVE,
    MASKED,
    RATING,
    SPEND,
    Recipe,
)

if TYPE_CHECKING:
    from torch import Tensor

KEPT, SWAPPED = 0.1, 0.1  # of the words that are to be told: shown as they are, or as another


def make_heads(width: int, words: int, levels: int, recipe: Recipe) -> Any:
    """The layers that the objectives need; they are thrown away once the encoder has learned."""
    import torch
    from torch import nn

    heads: dict[str, Any] = {}
    if MASKED in recipe.objectives:
        heads[MASKED] = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        heads["mlm_bias"] = nn.ParameterList([torch.zeros(words)])
    if RATING in recipe.objectives:
        heads[RATING] = nn.Linear(width, 1, bias=False)
        thresholds = torch.linspace(-1.0, 1.0, max(levels - 1, 1))
        heads["thresholds"] = nn.ParameterList([thresholds])
    if SPEND in recipe.objectives:
        heads["value"] = nn.Linear(width, 1)
    return nn.ModuleDict(heads)


class Objectives:
    """The losses of a batch, by the objective's name."""

    def __init__(self, model: Any, heads: Any, tokens: Tokens, recipe: Recipe) -> None:
        self._model, self._heads, self._tokens, self._recipe = model, heads, tokens, recipe

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The mean loss of each; one that none of the texts has a label for is left out."""
        asked, found = self._recipe.objectives, dict[str, Any]()
        vectors = None
        if set(asked) - {MASKED} and not (batch.halves and set(asked) <= {CONTRASTIVE, MASKED}):
            vectors = self._vectors(batch.ids, batch.held)
        if CONTRASTIVE in asked:
            found[CONTRASTIVE] = self._contrastive(batch, vectors)
        if MASKED in asked:
            found[MASKED] = self._masked(batch)
        if RATING in asked and bool((batch.level != NO_LEVEL).any()):
            found[RATING] = self._rating(vectors, batch.level)
        if SPEND in asked and not bool(batch.spend.isnan().all()):
            found[SPEND] = self._spend(vectors, batch.spend)
        return found

    def _hidden(self, ids: Tensor, held: Tensor) -> Any:
        return self._model(input_ids=ids, attention_mask=held.long()).last_hidden_state.float()

    def _vectors(self, ids: Tensor, held: Tensor) -> Any:
        """As the encoder gives them: the mean over the tokens, of length 1."""
        from torch.nn import functional

        hidden, counted = self._hidden(ids, held), held[:, :, None].float()
        return functional.normalize((hidden * counted).sum(1) / counted.sum(1), dim=1)

    def _contrastive(self, batch: Batch, vectors: Any) -> Any:
        """Each text has to be told from the others by another dropout of it, or its other half."""
        import torch
        from torch.nn import functional

        if batch.halves:
            one, other = (self._vectors(*half) for half in batch.halves)
        else:
            one, other = vectors, self._vectors(batch.ids, batch.held)
        cosine = one @ other.T / self._recipe.number("temperature")
        own = torch.arange(len(cosine), device=cosine.device)
        # The same words in another review are no other text.
        same = batch.is_same & (own[:, None] != own[None, :])
        return functional.cross_entropy(cosine.masked_fill(same, -math.inf), own)

    def _masked(self, batch: Batch) -> Any:
        """Words that were hidden have to be told from those beside them."""
        import torch
        from torch.nn import functional

        tokens, ids = self._tokens, batch.ids
        is_word = batch.held & (ids != tokens.opening) & (ids != tokens.closing)
        # Drawn on the CPU, so that a GPU draws the same.
        chance = torch.rand(ids.shape).to(ids.device)
        asked = is_word & (chance < self._recipe.number("mask_share"))
        if not bool(asked.any()):
            asked = is_word & (torch.cumsum(is_word.long(), 1) == 1)
        way = torch.rand(ids.shape).to(ids.device)
        other = torch.randint(tokens.words, ids.shape).to(ids.device)
        shown = torch.where(asked & (way >= KEPT + SWAPPED), tokens.mask, ids)
        shown = torch.where(asked & (way < SWAPPED), other, shown)
        hidden = self._heads[MASKED](self._hidden(shown, batch.held)[asked])
        table = self._model.get_input_embeddings().weight
        logits = hidden @ table.T + self._heads["mlm_bias"][0]
        return functional.cross_entropy(logits, ids[asked])

    def _rating(self, vectors: Any, level: Tensor) -> Any:
        """P(rating above the k-th level) = sigmoid(score − threshold k)."""
        import torch
        from torch.nn import functional

        known = level != NO_LEVEL
        thresholds = self._heads["thresholds"][0]
        score = self._heads[RATING](_scaled(vectors[known]))
        above = (level[known][:, None] > torch.arange(len(thresholds), device=level.device)).float()
        return functional.binary_cross_entropy_with_logits(score - thresholds, above)

    def _spend(self, vectors: Any, spend: Tensor) -> Any:
        """Squared error of the standardised log of later spend."""
        known = ~spend.isnan()
        told = self._heads["value"](_scaled(vectors[known]))[:, 0]
        return ((told - spend[known]) ** 2).mean()


def _scaled(vectors: Any) -> Any:
    """Vectors of length 1 with numbers about 1, as layers are made for."""
    return vectors * math.sqrt(vectors.shape[1])
