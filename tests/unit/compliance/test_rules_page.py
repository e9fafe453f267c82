from __future__ import annotations

import pytest

from clarion.compliance.rulebook import bundled_rulebook
from tools.rules_page import PAGE, with_table


def test_the_page_of_compliance_has_the_table_of_the_rules():
    page = PAGE.read_text("utf-8")
    assert with_table(page, bundled_rulebook()) == page, "run `make reference`"
    assert all(f"| `{row.id}` |" in page for row in bundled_rulebook().rows)


def test_a_page_without_a_place_for_it_is_told():
    with pytest.raises(ValueError, match="needs"):
        with_table("# Compliance", bundled_rulebook())
