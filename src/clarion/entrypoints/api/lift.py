"""What learning brings a tenant: the lift of each feature over users who are held out from it."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.adapters.postgres.ml_proofs import PostgresProofs
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.intelligence.training.lift import Lift
from clarion.intelligence.training.proof import Proof
from clarion.orchestration.rows import format_time


class LiftView(msgspec.Struct, frozen=True):
    """What a feature brings. Messages from `from` to `to` (ISO 8601 UTC) count, with answers of three days.

    `returned`: the feature harmed, and was switched off by this finding.
    """

    feature: str
    from_: str = msgspec.field(name="from")
    to: str
    lift: Lift
    returned: bool


class LiftReport(msgspec.Struct, frozen=True):
    """The latest finding of each feature; empty until the first look at the tenant."""

    features: list[LiftView]


_EXAMPLE: Final = {
    "feature": "send_time",
    "from": "2026-10-23T02:00:00.000Z",
    "to": "2026-11-20T02:00:00.000Z",
    "lift": {
        "treated": 0.1312,
        "held_out": 0.1241,
        "difference": 0.0071,
        "low": 0.0013,
        "high": 0.0129,
        "relative": 0.0572,
        "verdict": "lift",
        "users_treated": 37981,
        "users_held_out": 2019,
        "reduced": 0.0,
    },
    "returned": False,
}


@route(
    "GET /api/v1/ml/lift",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        answers={200: LiftReport},
        examples={"answer": {"features": [_EXAMPLE]}},
    ),
)
async def show_lift(call: Call) -> Reply:
    """What each learned feature brings this tenant, against users who are held out from it; "no lift" is an answer.

    Measured every day on four weeks, with an interval that may be looked at every day. A feature that surely harms is
    switched off in the settings.
    """
    found = await PostgresProofs(call.services.gateway.region.pools).latest(call.tenant_id)
    return json_reply(LiftReport([_view(proof) for proof in found]))


def _view(proof: Proof) -> LiftView:
    return LiftView(
        feature=proof.feature,
        from_=format_time(proof.from_ms),
        to=format_time(proof.to_ms),
        lift=proof.lift,
        returned=proof.returned,
    )


ROUTES: Final[tuple[Route, ...]] = (show_lift,)
