"""Philox: random bits as a function of a counter and a key, in tensor operations that every device has."""

from jaxtyping import Int64
from torch import Tensor

Word = Int64[Tensor, "..."]
"""Numbers from 0 to 2^32 - 1."""
Counter = tuple[Word, Word, Word, Word]
Key = tuple[Word, Word]

MASK = 2**32 - 1
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
"""What the key grows by from round to round."""


def philox4x32(counter: Counter, key: Key) -> Counter:
    """Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").

    Args:
        counter, key: words, lowest first; their shapes broadcast.

    Returns:
        Four random words for each counter and key.
    """
    c_0, c_1, c_2, c_3 = counter
    k_0, k_1 = key
    for _ in range(ROUNDS):
        high_0, low_0 = _product(c_0, MULTIPLIERS[0])
        high_1, low_1 = _product(c_2, MULTIPLIERS[1])
        c_0, c_1, c_2, c_3 = high_1 ^ c_1 ^ k_0, low_1, high_0 ^ c_3 ^ k_1, low_0
        k_0, k_1 = (k_0 + WEYL[0]) & MASK, (k_1 + WEYL[1]) & MASK
    return c_0, c_1, c_2, c_3


def _product(a: Word, b: int) -> tuple[Word, Word]:
    """High and low word; int64 wraps around, so its 64 bits are those of the unsigned product."""
    product = a * b
    return (product >> 32) & MASK, product & MASK
