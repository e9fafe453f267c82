"""Write the public holidays that rules speak of, for `src/clarion/compliance/rules/holidays.toml`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

YEARS: Final = range(2024, 2033)
COUNTRIES: Final = ("FR",)
"""Those whose rules close holidays."""


def holidays_table() -> str:
    """The table as TOML: days by jurisdiction."""
    library: Any = import_module("holidays")
    lines = [
        "# Made by `python -m tools.holidays_table` from the `holidays` package; a test holds it to it.",
        "",
    ]
    for country in COUNTRIES:
        days = sorted(library.country_holidays(country, years=YEARS))
        lines += [f"{country} = [", *(f"  {day.isoformat()}," for day in days), "]"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(holidays_table())
