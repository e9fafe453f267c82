"""Growing trees in a process of its own: a trainer that is part of a worker must not keep LightGBM's 190 MB."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.adapters.models.gbdt import LightGbm, OnnxTrees
from clarion.kernel.errors import Permanent, Transient

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

DEADLINE_S: Final = 900.0
_REFUSED: Final = 3
"""Exit code where it said why on its standard error."""


class SeparateGrower:
    """`intelligence.training.challenger.Grower` that blocks its thread until another process has grown them."""

    def grow(self, inputs: FloatArray, answered: BoolArray, expected: DoubleArray) -> bytes:
        """See `Grower.grow`. Raises Transient where the process was ended before it was done."""
        given = io.BytesIO()
        np.savez(given, inputs=inputs, answered=answered, expected=expected)
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__],
                input=given.getvalue(),
                capture_output=True,
                timeout=DEADLINE_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Transient(f"trees were not grown within {DEADLINE_S:.0f} s") from None
        if done.returncode == _REFUSED:
            raise Permanent(done.stderr.decode(errors="replace").strip())
        if done.returncode:
            raise Transient(f"what grows trees ended with {done.returncode}")
        return done.stdout

    def open(self, artefact: bytes) -> OnnxTrees:
        """What an artefact holds; see `Grower.open`."""
        return OnnxTrees(artefact)


def main() -> int:
    """Grow trees of the arrays on standard input, and write the artefact to standard output."""
    arrays = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    try:
        artefact = LightGbm().grow(arrays["inputs"], arrays["answered"], arrays["expected"])
    except Permanent as error:
        sys.stderr.write(error.detail)
        return _REFUSED
    sys.stdout.buffer.write(artefact)
    return 0


if __name__ == "__main__":
    sys.exit(main())
