"""How a report says what is predicted: spend, margin, orders, or the shop's own labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """`to_bring` and `brought` hold {}, for the amount; `more` is what a lucky customer does.

    `did` is what the best did, `unit` what it is counted in, '' for the shop's currency.
    """

    noun: str
    to_bring: str
    brought: str
    more: str
    did: str
    unit: str = ""


WORDS = {
    "spend": Words("spend", "to spend {}", "spent {}", "spends", "spent"),
    "margin": Words(
        "margin", "to bring a margin of {}", "brought a margin of {}", "brings", "brought"
    ),
    "orders": Words(
        "orders", "to place {} orders", "placed {} orders", "orders", "ordered", "orders"
    ),
    "labels": Words(
        "label value",
        "to be worth {} by the shop's labels",
        "were worth {}",
        "is worth",
        "was worth",
        "labels",
    ),
}
