"""F-07, personalisation with real-time context.

Read as: what a tenant's systems told about a user (the stored context) and what the request brings reach the template
at the time of sending; of two values with one name the request's wins; where a variable is missing, that delivery fails
and says which one, and its neighbours go. The specification's own text is not in this repository.
"""

from __future__ import annotations

from clarion.testing.smtp import SmtpSink
from tests.live.support import Person, sent_to

CART = {"text": "{{ user.first_name }}: {{ context.items }} at {{ context.shop }}, {{ data.greeting }}"}


async def test_F07_stored_and_request_context_reach_the_template_and_the_request_wins(
    sender: Person, sink: SmtpSink
):
    await sender.users(2)
    template = await sender.template(**CART)
    for name in ("user-0", "user-1"):
        known = {"user_id": name, "context": {"items": 3, "shop": "Main Street"}}
        assert await sender.get("POST /personalization/context", known) == {"updated": True}
    wanted = {"template": template, "data": {"greeting": "hello"}}

    first = await sender.notify(**wanted, user_id="user-0")
    second = await sender.notify(
        **wanted, user_id="user-1", personalization={"context": {"items": 5, "unused": [1]}}
    )

    assert await sender.ends(first["notification_id"]) == "sent"
    assert await sender.ends(second["notification_id"]) == "sent"
    assert sent_to(await sink.messages()) == {
        "user-0": "User-0: 3 at Main Street, hello",
        "user-1": "User-1: 5 at Main Street, hello",
    }


async def test_F07_a_message_is_written_with_what_is_known_when_it_is_sent(sender: Person, sink: SmtpSink):
    await sender.users(1)
    template = await sender.template(text="{{ context.items }} left")
    await sender.get("POST /personalization/context", {"user_id": "user-0", "context": {"items": 3}})

    accepted = await sender.in_seconds(2, template=template)
    await sender.get("POST /personalization/context", {"user_id": "user-0", "context": {"items": 1}})

    assert await sender.ends(accepted["notification_id"]) == "sent"
    assert sent_to(await sink.messages()) == {"user-0": "1 left"}


async def test_F07_a_missing_variable_fails_its_own_delivery_and_is_named(sender: Person, sink: SmtpSink):
    users = await sender.users(5)
    template = await sender.template(text="{{ context.items }} left")
    for name in users[1:]:
        await sender.get("POST /personalization/context", {"user_id": name, "context": {"items": 3}})

    missing, *others = await sender.campaign(users, template=template, data={})

    assert await sender.ends(missing) == "failed"
    assert [await sender.ends(ident) for ident in others] == ["sent"] * 4
    (attempt,) = await sender.attempts(missing)
    assert attempt["rule"].startswith("template_")
    assert "items" in attempt["detail"]
    assert sorted(sent_to(await sink.messages())) == users[1:]


async def test_F07_without_personalization_only_the_requests_data_is_there(sender: Person, sink: SmtpSink):
    await sender.users(1)
    plain = {"subject": "Hi", "html": "<p>{{ data.word }}</p>", "text": "{{ data.word }}"}
    said = await sender.template("plain", **plain)
    named = await sender.template("named")

    accepted = await sender.notify(template=said, data={"word": "hello"}, personalization={"enabled": False})
    refused = await sender.notify(template=named, personalization={"enabled": False})

    assert await sender.ends(accepted["notification_id"]) == "sent"
    assert await sender.ends(refused["notification_id"]) == "failed"
    assert sent_to(await sink.messages()) == {"user-0": "hello"}
