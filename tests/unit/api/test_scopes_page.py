"""`docs/reference/scopes.md` is what the routes make of it."""

from __future__ import annotations

from pathlib import Path

from clarion.entrypoints.api.app import ROUTES
from clarion.entrypoints.api.openapi import describe
from clarion.entrypoints.api.reference import roles_page, scopes_page
from clarion.tenancy.api_keys import SCOPES

PAGE = Path(__file__).parents[3] / "docs/reference/scopes.md"


def test_the_page_of_scopes_is_that_of_the_routes():
    assert PAGE.read_text(encoding="utf-8") == scopes_page(ROUTES), "run `make reference`"


def test_the_page_of_roles_is_that_of_the_routes():
    page = PAGE.with_name("roles.md")
    assert page.read_text(encoding="utf-8") == roles_page(ROUTES), "run `make reference`"


def test_every_scope_that_a_route_asks_for_can_be_had():
    assert {route.spec.scope for route in ROUTES if route.spec.scope} <= SCOPES


def test_openapi_says_the_scope_of_every_operation():
    document = describe(ROUTES)
    for route in ROUTES:
        security = document["paths"][route.path][route.method.lower()]["security"]
        wanted = [route.spec.scope] if route.spec.scope else []
        assert security == ([] if route.spec.scope is None else [{"bearer": wanted}, {"header": wanted}])
