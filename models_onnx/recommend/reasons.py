"""What a reason says, in each language that `cva_language` can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cva_sql.models_onnx.recommend.candidates import bought_together, content, item_knn

SHORTEST_RHYTHM = 2  # days: below, a rhythm is several orders in one go
OFTEN = 3  # orders: two on a day or the next may be one that was split
LATELY_DAYS = 365  # without the product, and twice the rhythm: what was a habit is none any more


@dataclass(frozen=True)
class Words:
    """Sentences with {days} or {product} left open; `pairs` by what makes two products alike."""

    every: str
    again: str
    before: str
    seen: str
    seen_with: str
    pairs: Mapping[str, str]
    similar: str
    many: str

    @property
    def own(self) -> tuple[str, ...]:
        """Those of what the customer has."""
        return (self.every, self.again, self.before)

    @property
    def all(self) -> tuple[str, ...]:
        """Every sentence, the more particular before what it is a part of."""
        pairs = self.pairs.values()
        return (*self.own, self.seen, self.seen_with, *pairs, self.similar, self.many)

    def own_habit(self, told: Mapping[str, float]) -> str:
        """Of a product that the customer has: the rhythm, if it lasts."""
        days, orders = round(told["gap"]), told["bought"]
        if told["days_since_bought"] > max(LATELY_DAYS, 2 * days) or orders < 2:
            return self.before
        if days >= SHORTEST_RHYTHM:
            return self.every.format(days=days)
        return self.again if orders >= OFTEN else self.before


WORDS: Mapping[str, Words] = {
    "en": Words(
        "you buy this every {days} days",
        "you buy this often",
        "you bought this before",
        "you looked at this",
        "often bought with {product}, which you looked at",
        {
            "bought_together": bought_together.CANDIDATE.reason,
            "same_customers": item_knn.CANDIDATE.reason,
            "content": content.CANDIDATE.reason,
        },
        "customers like you buy this now",
        "many customers buy this now",
    ),
    "zh": Words(
        "您每 {days} 天购买一次",
        "您经常购买",
        "您曾经购买过",
        "您浏览过",
        "常与您浏览过的“{product}”一起购买",
        {
            "bought_together": "常与“{product}”一起购买",
            "same_customers": "购买“{product}”的顾客也购买",
            "content": "与“{product}”相似",
        },
        "与您相似的顾客近期在购买",
        "近期很多顾客在购买",
    ),
}
TEMPLATES = tuple(text for words in WORDS.values() for text in words.all)
OWN = tuple(text for words in WORDS.values() for text in words.own)


def words_of(language: str) -> Words:
    """The words of a language; English for one that a project added."""
    return WORDS.get(language, WORDS["en"])
