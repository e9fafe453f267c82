"""The story of a newsletter: signed, followed, and stopped by one click before the next one leaves."""

from __future__ import annotations

from urllib.parse import urlsplit

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.newsletter import is_signed, links_of, publish, send_news, visit
from tests.live.support import Person, letter


async def test_a_newsletter_is_signed_followed_and_stopped_by_one_click(sender: Person, sink: SmtpSink):
    await publish(sender, sink)
    ident, message = await send_news(sender, sink)
    assert is_signed(message)
    tea, reset, stop, pixel, one_click = links_of(message)

    assert (await visit(sender, "GET", tea)).headers["location"] == "https://shop.example/tea?a=1&b=2"
    assert reset == "https://shop.example/reset"
    assert (await visit(sender, "GET", pixel)).status == 200

    async def status() -> str:
        return await sender.status(ident)

    assert await eventually(status, "engaged".__eq__) == "engaged"

    assert urlsplit(stop).path == urlsplit(one_click).path
    waiting = await sender.in_seconds(1, category="news", template="news")
    assert waiting["status"] == "scheduled"
    assert (await visit(sender, "GET", one_click)).status == 200
    assert (await visit(sender, "POST", one_click, b"List-Unsubscribe=One-Click")).status == 200

    assert await sender.ends(waiting["notification_id"]) == "blocked"
    after = await sender.notify(category="news", template="news")
    assert after["status"] == "blocked"
    assert (await sink.report()).received == 1


async def test_codes_carry_no_unsubscribe_and_nobody_follows_them(sender: Person, sink: SmtpSink):
    await sender.users(1)
    name = await sender.template(html='<a href="https://shop.example/reset">Reset</a>')
    ident = (await sender.notify(category="security", template=name))["notification_id"]
    assert await sender.ends(ident) == "sent"
    mail = letter((await sink.messages())[-1])
    body = mail.get_body(("html",))
    assert body is not None
    assert "List-Unsubscribe" not in mail
    assert 'href="https://shop.example/reset"' in str(body.get_content())
    assert "<img" not in str(body.get_content())


async def test_a_tenant_may_switch_following_off_and_use_a_host_of_its_own(sender: Person, sink: SmtpSink):
    await publish(sender, sink)
    own = "https://links.shop.example"
    await sender.get("PUT /links", {"public_url": own, "tracking": False})

    async def unsubscribe_link() -> str:
        _, message = await send_news(sender, sink)
        return str(letter(message)["List-Unsubscribe"])

    link = await eventually(unsubscribe_link, lambda link: link.startswith(f"<{own}/u/"), within_s=30)
    assert link.endswith(">")
    content = (await sink.messages())[-1].content
    assert b"https://shop.example/tea" in content
    assert b"<img" not in content
