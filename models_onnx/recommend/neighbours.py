"""Nearest rows of a sparse matrix, block by block, so that no square matrix is ever held."""

from __future__ import annotations

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


def similar_rows(
    left: sparse.csr_array, right: sparse.csr_array, count: int, *, is_square: bool
) -> sparse.csr_array:
    """left @ right.T with only the `count` largest of each row; without the diagonal if square."""
    other = sparse.csc_array(right.T).tocsr()
    blocks = []
    for start in range(0, left.shape[0], BLOCK):
        dense = (left[start : start + BLOCK] @ other).toarray().astype(np.float32)
        if is_square:
            here = np.arange(dense.shape[0])
            dense[here, start + here] = 0.0
        blocks.append(keep_largest(dense, count))
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))
