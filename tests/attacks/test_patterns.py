"""Patterns that take a backtracking matcher for ever, in the only place where a tenant may write one: segments."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from tests.integration.api.support import Caller

PATTERNS: Final = [
    *(
        "(a+)+$",
        "(a|a)*$",
        "(a|aa)+$",
        "([a-zA-Z]+)*$",
        "(.*a){20}$",
        "(a*)*b",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
    ),
    *("(x+x+)+y", "(?:a?){30}a{30}", "(\\\\w+\\\\s?)*$", "a{1,1000}{1,1000}", "((a{100}){100}){100}"),
]
WITHIN_S: Final = 20.0
"""For all of them together, on a busy machine; a backtracking matcher takes years for the first."""


@pytest.mark.asyncio(loop_scope="session")
async def test_no_pattern_takes_for_ever(caller: Caller):
    await caller.user(attributes={"first_name": "a" * 4000 + "!"})
    async with asyncio.timeout(WITHIN_S):
        for pattern in PATTERNS:
            shown = await caller.call(
                "POST /segments/preview", {"expression": f"user.first_name.matches('{pattern}')"}
            )
            assert shown.status in {200, 400}, (pattern, shown.body)
