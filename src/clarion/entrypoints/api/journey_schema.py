"""The JSON Schema of journeys, for editors: public, and the same for everybody."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clarion.entrypoints.api.replies import Reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.journeys.schema import journey_schema

_SCHEMA: Final = msgspec.json.encode(journey_schema())


@route("GET /api/v1/journeys/schema", Spec(tag="journeys", scope=None, answers={200: dict[str, Any]}))
async def get_journey_schema(call: Call) -> Reply:
    """The JSON Schema (2020-12) of a journey's definition."""
    del call
    return Reply(200, _SCHEMA)


ROUTES: Final[tuple[Route, ...]] = (get_journey_schema,)
