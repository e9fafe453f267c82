"""What chance has for the rows of a batch: the dice that a decision, which has none of its own, is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.kernel.dice import fractions
from clarion.kernel.ids import low64
from clarion.kernel.local_time import IntArray

ChanceArray: TypeAlias = npt.NDArray[np.float64]

_WHETHER: Final = int.from_bytes(b"whether", "big")
_WHICH: Final = int.from_bytes(b"which", "big")


@dataclass(frozen=True, slots=True, eq=False)
class Lots:
    """The lot of each row. `rate` [B]: how often rows of its kind try something else than the best (`explore`).

    `whether`, `which` [B]: its dice, fractions in [0, 1). `holdout` [B]: mask of the features from which the user is
    held out; kept with the decision, and nothing else.
    """

    rate: ChanceArray
    whether: ChanceArray
    which: ChanceArray
    holdout: IntArray

    def part(self, rows: slice) -> Lots:
        """The lots of these rows."""
        return Lots(self.rate[rows], self.whether[rows], self.which[rows], self.holdout[rows])


def draw_lots(idents: bytes, rate: Sequence[float], holdout: Sequence[int]) -> Lots:
    """The lots of notifications with these ids (16 bytes each): the same id has the same lot."""
    low = low64(idents)
    return Lots(np.array(rate), fractions(low, _WHETHER), fractions(low, _WHICH), np.array(holdout, np.int64))


def no_lots(rows: int) -> Lots:
    """Of rows of which none tries anything, and whose users are not held out."""
    never = np.zeros(rows)
    return Lots(never, never, never, np.zeros(rows, np.int64))
