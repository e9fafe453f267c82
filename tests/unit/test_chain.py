"""A chain of hashes tells which row was tampered with."""

from __future__ import annotations

import pytest

from clarion.compliance.chain import Linked, canonical, find_break, link_all, origin

TENANT = b"t" * 16
ROWS = [canonical([i, "email", True, None, b"\x00", ["a", "b"]]) for i in range(5)]


def chain_of(contents: list[bytes]) -> list[Linked]:
    hashes = link_all(origin("consent", TENANT), contents)
    return [Linked(i, *pair) for i, pair in enumerate(zip(contents, hashes, strict=True), start=1)]


def test_an_untouched_chain_has_no_break() -> None:
    assert find_break(origin("consent", TENANT), 0, chain_of(ROWS)) is None


def test_a_chain_can_be_followed_from_any_row() -> None:
    rows = chain_of(ROWS)
    assert find_break(rows[2].hash, 3, rows[3:]) is None


@pytest.mark.parametrize("nth", range(5))
def test_a_changed_row_is_named(nth: int) -> None:
    rows = chain_of(ROWS)
    rows[nth] = Linked(nth + 1, canonical(["changed"]), rows[nth].hash)
    found = find_break(origin("consent", TENANT), 0, rows)
    assert found is not None
    assert found.number == nth + 1


@pytest.mark.parametrize("nth", range(4))
def test_a_row_that_was_cut_out_is_named(nth: int) -> None:
    rows = chain_of(ROWS)
    del rows[nth]
    found = find_break(origin("consent", TENANT), 0, rows)
    assert found is not None
    assert found.number == nth + 1


@pytest.mark.parametrize(("chain", "tenant"), [("audit", TENANT), ("consent", b"u" * 16)])
def test_a_row_of_another_chain_or_tenant_does_not_fit(chain: str, tenant: bytes) -> None:
    found = find_break(origin(chain, tenant), 0, chain_of(ROWS))
    assert found is not None
    assert found.number == 1


def test_a_row_hashed_anew_breaks_the_next() -> None:
    rows = chain_of(ROWS)
    forged = canonical(["forged"])
    rows[1] = Linked(2, forged, link_all(rows[0].hash, [forged])[0])
    found = find_break(origin("consent", TENANT), 0, rows)
    assert found is not None
    assert found.number == 3
