"""`python -m tools.rules_page`: write the table of docs/compliance.md anew, from the rows of `compliance/rules`."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import Final

from clarion.compliance.rule_rows import DAYS, Hours, Row
from clarion.compliance.rulebook import Rulebook, bundled_rulebook

PAGE: Final = Path(__file__).parents[1] / "docs" / "compliance.md"
BEGIN: Final = "<!-- rules: written by tools/rules_page.py -->"
END: Final = "<!-- end of rules -->"

_HEAD: Final = (
    "| Rule | Where | Channel | Class | Consent | Hours and caps | Must say | Opt-out | Since | Source |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)
_WORDS: Final = {
    "none": "–",
    "opt_in": "opt-in",
    "express": "express",
    "written": "express written",
    "double_opt_in": "double opt-in",
}


def with_table(page: str, rulebook: Rulebook) -> str:
    """The page with the table of these rules between its two marks. Raises ValueError where it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs {BEGIN} and {END}")
    return f"{head}{begin}\n\n{_table(rulebook)}\n{end}{tail}"


def _table(rulebook: Rulebook) -> str:
    """A table for each run of rows about the same places, and which version all of it is."""
    parts = [f"Version `{rulebook.version}`, {len(rulebook.rows)} rules.\n"]
    for _, rows in groupby(rulebook.rows, key=lambda row: row.id.partition("-")[0]):
        parts.append(_HEAD + "".join(f"| {' | '.join(_cells(row))} |\n" for row in rows))
    return "\n".join(parts)


def _cells(row: Row) -> list[str]:
    cells = [
        f"`{row.id}`",
        ", ".join(row.places),
        ", ".join(row.channels),
        ", ".join(row.classes)
        + (f"; not {', '.join(row.except_categories)}" if row.except_categories else ""),
        _WORDS[row.consent] + (f"; or {', '.join(row.accepts)}" if row.accepts else ""),
        "; ".join(_times(row)) or "–",
        ", ".join(row.content) or "–",
        row.opt_out or "–",
        "ever" if row.effective_from.year == 1970 else row.effective_from.isoformat(),  # noqa: PLR2004  the first day
        f"{row.source}. {row.note}" if row.note else row.source,
    ]
    return [cell.replace("|", "\\|") for cell in cells]


def _times(row: Row) -> list[str]:
    times = [f"{_days(hours)} {hours.start}–{hours.end}".strip() for hours in row.hours]
    if row.holidays:
        times.append(f"not on holidays of {row.holidays}")
    if row.hours and not row.law:
        times.append("*good manners*")
    return times + [f"at most {cap.count} in {cap.hours} h" for cap in row.caps]


def _days(hours: Hours) -> str:
    if hours.days == DAYS:
        return ""
    first, last = hours.days[0].capitalize(), hours.days[-1].capitalize()
    return first if first == last else f"{first}–{last}"


def main() -> int:
    """Write the page."""
    PAGE.write_text(with_table(PAGE.read_text("utf-8"), bundled_rulebook()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
