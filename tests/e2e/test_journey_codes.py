"""A one-time code that goes on to another channel, unless it was used: through the public API, on a real instance."""

from __future__ import annotations

from typing import Any

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.support import Person, at_noon

AFTER_S = 2
PARTS = {
    "sms": {"body": "{{ code }} is your code"},
    "email": {"subject": "Your code", "text": "{{ code }} is your code"},
}
CODE = {
    "name": "sign-in",
    "trigger": {"type": "api"},
    "steps": [
        {
            "id": "code",
            "type": "notification",
            "channels": ["sms"],
            "template": "code",
            "until": "otp_verified",
            "fallback": [{"channel": "email", "after": f"{AFTER_S}s"}],
        }
    ],
}


async def ready(person: Person) -> str:
    """A tenant with the journey; its id."""
    await person.get("PUT /templates/code", {"category": "transactional", "channels": PARTS})
    await person.users(2, timezone=at_noon(), phone="+442071838750")
    return (await person.get("POST /journeys", CODE))["journey_id"]


async def test_a_code_goes_on_to_another_channel_unless_it_was_used(sender: Person, sink: SmtpSink):
    journey_id = await ready(sender)
    runs: dict[str, str] = {}
    for name in ("user-0", "user-1"):
        body = {"user_id": name, "context": {"code": f"{name}-1234"}}
        answer = await sender.get(f"POST /journeys/{journey_id}/trigger", body)
        runs[name] = answer["journey_instance_id"]

    async def texts() -> set[str]:
        return {one["user_id"] for one in await sender.deliveries() if one["channel"] == "sms"}

    assert await eventually(texts, lambda seen: len(seen) == len(runs)) == set(runs)
    await sender.get("POST /events", {"user_id": "user-0", "event": "otp_verified"})

    async def statuses() -> dict[str, Any]:
        return {
            name: (await sender.get(f"GET /journeys/{journey_id}/instances/{run}"))["status"]
            for name, run in runs.items()
        }

    assert await eventually(statuses, lambda all_: set(all_.values()) == {"completed"})
    written = await eventually(lambda: sink.report(by_recipient=True), lambda report: report.received > 0)
    assert list(written.by_recipient) == ["user-1@example.org"]
    channels = sorted((one["user_id"], one["channel"]) for one in await sender.deliveries())
    assert channels == [("user-0", "sms"), ("user-1", "email"), ("user-1", "sms")]
