"""Weights in four bits, as the multilingual package has them: blocks of 32, one scale each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32  # weights that share a scale
BYTES = 2 + BLOCK // 2  # of a block in the package's file: the scale, then two weights a byte
MIDDLE = 8  # what is stored for 0


@dataclass(frozen=True)
class Packed:
    """A matrix of (rows, blocks · 32) weights: (half − 8) · scale.

    `halves` is uint8 (rows, blocks, 16), the first half of a block in the low four bits of each
    byte, the second in the high ones; `scale` is float16 (rows, blocks, 1).
    """

    halves: NDArray[np.uint8]
    scale: NDArray[np.float16]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and weights of a row."""
        rows, blocks, _ = self.halves.shape
        return rows, blocks * BLOCK

    def unpacked(self) -> NDArray[np.float32]:
        """The same weights as float32, `shape`."""
        both = np.concatenate([self.halves & 15, self.halves >> 4], axis=2).astype(np.float32)
        return ((both - MIDDLE) * self.scale.astype(np.float32)).reshape(self.shape)


def read_packed(data: bytes, start: int, rows: int, columns: int) -> Packed:
    """The matrix at this place of a file; raises ValueError where the file ends before it does."""
    blocks = columns // BLOCK
    found = np.frombuffer(data, np.uint8, rows * blocks * BYTES, start).reshape(rows, blocks, BYTES)
    scale = np.ascontiguousarray(found[:, :, :2]).view("<f2")
    return Packed(np.ascontiguousarray(found[:, :, 2:]), scale.astype(np.float16))
