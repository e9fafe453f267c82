"""What holds for every answer: its id, its trace, its limits, and its description."""

from __future__ import annotations

import asyncio
import re
from typing import Any, cast

import pytest

from clarion.entrypoints.api.app import ROUTES
from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


@pytest.mark.parametrize("given", ["order-1815", "a.b_c:d/e+f=g@h", "x" * 128])
async def test_a_sane_request_id_is_kept(caller: Caller, given: str):
    assert (await caller.call("GET /me", headers={"x-request-id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "<script>", "é"])
async def test_another_one_is_replaced(caller: Caller, given: str):
    answers = [await caller.call("GET /me", headers={"x-request-id": given}) for _ in range(2)]
    made = {answer.headers["x-request-id"] for answer in answers}
    assert len(made) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)


@pytest.mark.parametrize("flag", ["00", "01"])
async def test_a_trace_is_taken_with_its_flag(caller: Caller, flag: str):
    answer = await caller.call("GET /me", headers={"traceparent": TRACE + flag})
    assert answer.headers["traceparent"] == TRACE + flag


@pytest.mark.parametrize(
    "given",
    [
        "",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "junk",
    ],
)
async def test_what_is_no_trace_is_replaced(caller: Caller, given: str):
    made = (await caller.call("GET /me", headers={"traceparent": given})).headers["traceparent"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", made)
    assert made != given


async def test_errors_carry_all_of_it_too(api: Api):
    for line in ("GET /nope", "PATCH /api/v1/me", "GET /api/v1/me"):
        answer = await api.client().request(
            line, headers={"x-request-id": "mine", "traceparent": TRACE + "01"}
        )
        assert answer.status >= 400
        assert (answer.headers["x-request-id"], answer.headers["traceparent"]) == ("mine", TRACE + "01")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.json()["request_id"] == "mine"


async def test_a_bucket_tells_what_is_left_and_refuses_when_it_is_empty(api: Api):
    caller = await api.tenant(rate_per_s=0.5, rate_burst=5)
    answers = [await caller.call("GET /me") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    assert {answer.headers["ratelimit-limit"] for answer in answers} == {"5"}
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {"5;w=10"}
    last = answers[-1]
    assert 1 <= int(last.headers["retry-after"]) <= 2
    assert 1 <= int(last.headers["ratelimit-reset"]) <= 10
    assert last.json()["type"] == "urn:clarion:problem:throttled"


async def test_a_class_of_routes_has_a_bucket_of_its_own(api: Api):
    caller = await api.tenant(rate_per_s=0.01, rate_burst=2)
    await caller.user()
    assert [(await caller.call("GET /me")).status for _ in range(3)] == [200, 200, 429]
    await caller.notify()
    await caller.notify()
    refused = await caller.call("POST /notifications", notification())
    assert (refused.status, refused.headers["ratelimit-remaining"]) == (429, "0")
    assert (await caller.call("GET /notifications")).status == 429


async def test_a_batch_costs_its_size(api: Api):
    caller = await api.tenant(rate_per_s=0.01, rate_burst=10)
    await caller.user()
    five = {"notifications": [notification()] * 5}
    first = await caller.call("POST /notifications/batch", five)
    assert (first.status, first.headers["ratelimit-remaining"]) == (201, "5")
    await caller.notify()
    refused = await caller.call("POST /notifications/batch", five)
    assert refused.status == 429
    assert refused.headers["ratelimit-remaining"] == "4"
    eleven = {"notifications": [notification()] * 11}
    never = await caller.call("POST /notifications/batch", eleven)
    assert never.status == 413
    assert "retry-after" not in never.headers


async def test_one_tenants_flood_takes_nothing_from_another(api: Api, caller: Caller):
    flood = await api.tenant(rate_per_s=0.01, rate_burst=3)
    refused = await asyncio.gather(*(flood.call("GET /me") for _ in range(30)))
    assert sorted({answer.status for answer in refused}) == [200, 429]
    assert sum(answer.status == 200 for answer in refused) == 3
    assert (await caller.call("GET /me")).status == 200


async def test_metrics_count_requests_by_route(api: Api, caller: Caller):
    await caller.user("someone-special")
    text = (await api.client().request("GET /metrics")).body.decode()
    assert re.search(
        r'clarion_http_requests_total\{method="PUT",route="/api/v1/users/\{user_id\}",status="201"\} \d', text
    )
    assert "someone-special" not in text
    assert "clarion_http_request_seconds_bucket" in text


async def description(api: Api) -> dict[str, Any]:
    answer = await api.client().request("GET /openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_every_route_is_described(api: Api):
    document = await description(api)
    assert document["openapi"].startswith("3.1")
    described = {
        f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods
    }
    assert described == {route.line for route in ROUTES}


def references(node: object) -> set[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        fields = cast("dict[str, object]", node)
        found = {str(value) for name, value in fields.items() if name == "$ref"}
        return found.union(*(references(value) for value in fields.values()))
    if isinstance(node, list):
        return set[str]().union(*(references(value) for value in cast("list[object]", node)))
    return set()


async def test_the_description_hangs_together(api: Api):
    document = await description(api)
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert operation["responses"]
        if operation["security"]:
            problems = {"401", "429", "503"}
            assert problems <= operation["responses"].keys()
            assert "application/problem+json" in operation["responses"]["401"]["content"]
    request = document["components"]["schemas"]["NotificationRequest"]
    assert request["additionalProperties"] is False
    assert request["required"] == ["user_id", "category"]
    post = document["paths"]["/api/v1/notifications"]["post"]
    assert post["requestBody"]["content"]["application/json"]["example"]["user_id"] == "ada"
    batch = document["paths"]["/api/v1/notifications/batch"]["post"]["requestBody"]["content"]
    assert batch.keys() == {"application/json", "application/x-ndjson"}


async def test_examples_are_true(api: Api, caller: Caller):
    await caller.call("PUT /users/ada", (await example(api, "/api/v1/users/{user_id}", "put")))
    answers = [
        await caller.call(
            "PUT /templates/order-shipped", await example(api, "/api/v1/templates/{name}", "put")
        ),
        await caller.call("PUT /categories/offers", await example(api, "/api/v1/categories/{name}", "put")),
        await caller.call("PUT /providers/mail", await example(api, "/api/v1/providers/{name}", "put")),
        await caller.call(
            "POST /compliance/consent", await example(api, "/api/v1/compliance/consent", "post")
        ),
        await caller.call("POST /notifications", await example(api, "/api/v1/notifications", "post")),
        await caller.call(
            "POST /notifications/batch", await example(api, "/api/v1/notifications/batch", "post")
        ),
        await caller.call("POST /users/batch", await example(api, "/api/v1/users/batch", "post")),
        await caller.call("POST /keys", await example(api, "/api/v1/keys", "post")),
        await caller.call(
            "POST /personalization/context", await example(api, "/api/v1/personalization/context", "post")
        ),
    ]
    assert [answer.status for answer in answers if answer.status >= 400] == []


async def example(api: Api, path: str, method: str) -> Any:
    body = (await description(api))["paths"][path][method]["requestBody"]
    return body["content"]["application/json"]["example"]


async def test_the_page_loads_nothing_from_elsewhere(api: Api):
    page = await api.client().request("GET /docs")
    script = await api.client().request("GET /docs/docs.js")
    assert re.findall(rb'(?:src|href)="([^"]+)"', page.body) == [b"/openapi.json", b"/docs/docs.js"]
    assert b"http://" not in script.body
    assert b"https://" not in script.body
    assert "default-src 'none'" in page.headers["content-security-policy"]
