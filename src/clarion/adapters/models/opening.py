"""Trees that serve, opened beside the decisions that ask for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Final

from clarion.adapters.models.gbdt import OnnxTrees
from clarion.kernel.errors import Permanent

KEPT: Final = 256
"""Trees that are held open, of the tenants that were asked about last: some 300 kB each."""


class OpenedTrees:
    """`intelligence.models.trees.TreesSource`: opened in a thread, once, and kept. Not for several threads."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """`tell`: called with why, once for each artefact that cannot be opened."""
        self._tell = tell
        self._opened: OrderedDict[bytes, OnnxTrees | None] = OrderedDict()
        self._opening: set[bytes] = set()
        self._thread = ThreadPoolExecutor(1, "open-trees")
        # Held for dictionary work only: what is asked for may be what is thrown out just now.
        self._changing = threading.Lock()

    def opened(self, grown: bytes) -> OnnxTrees | None:
        """The trees of an artefact; see `TreesSource.opened`. The first call begins to open them."""
        # An artefact is its own key: a bytes object is hashed once, and models keep theirs.
        with self._changing:
            if grown in self._opened:
                self._opened.move_to_end(grown)
                return self._opened[grown]
            if grown not in self._opening:
                self._opening.add(grown)
                self._thread.submit(self._open, grown)
        return None

    def _open(self, grown: bytes) -> None:
        trees: OnnxTrees | None = None
        try:
            trees = OnnxTrees(grown)
        except Exception as error:  # noqa: BLE001  whatever it is, somebody has to hear of it
            why = error.detail if isinstance(error, Permanent) else type(error).__name__
            self._tell(f"{why} (sha256 {sha256(grown).hexdigest()[:12]})")
        with self._changing:
            self._opened[grown] = trees
            if len(self._opened) > KEPT:
                self._opened.popitem(last=False)
            self._opening.discard(grown)
