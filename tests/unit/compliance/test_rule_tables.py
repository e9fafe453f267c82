from __future__ import annotations

from importlib.resources import files

from tools.rule_tables import holidays_text, zones_text

RULES = files("clarion.compliance") / "rules"


def test_the_holidays_are_those_of_the_library():
    assert (RULES / "holidays.toml").read_text("utf-8") == holidays_text()


def test_the_zones_are_those_of_the_time_zone_database():
    assert (RULES / "zones.toml").read_text("utf-8") == zones_text()
