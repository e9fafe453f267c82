"""F-02, best channel.

Read as: `channel_selection: optimal` takes the channel on which this user answers, whatever others do; one on which
nothing ever happened can be chosen; and the rules keep the last word. The specification's own text is not in this
repository.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from clarion.contracts.channels import CHANNELS
from clarion.testing.waiting import eventually
from tests.live.support import Person

SENT: Final = 25
"""Messages from which is learned: enough to stand against what holds of somebody unknown."""

DATA: Final = {"subject": "Hello", "title": "Hello", "body": "Hello"}


async def answers_on(person: Person, channel: str) -> None:
    """Have everybody engage with what comes on this channel, and ignore all else."""
    for name in CHANNELS:
        settings = {"receipts": "engaged" if name == channel else "delivered"}
        await person.get(
            f"PUT /providers/sandbox-{name}", {"kind": "sandbox", "channel": name, "settings": settings}
        )


async def reach(person: Person, user: str) -> str:
    """A user who can be reached on every channel and named none as hers."""
    profile = {
        "email": f"{user}@example.org",
        "phone": "+442079460123",
        "device_tokens": [{"platform": "android", "token": f"token-{user}"}],
        "timezone": "Europe/London",
    }
    await person.get(f"PUT /users/{user}", profile)
    return user


async def write(person: Person, user: str, *channels: str) -> None:
    """SENT messages to a user on each of these channels."""
    wanted = {"channel_selection": "specified", "channels": list(channels)}
    await person.campaign([user] * SENT, category="transactional", data=DATA, optimization=wanted)


async def optimal(person: Person, user: str, **fields: Any) -> dict[str, Any]:
    """A message on the best channel, decided: its answer."""
    return await person.notify(user_id=user, category="transactional", data=DATA, **fields)


async def comes_on(person: Person, user: str, channel: str, at_least: float = 0.0) -> dict[str, Any]:
    """A message to a user, as soon as it is known that this is her channel, and with what probability she answers."""

    async def ask() -> dict[str, Any]:
        return await optimal(person, user)

    def is_known(answer: dict[str, Any]) -> bool:
        sure = answer["ml_predictions"]["predicted_engagement"] >= at_least
        return answer["channels"] == [channel] and sure

    return await eventually(ask, is_known, every_s=0.3)


@pytest.mark.parametrize("channel", ["push", "sms"])
async def test_F02_a_message_takes_the_channel_that_its_user_answers_on(person: Person, channel: str):
    await answers_on(person, channel)
    user = await reach(person, "her")
    await write(person, user, *CHANNELS)
    answer = await comes_on(person, user, channel, at_least=0.3)
    scores = answer["ml_predictions"]["channel_scores"]
    assert scores[channel] == max(scores.values())
    assert {reason["rule"] for reason in answer["reasons"]} == {"lower_score"}


async def test_F02_a_channel_without_a_past_is_chosen_over_one_that_she_ignores(person: Person):
    await answers_on(person, "push")
    user = await reach(person, "her")
    assert (await optimal(person, user))["channels"] == ["email"], "nothing is known: in canonical order"
    await write(person, user, "email")
    await comes_on(person, user, "push")


async def test_F02_the_rules_have_the_last_word(person: Person):
    await answers_on(person, "sms")
    user = await reach(person, "her")
    await write(person, user, *CHANNELS)
    await comes_on(person, user, "sms")
    word = {"user_id": user, "channel": "sms", "category": "all", "consented": False, "source": "form"}
    await person.get("POST /compliance/consent", word)
    answer = await person.notify(user_id=user, category="service", data=DATA)
    assert answer["channels"] != ["sms"]
    assert "consent_denied" in {reason["rule"] for reason in answer["reasons"]}
