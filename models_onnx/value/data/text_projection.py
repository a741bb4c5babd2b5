"""Fits the projection of text vectors that the value model reads: principal components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.projection import DECIMALS, MAX_COMPONENTS, TextProjection

MIN_TEXTS = 200  # distinct ones; fewer do not tell sixteen directions from noise
MAX_TEXTS = 20_000  # a fit takes a second on these; a share of a larger shop's texts will do
SMALLEST_SHARE = 1e-6  # of the variance; a component below is rounding, its direction chance


def fit_text_projection(
    embeddings: NDArray[np.float32], encoder_key: str, components: int = MAX_COMPONENTS
) -> TextProjection | None:
    """Centred PCA of distinct texts' vectors (n, 384); None where they are too few or all alike.

    At most so many `components`, those of the largest variance. The first MAX_TEXTS are used: pass
    them in order of text_hash, which is as good as a sample and the same every time. The largest
    loading of each component is positive.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    vectors = embeddings[:MAX_TEXTS].astype(np.float64)
    if len(vectors) < MIN_TEXTS:
        return None
    pca = PCA(n_components=MAX_COMPONENTS, svd_solver="covariance_eigh")
    with threadpool_limits(1):  # products shared between threads differ in their last bits
        pca.fit(vectors)
    variance = float(pca.explained_variance_.sum())
    kept = pca.explained_variance_ > SMALLEST_SHARE * variance
    if not variance > 1e-12 or not kept.any():
        return None
    loadings = np.round(pca.components_[kept], DECIMALS)[:components]
    largest = np.argmax(np.abs(loadings), axis=1)
    signs = np.sign(loadings[np.arange(len(loadings)), largest])
    # + 0: a rounded loading may be a negative zero
    return TextProjection(
        loadings * signs[:, np.newaxis] + 0.0, np.round(pca.mean_, DECIMALS) + 0.0, encoder_key
    )
