"""`python -m tools.rule_tables`: write the zones and the public holidays that the rules need anew, from libraries.

The tables are committed: `holidays` takes two seconds to import, and what a release decides must not depend on which
version of it a machine has. `tests/unit/compliance/test_rule_tables.py` holds them to the libraries.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import holidays

RULES: Final = Path(__file__).parents[1] / "src" / "clarion" / "compliance" / "rules"
YEARS: Final = range(2024, 2033)
CLOSED_ON_HOLIDAYS: Final = ("FR",)
"""Countries whose rules say that nothing is sent on public holidays."""

_DAY_S: Final = 86_400


def holidays_text() -> str:
    """`holidays.toml`: by country the public holidays of `YEARS`."""
    lines = [f"# Written by tools/rule_tables.py: public holidays, {YEARS[0]} to {YEARS[-1]}.", ""]
    for country in CLOSED_ON_HOLIDAYS:
        days = sorted(holidays.country_holidays(country, years=YEARS))
        by_year: dict[int, list[date]] = defaultdict(list)
        for day in days:
            by_year[day.year].append(day)
        lines.append(f"{country} = [")
        for group in by_year.values():
            half = len(group) // 2
            lines += [f"  {', '.join(map(str, part))}," for part in (group[:half], group[half:])]
        lines.append("]")
    return "\n".join(lines) + "\n"


def zones_text() -> str:
    """`zones.toml`: by country one zone for each way its clocks go in `YEARS`; by zone its countries."""
    by_country: dict[str, list[str]] = defaultdict(list)
    countries: dict[str, set[str]] = defaultdict(set)
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            by_country[country].append(zone)
            countries[zone].add(country)
    # Other names of the same clocks (US/Eastern, Asia/Calcutta) have the same data as one of the table.
    same: dict[bytes, set[str]] = defaultdict(set)
    for zone, of in countries.items():
        same[_data(zone)] |= of
    for zone in sorted(available_timezones() - countries.keys()):
        # `localtime` and the like are this machine's own, and no part of the database.
        found = same.get(_data(zone)) if _has(zone) else None
        if found:
            countries[zone] = found
    lines = [
        "# Written by tools/rule_tables.py: which clocks the countries have, and whose clocks the zones are."
    ]
    lines += ["", "[countries]"]
    lines += [f"{country} = {_array(_distinct(zones))}" for country, zones in sorted(by_country.items())]
    lines += ["", "[zones]"]
    lines += [f'"{zone}" = {_array(sorted(of))}' for zone, of in sorted(countries.items())]
    return "\n".join(lines) + "\n"


def _has(zone: str) -> bool:
    return files("tzdata").joinpath("zoneinfo", *zone.split("/")).is_file()


def _data(zone: str) -> bytes:
    return files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()


def _distinct(zones: list[str]) -> list[str]:
    """The first of the zones (which are in the order of the table: by population) with each course of offsets."""
    found: dict[tuple[object, ...], str] = {}
    start, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (YEARS[0], YEARS[-1] + 1))
    for zone in zones:
        known = ZoneInfo(zone)
        course = tuple(datetime.fromtimestamp(s, known).utcoffset() for s in range(start, end, _DAY_S // 2))
        found.setdefault(course, zone)
    return list(found.values())


def _array(items: list[str]) -> str:
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


def main() -> int:
    """Write both files."""
    for name, text in (("holidays.toml", holidays_text()), ("zones.toml", zones_text())):
        (RULES / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
