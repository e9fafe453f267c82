"""Users as rows of a table: which column is what, and what a cell's text means."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, cast

import msgspec

from clarion.audience.profile import UserItem, UserProfile
from clarion.kernel.errors import Invalid

ID_COLUMN: Final = "user_id"
PLAIN_COLUMNS: Final = frozenset(
    {
        ID_COLUMN,
        "email",
        "phone",
        "timezone",
        "language",
        "country",
        "region",
        "preferred_channel",
    }
)
"""Fields of a profile whose cells are text."""

JSON_COLUMNS: Final = frozenset({"device_tokens", "attributes", "preferences"})
"""Fields of a profile whose cells are JSON. Those of `quiet_hours` are `22:00-07:00`."""

EXPORTED_COLUMNS: Final = (ID_COLUMN, *(f for f in UserProfile.__struct_fields__ if f != ID_COLUMN))
"""The columns that an export has: all of a profile, so that importing it again changes nothing."""

MAX_COLUMNS: Final = 1000

_INTEGER: Final = re.compile(r"-?(0|[1-9]\d{0,17})")
_DECIMAL: Final = re.compile(r"-?(0|[1-9]\d{0,14})\.\d{1,15}")
_WORDS: Final = {"true": True, "false": False, "True": True, "False": False, "TRUE": True, "FALSE": False}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


Understand: TypeAlias = Callable[[str], Any]
"""What a cell's text means."""


class TableReader:
    """Rows of one table as users. Columns that are no field of a profile become attributes."""

    def __init__(
        self, header: Sequence[str], renamed: Mapping[str, str], as_text: Collection[str] = ()
    ) -> None:
        """Raise Invalid where the header is none: no column for the user's id, or two columns of one name.

        `renamed` gives columns another name (`{"E-Mail": "email"}`); attributes `as_text` keep their text as it is.
        """
        names = [renamed.get(name.strip(), name.strip()) for name in header]
        self._check(names, [name.strip() for name in header], renamed)
        # Where a cell goes, and what makes its text a value (None: it is one).
        self._columns = [
            (name, _FIELDS[name], False)
            if name in _FIELDS
            else (name, None if name in as_text else guess, True)
            for name in names
        ]
        self.width = len(names)

    @staticmethod
    def _check(names: Sequence[str], header: Sequence[str], renamed: Mapping[str, str]) -> None:
        if len(names) > MAX_COLUMNS:
            raise Invalid(f"the header has {len(names)} columns, where {MAX_COLUMNS} are the most")
        if missing := [name for name in renamed if name not in header]:
            raise Invalid(f"there is no column {missing[0]!r}; there are: {', '.join(header)}")
        if twice := [name for name in names if names.count(name) > 1]:
            raise Invalid(f"two columns are {twice[0]!r}")
        if not all(names):
            raise Invalid(f"column {names.index('') + 1} has no name")
        if ID_COLUMN not in names:
            detail = f"no column is {ID_COLUMN!r}; there are: {', '.join(header)}. Name one with --map"
            raise Invalid(f"{detail} COLUMN={ID_COLUMN}")

    def read(self, cells: Sequence[str]) -> UserItem:
        """The user of one row. An empty cell is a value that is not there. Raises Invalid with the column."""
        if len(cells) != self.width:
            raise Invalid(f"has {len(cells)} cells, where the header has {self.width}")
        profile: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        for (name, understand, is_attribute), cell in zip(self._columns, cells, strict=True):
            if cell:
                value = cell if understand is None else understand(cell)
                if is_attribute:
                    attributes[name] = value
                else:
                    profile[name] = value
        listed = profile.setdefault("attributes", {})
        if isinstance(listed, dict):
            cast("dict[str, Any]", listed).update(attributes)
        try:
            return msgspec.convert(profile, UserItem)
        except msgspec.ValidationError as error:
            raise Invalid(str(error)) from None


def guess(cell: str) -> Any:  # noqa: ANN401  any JSON
    """A cell's text as the value that it is plainly meant to be; text wherever anything of it would be lost.

    `12` and `-0.5` are numbers, `true` is a word of its own; `007`, `1.50` and `+49 170` stay text. What reads as a
    JSON list or object is one.
    """
    first = cell[0]
    if first.isalpha():
        return _WORDS.get(cell, cell)
    if first in "[{":
        try:
            return _decode(cell)
        except msgspec.DecodeError:
            return cell
    if _INTEGER.fullmatch(cell):
        return cell if cell == "-0" else int(cell)
    if _DECIMAL.fullmatch(cell) and repr(float(cell)) == cell:
        return float(cell)
    return cell


def write_row(user: UserItem) -> list[str]:
    """The cells of one user, in the order of `EXPORTED_COLUMNS`. `TableReader` reads the same user from them."""
    return [_cell(name, getattr(user, name)) for name in EXPORTED_COLUMNS]


def _window(cell: str) -> dict[str, str]:
    start, dash, end = cell.partition("-")
    if not dash:
        raise Invalid("is no window such as 22:00-07:00", "quiet_hours")
    return {"start": start.strip(), "end": end.strip()}


def _json(name: str, cell: str) -> Any:  # noqa: ANN401  any JSON
    try:
        return _decode(cell)
    except msgspec.DecodeError as error:
        raise Invalid(f"is no JSON: {error}", name) from None


_FIELDS: Final[dict[str, Understand | None]] = {
    **dict.fromkeys(PLAIN_COLUMNS),
    **{name: partial(_json, name) for name in JSON_COLUMNS},
    "quiet_hours": _window,
}


def _cell(name: str, value: Any) -> str:  # noqa: ANN401  any field
    if not value:
        return ""
    if name == "quiet_hours":
        return f"{value.start}-{value.end}"
    return _encode(value).decode() if name in JSON_COLUMNS else cast("str", value)
