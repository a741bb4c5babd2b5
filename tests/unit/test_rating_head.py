"""The head that tells ratings from texts: what it learns, says, keeps and refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cva_sql.models_onnx.encoder.rating_head import Rated, fit_rating_head
from cva_sql.udfs.projection import DIMENSION
from cva_sql.udfs.rating import FOLDS, RatingHead, terms_of


def rated(count: int = 400, *, bad: float = 0.2, seed: int = 1) -> Rated:
    """Piece 7 is of complaints alone; the first direction of the vector tells half as much."""
    rng = np.random.default_rng(seed)
    is_bad = rng.random(count) < bad
    ratings = np.where(is_bad, rng.integers(1, 3, count), rng.integers(4, 6, count)).astype(float)
    pieces = [
        [*map(int, rng.integers(10, 40, 8)), *([7] if one and rng.random() < 0.8 else [])]
        for one in is_bad
    ]
    vectors = rng.normal(size=(count, DIMENSION)) * 0.05
    vectors[:, 0] -= 0.1 * is_bad
    sentiments = np.clip(rng.normal(0.3, 0.3, count) - 0.2 * is_bad, -1, 1)
    folds = rng.permutation(np.arange(count) % FOLDS)
    return Rated(pieces, vectors, sentiments, ratings, np.arange(count), folds)


def test_ratings_are_told_on_customers_that_it_did_not_learn_from() -> None:
    given = rated()
    learned = fit_rating_head(given, "key")
    assert learned is not None
    bad = given.ratings < 3
    assert learned.out_of_fold[bad].mean() < learned.out_of_fold[~bad].mean() - 1.5
    plain = ((given.ratings - given.ratings.mean()) ** 2).mean()
    assert ((learned.out_of_fold - given.ratings) ** 2).mean() < 0.6 * plain


def test_what_is_kept_says_the_same_of_each_fold() -> None:
    given = rated()
    learned = fit_rating_head(given, "key")
    assert learned is not None
    head = RatingHead.from_dict(json.loads(json.dumps(learned.head.to_dict())))
    assert (head.encoder_key, head.terms) == ("key", learned.head.terms)
    for row in range(0, 400, 37):
        said = head.apply(given.pieces[row], given.vectors[row], float(given.sentiments[row]))
        assert said.shape == (FOLDS,)
        assert said[given.folds[row]] == pytest.approx(learned.out_of_fold[row], abs=1e-3)


def test_a_fold_is_not_changed_by_its_own_ratings() -> None:
    given = rated()
    other = np.where(given.folds == 2, 6 - given.ratings, given.ratings)
    one, two = (
        fit_rating_head(replace(given, ratings=ratings), "key")
        for ratings in (given.ratings, other)
    )
    assert one is not None
    assert two is not None
    for name in ("words", "vector", "sentiment", "level"):
        assert np.array_equal(getattr(one.head, name)[2], getattr(two.head, name)[2])
        assert not np.array_equal(getattr(one.head, name)[1], getattr(two.head, name)[1])


def test_a_term_is_kept_where_three_people_wrote_it() -> None:
    given = rated()
    pieces = [[*own, 99] if row < 3 else own for row, own in enumerate(given.pieces)]
    for people, is_kept in ((given.people, True), (np.maximum(given.people, 1), False)):
        learned = fit_rating_head(replace(given, pieces=pieces, people=people), "key")
        assert learned is not None
        assert ("99" in learned.head.terms) == is_kept


@pytest.mark.parametrize(
    "given",
    [rated(60), rated(bad=0.0), replace(rated(), folds=np.zeros(400, dtype=np.int64))],
)
def test_too_few_of_either_kind_or_one_fold_teach_nothing(given: Rated) -> None:
    assert fit_rating_head(given, "key") is None


def test_terms_are_pieces_alone_and_two_in_a_row() -> None:
    assert list(terms_of([3, 4, 3])) == ["3", "4", "3", "3 4", "4 3"]
    assert list(terms_of([])) == []


def test_an_unknown_text_gets_the_level_and_a_wild_one_stays_in_range() -> None:
    head = RatingHead(
        "key",
        ("1",),
        np.ones(1),
        np.full((FOLDS, 1), 9.0),
        np.zeros((FOLDS, DIMENSION)),
        np.zeros(FOLDS),
        np.full(FOLDS, 4.5),
    )
    assert head.apply([2], np.zeros(DIMENSION), None).tolist() == [4.5] * FOLDS
    assert head.apply([1], np.zeros(DIMENSION), 0.0).tolist() == [5.0] * FOLDS


@pytest.mark.parametrize(
    ("name", "value"), [("idf", [1.0]), ("level", [1.0] * 4), ("vector", [[float("inf")]])]
)
def test_a_head_that_does_not_fit_together_is_refused(name: str, value: object) -> None:
    learned = fit_rating_head(rated(), "key")
    assert learned is not None
    with pytest.raises(ValueError, match=r"shapes|finite"):
        RatingHead.from_dict({**learned.head.to_dict(), name: value})
