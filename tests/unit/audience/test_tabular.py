"""Rows of a table as users: what a column is, and what a cell means."""

from __future__ import annotations

import re
from typing import Any

import pytest

from clarion.audience.model import DeviceToken
from clarion.audience.profile import DailyWindow, UserItem
from clarion.audience.tabular import EXPORTED_COLUMNS, TableReader, guess, write_row
from clarion.kernel.errors import Invalid


def read(header: str, row: str, **renamed: str) -> UserItem:
    return TableReader(header.split(","), renamed).read(row.split(","))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        ("true", True),
        ("FALSE", False),
        ('["a", 1]', ["a", 1]),
        ('{"a": null}', {"a": None}),
        # What would not come back as it was is text.
        ("007", "007"),
        ("1.50", "1.50"),
        ("-0", "-0"),
        ("1e5", "1e5"),
        ("+49 170", "+49 170"),
        ("1234567890123456789012", "1234567890123456789012"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ("٣", "٣"),
        ("[not json", "[not json"),
        ("nan", "nan"),
        ("2026-11-22", "2026-11-22"),
        (" 12", " 12"),
    ],
)
def test_a_cell_is_a_number_or_a_word_only_where_nothing_is_lost(cell: str, value: Any):
    assert guess(cell) == value
    assert type(guess(cell)) is type(value)


def test_known_columns_are_the_profile_and_all_others_attributes():
    user = read("user_id,email,country,Plan,orders", "ada,ada@example.org,de,pro,12")
    assert user == UserItem(
        user_id="ada", email="ada@example.org", country="de", attributes={"Plan": "pro", "orders": 12}
    )


def test_an_empty_cell_is_not_there():
    assert read("user_id,email,plan", "ada,,") == UserItem(user_id="ada")


def test_columns_can_have_other_names_and_keep_their_text():
    table = TableReader(["ID", " E-Mail ", "zip"], {"ID": "user_id", "E-Mail": "email"}, ["zip"])
    assert table.read(["7", "a@example.org", "12345"]) == UserItem(
        user_id="7", email="a@example.org", attributes={"zip": "12345"}
    )


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (
            ["email", "name"],
            "no column is 'user_id'; there are: email, name. Name one with --map COLUMN=user_id",
        ),
        (["user_id", "email", "email"], "two columns are 'email'"),
        (["user_id", "", "email"], "column 2 has no name"),
        (["user_id", *(f"c{i}" for i in range(1000))], "1001 columns"),
    ],
)
def test_a_wrong_header_is_told(header: list[str], says: str):
    with pytest.raises(Invalid, match=re.escape(says)):
        TableReader(header, {})


def test_a_column_that_is_renamed_must_be_there():
    with pytest.raises(Invalid, match="no column 'Mail'; there are: user_id"):
        TableReader(["user_id"], {"Mail": "email"})


@pytest.mark.parametrize(
    ("header", "cells", "says"),
    [
        ("user_id,email", ["ada"], "has 1 cells, where the header has 2"),
        ("user_id,email", ["ada", "x", "y"], "has 3 cells, where the header has 2"),
        ("user_id,email", ["", "a@example.org"], "user_id"),
        ("user_id,quiet_hours", ["ada", "night"], "is no window such as 22:00-07:00"),
        ("user_id,device_tokens", ["ada", "{"], "is no JSON"),
        ("user_id,attributes", ["ada", "[1]"], "attributes"),
        ("user_id,preferred_channel", ["ada", "pigeon"], "pigeon"),
        ("user_id", ["x" * 201], "user_id"),
    ],
)
def test_a_wrong_row_is_told(header: str, cells: list[str], says: str):
    with pytest.raises(Invalid, match=re.escape(says)):
        TableReader(header.split(","), {}).read(cells)


def test_what_is_exported_is_read_as_it_was():
    user = UserItem(
        user_id="ada",
        email="ada@example.org",
        device_tokens=[DeviceToken("ios", "t")],
        timezone="Europe/Berlin",
        attributes={"zip": "00123", "n": 1.5, "list": ["a", None], "text": 'with "quotes", and\nlines'},
        preferences={"marketing": ["sms"]},
        quiet_hours=DailyWindow("21:30", "07:00"),
    )
    assert TableReader(EXPORTED_COLUMNS, {}).read(write_row(user)) == user
