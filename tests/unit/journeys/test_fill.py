"""Filling definitions with what runs know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.journeys.fill import fill, fill_url, reads_user, scope_of
from clarion.journeys.model import Context, Instance, Outcome, Progress, Seen

CONTEXT = Context(
    {"order": {"id": "7/8", "total": 12.5, "paid": True}, "name": "Ada"},
    {"viewed": {"sku": "a"}},
    {"collect": [{"n": 1}, {"n": 2}]},
)
PROGRESS = Progress(
    seen={"viewed": Seen(3, 1, 2)},
    outcomes={"collect": Outcome(1, 1, "done"), "ab": Outcome(1, 1, "B")},
)
RUN = Instance(
    bytes(16),
    bytes(16),
    bytes(16),
    1,
    7,
    "r",
    is_test=False,
    status="active",
    seq=1,
    step="hello",
    due_ms=0,
    progress=PROGRESS,
    context_version=1,
    entered_ms=0,
)
SCOPE = scope_of(RUN, CONTEXT, {"id": "ada@example.com", "plan": "pro"})

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ("{{ context.order }}", {"id": "7/8", "total": 12.5, "paid": True}),
        (" {{context.order.total}} ", 12.5),
        ("{{ steps.collect.items }}", [{"n": 1}, {"n": 2}]),
        ("{{ steps.ab.result }}", "B"),
        ("{{ events.viewed.sku }} {{ events.viewed.count }}", "a 3"),
        ("paid: {{ context.order.paid }}", "paid: true"),
        ("{{ name }}", "Ada"),
        ("{{ plan }}", "pro"),
        ("{{ context.nothing }}", None),
        ("Dear {{ context.nothing }}!", "Dear !"),
        ({"a": ["{{ user.plan }}", 1, None]}, {"a": ["pro", 1, None]}),
        ("{ not a name } {{ 1 + 1 }}", "{ not a name } {{ 1 + 1 }}"),
    ],
)
def test_names_become_what_they_stand_for(said: Any, becomes: Any):
    assert fill(said, SCOPE) == becomes


@given(json)
def test_whatever_has_no_names_stays_as_it_is(value: Any):
    if "{{" not in repr(value):
        assert fill(value, SCOPE) == value
        assert not reads_user(value)


@given(st.text())
def test_a_value_stays_in_its_place_of_an_address(text: str):
    scope = {"context": {"x": text}, "user": {}, "features": {}}
    try:
        url = fill_url("https://api.example.com/a/{{ context.x }}/b?c={{ context.x }}", scope)
    except UnicodeEncodeError:
        assert any("\ud800" <= letter <= "\udfff" for letter in text)
        return
    assert url.startswith("https://api.example.com/a/")
    assert url.count("/") == 5
    assert url.count("?") == 1
    assert not {"#", " ", "\r", "\n"} & set(url)


def test_a_host_is_what_the_definition_says():
    scope = {"context": {"host": "169.254.169.254"}, "user": {}, "features": {}}
    assert fill_url("https://{{ context.host }}/x", scope) == "https://{{ context.host }}/x"


@pytest.mark.parametrize("said", ["{{ user.plan }}", {"a": ["{{ plan }}"]}, "x{{ email }}"])
def test_profiles_are_opened_only_for_those_who_ask(said: Any):
    assert reads_user(said)
    assert not reads_user(["{{ context.plan }}", "{{ steps.a.result }}", "{{ journey.step }}", {}])
