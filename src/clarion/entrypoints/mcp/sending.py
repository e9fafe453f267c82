"""The tools that send: a plan first, which sends nothing, and then its confirmation, word for word.

A plan shows what would be sent, and to whom; nothing but that can be confirmed. A confirmation works once, within
PLAN_S, in the process that made it. The send is made under a key that follows from it, so that one that is repeated
because its answer was lost sends nothing twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

import msgspec
from mcp.server.mcpserver.exceptions import ToolError

from clarion.client import BroadcastRequest, Clarion, NotFound, NotificationRequest
from clarion.entrypoints.mcp.reading import Answer, mask

PLAN_S: Final = 600.0
"""How long a plan can be confirmed: what it shows grows old."""

PLANS_MOST: Final = 100
FORECAST_S: Final = 30.0
"""How long a plan waits for the forecast of a broadcast."""

_ENDED: Final = frozenset({"completed", "failed", "cancelled"})


class Plan(msgspec.Struct, frozen=True):
    """What a confirmation stands for. `made_s` is on the monotonic clock."""

    request: NotificationRequest | BroadcastRequest
    made_s: float


class Plans:
    """The plans that can still be confirmed, the oldest of too many forgotten."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._plans: dict[str, Plan] = {}

    def make(self, request: NotificationRequest | BroadcastRequest) -> str:
        """The confirmation of a new plan."""
        confirmation = secrets.token_urlsafe(16)
        self._plans[confirmation] = Plan(request, self._monotonic())
        if len(self._plans) > PLANS_MOST:
            del self._plans[next(iter(self._plans))]
        return confirmation

    def find(self, confirmation: str) -> Plan:
        """The plan. Raises ToolError where there is none, or it is too old."""
        plan = self._plans.get(confirmation)
        if plan is None or self._monotonic() - plan.made_s > PLAN_S:
            raise ToolError("there is no such plan, or it is too old or carried out: make a new one")
        return plan

    def forget(self, confirmation: str) -> None:
        """It is carried out."""
        self._plans.pop(confirmation, None)


class Sending:
    """Sending, behind a plan. The docstrings are what an assistant reads of each tool."""

    def __init__(self, clarion: Clarion, plans: Plans) -> None:
        self._clarion = clarion
        self._plans = plans

    async def plan_notification(
        self,
        user_id: str,
        category: str,
        template: str | None = None,
        data: dict[str, Any] | None = None,
        priority: int = 5,
    ) -> Answer:
        """Plan one notification to one user, and show what it would say. Nothing is sent.

        Without `template`, `data` itself has `subject`, `title` and `body`. Show the plan to the person you work for;
        only if she agrees, call `confirm` with its `confirmation`.
        """
        request = NotificationRequest(user_id, category, template, data or {}, priority)
        profile = mask(await self._clarion.users.get(user_id))
        message: Answer = request.data
        if template is not None:
            preview = await self._clarion.templates.preview(template, user_id=user_id, data=request.data)
            message = preview["channels"]
        return {
            "would_send": {
                "to": {
                    "user_id": user_id,
                    "email": profile.email,
                    "phone": profile.phone,
                    "devices": len(profile.device_tokens),
                },
                "category": category,
                "template": template,
                "priority": priority,
                "message": message,
            },
            "consent": msgspec.to_builtins(await self._clarion.users.consent(user_id)),
            "environment": (await self._clarion.me()).environment,
            "confirmation": self._plans.make(request),
        }

    async def plan_broadcast(
        self,
        category: str,
        template: str,
        segment: str | None = None,
        user_ids: list[str] | None = None,
        data: dict[str, Any] | None = None,
    ) -> Answer:
        """Plan one message to many, to a segment or to users by name: a dry run says to how many, and at what cost.

        Nothing is sent. Show the forecast to the person you work for; only if she agrees, call `confirm` with its
        `confirmation`.
        """
        request = BroadcastRequest(
            category=category, template=template, segment=segment, user_ids=user_ids, data=data or {}
        )
        dry = await self._clarion.broadcasts.start(msgspec.structs.replace(request, dry_run=True))
        return {
            "would_send": msgspec.to_builtins(request),
            "forecast": await self._forecast(dry.broadcast_id),
            "environment": (await self._clarion.me()).environment,
            "confirmation": self._plans.make(request),
        }

    async def _forecast(self, broadcast_id: str) -> Answer:
        """What a dry run found. Raises ToolError where it fails, or takes longer than FORECAST_S."""
        try:
            async with asyncio.timeout(FORECAST_S):
                while True:
                    found = await self._clarion.broadcasts.get(broadcast_id)
                    if found.status in _ENDED or found.failure:
                        break
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise ToolError(f"the dry run {broadcast_id} takes long: look at it with get_broadcast") from None
        if found.failure:
            raise ToolError(f"the dry run failed: {found.failure}")
        return {"audience": found.audience, **(found.forecast or {})}

    async def confirm(self, confirmation: str) -> Answer:
        """Carry out a plan, exactly as it was shown. Only after the person you work for has agreed to it."""
        plan = self._plans.find(confirmation)
        key = f"mcp-{confirmation}"
        if isinstance(plan.request, BroadcastRequest):
            answer = msgspec.to_builtins(await self._clarion.broadcasts.start(plan.request, key=key))
        else:
            answer = msgspec.to_builtins(await self._clarion.notifications.send(plan.request, key=key))
        self._plans.forget(confirmation)
        return answer

    async def cancel_notification(self, notification_id: str) -> Answer:
        """Stop what nobody has begun to send of a notification."""
        try:
            return msgspec.to_builtins(await self._clarion.notifications.cancel(notification_id))
        except NotFound as error:
            raise ToolError("there is no such notification") from error
