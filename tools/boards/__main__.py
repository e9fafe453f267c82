"""`python -m tools.boards`: write the dashboards under deploy/grafana anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tools.boards.delivery import DELIVERY
from tools.boards.journeys import JOURNEYS
from tools.boards.learning import LEARNING
from tools.boards.model import Board, rendered

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
BOARDS: Final[tuple[Board, ...]] = (DELIVERY, JOURNEYS, LEARNING)


def main() -> int:
    """Write each board to a file of its name."""
    for board in BOARDS:
        (FOLDER / f"{board.name}.json").write_text(rendered(board), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
