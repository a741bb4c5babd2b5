"""What sentiment means: nearer to praise than to complaint, in the encoder's own terms.

No labels are needed: the direction is the mean vector of sentences that praise less the mean vector
of sentences that complain, each phrase said of every thing. The phrases and both constants are
frozen: a sentiment of today and one of next year mean the same with the same encoder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.graph import Sentiment

# Reviews that give three of five stars lie at .005 to .022 along the direction, so the middle of
# them is neutral; one standard deviation among reviews is about .04.
NEUTRAL = 0.015
SHARPNESS = 20.0

THINGS = (
    "dress", "shirt", "shoes", "jacket", "lamp", "blanket", "gift card", "headset", "phone case",
    "watch", "toy", "puzzle", "coffee", "book", "tent", "bag", "mattress", "cream", "knife",
    "charger", "game", "necklace",
)  # fmt: skip
PRAISE = (
    "I love this {}.",
    "The {} is perfect, exactly what I wanted.",
    "Great {}, highly recommended.",
    "The {} arrived quickly and works perfectly.",
    "Very happy with this {}, excellent quality.",
    "The {} is beautiful and well made.",
    "The {} was a great gift, she loved it.",
    "I get so many compliments on this {}.",
    "Good value for the money, a very nice {}.",
    "I will buy this {} again.",
    "The {} fits perfectly and is so comfortable.",
    "So glad I bought the {}.",
    "The {} is even better than I expected.",
    "This {} is my favorite, I use it every day.",
)
COMPLAINT = (
    "I hate this {}.",
    "The {} is awful, not at all what I wanted.",
    "Bad {}, not recommended.",
    "The {} arrived late and does not work.",
    "Very disappointed with this {}, poor quality.",
    "The {} is ugly and badly made.",
    "The {} was a bad gift, she did not like it.",
    "I wanted to love this {}, but I am returning it.",
    "Overpriced and a waste of money, a cheap {}.",
    "I will never buy this {} again.",
    "The {} does not fit and is uncomfortable.",
    "I regret buying the {}.",
    "The {} is much worse than it looks in the picture.",
    "This {} fell apart after a week, I sent it back.",
)


def sentences(phrases: tuple[str, ...]) -> list[str]:
    """Each phrase of each thing."""
    return [phrase.format(thing) for phrase in phrases for thing in THINGS]


def fit_sentiment(praise: NDArray[np.float32], complaint: NDArray[np.float32]) -> Sentiment:
    """The direction from the vectors of both kinds of sentences, each (sentences, width)."""
    direction = praise.mean(axis=0, dtype=np.float64) - complaint.mean(axis=0, dtype=np.float64)
    return Sentiment(direction.astype(np.float32), NEUTRAL, SHARPNESS)
