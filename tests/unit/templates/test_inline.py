from __future__ import annotations

from typing import Any

import pytest

from clarion.contracts.channels import names_of
from clarion.templates import InlineContent, inline_channels, inline_content


@pytest.mark.parametrize(
    ("data", "channels"),
    [
        ({}, []),
        ({"order": "x"}, []),
        ({"subject": "x"}, []),
        ({"subject": "x", "body": "y"}, ["email", "push", "sms"]),
        ({"subject": "x", "html": "y"}, ["email"]),
        ({"subject": "x", "text": "y"}, ["email"]),
        ({"title": "x"}, ["push"]),
        ({"body": "x"}, ["push", "sms"]),
        ({"html": "x", "text": "y"}, []),
        ({"subject": "x", "text": " "}, []),
        ({"title": 5, "body": ["x"]}, []),
    ],
)
def test_data_alone_is_enough_for_some_channels(data: dict[str, Any], channels: list[str]):
    assert names_of(inline_channels(data)) == channels


def test_inline_content_takes_texts_and_leaves_the_rest():
    data = {"subject": "s", "html": "<b>h</b>", "text": 1, "title": "t", "body": " ", "order": "o"}
    assert inline_content(data) == InlineContent(subject="s", html="<b>h</b>", title="t")
