"""Journeys as their tenants draw and watch them, through the public API."""

from __future__ import annotations

from typing import Any, Final

from clarion.testing.waiting import eventually
from tests.live.support import Person

MAILS: Final = ("greeting", "thanks", "nudge")
"""Names of templates, each of which says its name."""


def mail(name: str, **fields: Any) -> dict[str, Any]:
    """A step that sends the mail of this name."""
    return {"id": name, "type": "notification", "channels": ["email"], "template": name, **fields}


async def draw(person: Person, *steps: dict[str, Any], **fields: Any) -> str:
    """A journey of these steps, and the mails that they may send; its id."""
    for name in MAILS:
        await person.template(name, subject=name, text=name, html=f"<p>{name}</p>")
    body = {"name": "journey", "trigger": {"type": "api"}, "steps": list(steps), **fields}
    return str((await person.get("POST /journeys", body))["journey_id"])


async def enter(person: Person, journey_id: str, user_id: str, **context: Any) -> str:
    """The run that stands for a user's entry."""
    body = {"user_id": user_id, "context": context}
    return str((await person.get(f"POST /journeys/{journey_id}/trigger", body))["journey_instance_id"])


async def did(person: Person, user_id: str, event: str, **properties: Any) -> None:
    """A user did something."""
    await person.get("POST /events", {"user_id": user_id, "event": event, "properties": properties})


async def run_of(person: Person, journey_id: str, user_id: str) -> str:
    """The one run of a user, as soon as she has one."""

    async def runs() -> list[dict[str, Any]]:
        return (await person.get(f"GET /journeys/{journey_id}/instances?user_id={user_id}"))["instances"]

    (run,) = await eventually(runs, bool)
    return str(run["instance_id"])


async def stands(person: Person, journey_id: str, run: str, step: str) -> None:
    """Return when a run waits at a step."""

    async def place() -> dict[str, Any]:
        return await person.get(f"GET /journeys/{journey_id}/instances/{run}")

    await eventually(place, lambda one: one["step"] == step and one["phase"] == "waiting")


async def ends(person: Person, journey_id: str, run: str) -> dict[str, Any]:
    """A run at its end."""

    async def view() -> dict[str, Any]:
        return await person.get(f"GET /journeys/{journey_id}/instances/{run}")

    return await eventually(view, lambda one: one["status"] != "active")
