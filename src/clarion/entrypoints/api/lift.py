"""What learning brings a tenant: the lift of each feature over users who are held out from it."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.adapters.postgres.ml_proofs import PostgresProofs
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.intelligence.training.lift import Lift
from clarion.intelligence.training.policies import PolicyReport, PolicyValue
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


class PoliciesView(msgspec.Struct, frozen=True):
    """What other policies would bring in answers per message, by messages that tried something with known odds.

    Messages from `from` to `to` (ISO 8601 UTC) count: `decisions`, of which `tried` tried something.
    """

    from_: str = msgspec.field(name="from")
    to: str
    decisions: int
    users: int
    tried: int
    policies: list[PolicyValue]


class LiftReport(msgspec.Struct, frozen=True):
    """The latest finding of each feature, and of policies; empty, and None, until the first look at the tenant."""

    features: list[LiftView]
    policies: PoliciesView | None


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

_POLICIES: Final = {
    "from": "2026-10-23T02:00:00.000Z",
    "to": "2026-11-20T02:00:00.000Z",
    "decisions": 181204,
    "users": 40000,
    "tried": 9031,
    "policies": [
        {
            "policy": "always email",
            "estimate": {
                "ips": 0.1208,
                "ips_se": 0.0049,
                "snips": 0.1211,
                "snips_se": 0.0048,
                "dr": 0.1211,
                "dr_se": 0.0048,
                "ess": 4718.2,
                "clipped": 0.0,
                "rows": 9031,
            },
            "low": 0.1076,
            "high": 0.1346,
            "reach": 1.0,
            "reason": "",
        },
        {
            "policy": "always sms",
            "estimate": None,
            "low": None,
            "high": None,
            "reach": 0.0312,
            "reason": "too little: 41 effective decisions, and 500 are needed",
        },
    ],
}


@route(
    "GET /api/v1/ml/lift",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        answers={200: LiftReport},
        examples={"answer": {"features": [_EXAMPLE], "policies": _POLICIES}},
    ),
)
async def show_lift(call: Call) -> Reply:
    """What each learned feature brings this tenant, against users who are held out from it; "no lift" is an answer.

    Measured every day on four weeks, with an interval that may be looked at every day. A feature that surely harms is
    switched off in the settings.
    """
    proofs = PostgresProofs(call.services.gateway.region.pools)
    found, policies = await proofs.latest(call.tenant_id), await proofs.policies(call.tenant_id)
    return json_reply(LiftReport([_view(proof) for proof in found], policies and _view_policies(*policies)))


def _view_policies(from_ms: int, to_ms: int, report: PolicyReport) -> PoliciesView:
    return PoliciesView(
        format_time(from_ms),
        format_time(to_ms),
        report.decisions,
        report.users,
        report.tried,
        report.policies,
    )


def _view(proof: Proof) -> LiftView:
    return LiftView(
        feature=proof.feature,
        from_=format_time(proof.from_ms),
        to=format_time(proof.to_ms),
        lift=proof.lift,
        returned=proof.returned,
    )


ROUTES: Final[tuple[Route, ...]] = (show_lift,)
