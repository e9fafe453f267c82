"""What can be stored, wherever in a caller's JSON it stands."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.entrypoints.api.body import JsonBody
from clarion.kernel.errors import Invalid
from clarion.kernel.text import MAX_INTEGER, MIN_INTEGER, check_storable


class Body(msgspec.Struct, forbid_unknown_fields=True):
    data: dict[str, Any] = {}
    count: int = 0


BODY = JsonBody(Body)


@pytest.mark.parametrize("number", [0, MAX_INTEGER, MIN_INTEGER, 1.5, -1e18, 1e19, True, None])
def test_numbers_that_can_be_written(number: object):
    check_storable({"a": [number]}, "")
    assert BODY.decode(msgspec.json.encode({"data": {"a": [number]}})).data["a"] == [number]


@pytest.mark.parametrize(
    "text", ["18446744073709551616", "-9223372036854775809", "9" * 400, "1e20", "-1.5E+300"]
)
def test_numbers_that_no_encoder_writes_are_told_by_their_path(text: str):
    with pytest.raises(Invalid) as told:
        BODY.decode(b'{"data":{"a":[1,%s]}}' % text.encode())
    assert told.value.path in {"data.a[1]", ""}  # msgspec itself reads no more digits than a float can have


@pytest.mark.parametrize("text", ["3", "3.0", "30e-1", "3e0"])
def test_a_whole_number_may_be_written_in_any_way(text: str):
    assert BODY.decode(b'{"count":%s}' % text.encode()).count == 3


def test_digits_in_text_are_text():
    given = {"order": "12345678901234567890", "id": "7d40e10", "half": 0.5}
    assert BODY.decode(msgspec.json.encode({"data": given})).data == given


def test_a_part_is_no_whole_number():
    with pytest.raises(Invalid):
        BODY.decode(b'{"count":3.5}')
