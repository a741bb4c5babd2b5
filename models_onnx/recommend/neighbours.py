"""Nearest rows of a sparse matrix, block by block, so that no square matrix is ever held."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import sparse

from cva_sql.models_onnx.recommend.baskets import Floats, Scores

BLOCK = 512  # rows at a time: 512 x 50,000 floats are 100 MB


def scaled_rows(matrix: sparse.csr_array, factor: Floats) -> sparse.csr_array:
    """Each row times its factor."""
    return sparse.csr_array(sparse.diags_array(factor) @ matrix)


def row_lengths(matrix: sparse.csr_array) -> Floats:
    """Euclidean length of each row, 1 for an empty one."""
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return np.where(length > 0, length, 1.0)


def keep_largest(dense: Scores, count: int) -> sparse.csr_array:
    """The `count` largest positive entries of each row, the rest left out."""
    rows, columns = dense.shape
    if count < columns:
        place = np.argpartition(-dense, count - 1, axis=1)[:, :count]
    else:
        place = np.broadcast_to(np.arange(columns), (rows, columns))
    values = np.take_along_axis(dense, place, axis=1)
    kept = values > 0
    row = np.broadcast_to(np.arange(rows)[:, None], place.shape)
    return sparse.csr_array((values[kept], (row[kept], place[kept])), shape=dense.shape)


def turned(matrix: sparse.csr_array) -> sparse.csr_array:
    """The transpose by rows, in single floats: what similar_rows is quickest with."""
    return sparse.csr_array(sparse.csc_array(matrix.T).tocsr().astype(np.float32))


def similar_rows(
    left: sparse.csr_array, other: sparse.csr_array, count: int, *, is_square: bool
) -> sparse.csr_array:
    """left @ other with only the `count` largest of each row; without the diagonal if square.

    No entry may be below 0.
    """
    left = left.astype(np.float32)
    blocks = []
    for start in range(0, left.shape[0], BLOCK):
        found = sparse.csr_array(left[start : start + BLOCK] @ other)
        if is_square:
            row = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
            found.data[found.indices == row + start] = 0.0
        found.eliminate_zeros()
        blocks.append(_largest_of_rows(found, count))
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _largest_of_rows(matrix: sparse.csr_array, count: int) -> sparse.csr_array:
    """The `count` largest entries of each row: of those that there are, not of all columns."""
    values, ends = matrix.data.astype(np.float32), matrix.indptr.tolist()
    kept = []
    for start, end in pairwise(ends):
        place = np.arange(start, end)
        if len(place) > count:
            place = start + np.argpartition(-values[start:end], count - 1)[:count]
        kept.append(place)
    places = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
    sizes = np.minimum(np.diff(matrix.indptr), count)
    return sparse.csr_array(
        (values[places], matrix.indices[places], np.r_[0, np.cumsum(sizes)]), shape=matrix.shape
    )
