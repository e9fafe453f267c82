"""Check the repository that this file belongs to: one line per finding, exit 1 if there is any."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.lint.repository import check_repository


def main() -> int:
    """Print the findings and how many there are; the exit code."""
    findings = check_repository(Path(__file__).parents[2])
    for finding in findings:
        print(finding)
    print(f"house rules: {len(findings)} findings" if findings else "house rules: kept")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
