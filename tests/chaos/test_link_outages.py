"""Readers who follow links while Postgres is away: they get where they want, and are counted afterwards."""

from __future__ import annotations

import pytest

from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.live.fixtures import Live
from tests.live.newsletter import links_of, publish, send_news, visit
from tests.live.support import Person

ONE_CLICK = b"List-Unsubscribe=One-Click"

pytestmark = pytest.mark.chaos


async def test_a_redirect_needs_no_postgres_and_its_click_is_counted_later(
    live: Live, sender: Person, sink: SmtpSink
):
    await publish(sender, sink)
    ident, message = await send_news(sender, sink)
    tea, _, _, pixel, one_click = links_of(message)
    with live.instance.kept_down("postgres"):
        clicks = [await visit(sender, "GET", tea) for _ in range(20)]
        picture = await visit(sender, "GET", pixel)
        refused = await visit(sender, "POST", one_click, ONE_CLICK)
    assert {click.status for click in clicks} == {302}
    assert picture.status == 200
    # What cannot be kept is not promised: a mail program tries again.
    assert (refused.status, refused.headers["content-type"]) == (503, "text/html; charset=utf-8")
    await live.well()

    async def status() -> str:
        return await sender.status(ident)

    assert await eventually(status, "engaged".__eq__) == "engaged"
    assert (await visit(sender, "POST", one_click, ONE_CLICK)).status == 200
    assert (await sender.notify(category="news", template="news"))["status"] == "blocked"
