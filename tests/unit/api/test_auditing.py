"""No administrative route is without the audit log."""

from __future__ import annotations

import pytest

from clarion.compliance.audit import redact
from clarion.entrypoints.api.app import ROUTES
from clarion.entrypoints.api.auditing import UNAUDITED, audited, is_audited
from clarion.entrypoints.api.routing import Route

ACTING = [route for route in ROUTES if route.method != "GET" and route.spec.scope is not None]


@pytest.mark.parametrize("route", ACTING, ids=lambda route: route.line)
def test_every_acting_route_is_written_down_or_excepted_with_a_reason(route: Route):
    assert is_audited(route) != bool(UNAUDITED.get(route.line))


def test_what_is_served_is_what_is_written_down():
    for plain, served in zip(ROUTES, audited(ROUTES), strict=True):
        assert plain.line == served.line
        assert (plain.handle is not served.handle) == is_audited(plain)


def test_every_operation_has_a_name_of_its_own():
    names = [route.handle.__name__ for route in ROUTES if route.method != "HEAD"]
    assert len(names) == len(set(names))


def test_exceptions_are_routes():
    assert UNAUDITED.keys() <= {route.line for route in ROUTES}


def test_redaction():
    value = {
        "key_id": "k",
        "api_key": "s",
        "credentials": {"username": "u", "nested": ["a", ""]},
        "key_set": {"keys": [{"k": "s"}]},
        "user_ids": ["ada", "bob"],
        "data": {"anything": "at all"},
        "settings": {"host": "h", "auth_token": 7, "enabled": True},
    }
    assert redact(value, lambda text: f"~{text}", "changed") == {
        "key_id": "k",
        "api_key": "changed",
        "credentials": {"username": "changed", "nested": ["changed", ""]},
        "key_set": {"keys": [{"k": "changed"}]},
        "user_ids": ["~ada", "~bob"],
        "data": "hidden",
        "settings": {"host": "h", "auth_token": "changed", "enabled": True},
    }
