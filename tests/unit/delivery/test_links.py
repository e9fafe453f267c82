from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

import pytest

from clarion.delivery.links.maker import LinkMaker, clean_target, has_one_click
from clarion.delivery.links.tokens import MAX_DETAIL_BYTES, LinkKeys, LinkKind, Recipient, TokenSigner
from clarion.delivery.links.visits import MAX_KEPT, SOURCE, Visits, visit_kind
from clarion.delivery.model import Receipt
from clarion.kernel.errors import Transient
from clarion.tenancy.model import DEFAULT_CATEGORIES, TRACK_CLICKS, TRACK_OPENS

NOW_MS = 1_800_000_000_000
HOME = "https://t.example"
SIGNER = TokenSigner(LinkKeys(1, {1: b"k" * 32}))
LINKS = LinkMaker(SIGNER, HOME).of(Recipient(b"t" * 16, b"d" * 16, 7), "news", "", NOW_MS)
PERSON = b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def targets(html: str) -> list[str]:
    """Where the links of tracked HTML lead in the end."""
    found = re.findall(r'href="([^"]*)"', html)
    return [target_of(unescape(url)) for url in found]


def target_of(url: str) -> str:
    path = url.removeprefix(f"{HOME}/t/c/")
    claim = SIGNER.read(LinkKind.CLICK, path, NOW_MS) if path != url else None
    return claim.detail if claim else url


@pytest.mark.parametrize(
    ("html", "target"),
    [
        pytest.param('<a href="https://a.example/x">x</a>', "https://a.example/x", id="plain"),
        pytest.param("<A class=b HREF = 'http://a.example'>x</A>", "http://a.example", id="other-quotes"),
        pytest.param(
            '<a href="https://a.example/?a=1&amp;b=2">x</a>', "https://a.example/?a=1&b=2", id="amp"
        ),
        pytest.param('<a href="https:&#x2f;&#x2f;a.example">x</a>', "https://a.example", id="escaped-slash"),
        pytest.param(
            '<a\nid="i"\n  href=" https://a.example/ü ">', "https://a.example/%C3%BC", id="not-ascii"
        ),
        pytest.param('<a href="https://a.example/%20#top">x</a>', "https://a.example/%20#top", id="fragment"),
    ],
)
def test_a_click_goes_where_its_author_said(html: str, target: str):
    tracked = LINKS.track(html, TRACK_CLICKS)
    assert tracked != html
    assert targets(tracked) == [target]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="mailto:ada@example.org">x</a>',
        '<a href="tel:+4412345">x</a>',
        '<a href="#top">x</a>',
        '<a name="here">x</a>',
        '<a data-no-track href="https://a.example/reset">x</a>',
        '<a href="https://a.example/reset" DATA-NO-TRACK="yes">x</a>',
        '<a href="https://user@a.example/">x</a>',
        '<a href="https://a.example/a b">x</a>',
        f'<a href="https://a.example/{"x" * MAX_DETAIL_BYTES}">x</a>',
        '<a href="https://">x</a>',
        "<a href=https://a.example/>x</a>",
        '<img src="https://a.example/logo.png">',
        '<abbr href="https://a.example/">x</abbr>',
        f'<a href="{HOME}/u/some-token">Unsubscribe</a>',
        f'<a href="{HOME}/p/some-token">Preferences</a>',
    ],
)
def test_links_that_are_not_followed_stay_as_their_author_wrote_them(html: str):
    assert LINKS.track(html, TRACK_CLICKS) == html


def test_the_pixel_is_the_last_thing_of_the_body():
    (before, after) = LINKS.track("<body><p>Hi</p></BODY></html>", TRACK_OPENS).split('<img src="')
    assert before == "<body><p>Hi</p>"
    assert re.fullmatch(
        rf'{HOME}/t/o/[\w-]{{80}}" width="1" height="1" alt="" style="border:0"></BODY></html>', after
    )
    assert LINKS.track("<p>Hi</p>", TRACK_OPENS).startswith("<p>Hi</p><img ")
    assert LINKS.track("", TRACK_OPENS | TRACK_CLICKS) == ""


def test_a_tenants_own_host_goes_before_the_installations():
    links = LinkMaker(SIGNER, HOME).of(
        Recipient(b"t" * 16, b"d" * 16, 7), "news", "https://own.example", NOW_MS
    )
    assert {url[:22] for url in links.variables().values()} == {
        "https://own.example/u/",
        "https://own.example/p/",
    }


def test_marketing_alone_is_unsubscribed_by_header():
    assert [category.name for category in DEFAULT_CATEGORIES if has_one_click(category)] == ["marketing"]
    unsubscribe = LINKS.variables()["unsubscribe"]
    assert LINKS.headers() == {
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//a.example", "https:/a.example", "https://a\\b/", "x", ""]
)
def test_what_is_no_web_address_is_no_target(url: str):
    assert clean_target(url) == ""


@pytest.mark.parametrize(
    ("method", "headers", "is_person"),
    [
        ("GET", {b"user-agent": PERSON}, True),
        ("HEAD", {b"user-agent": PERSON}, False),
        ("GET", {b"user-agent": PERSON, b"sec-purpose": b"prefetch;prerender"}, False),
        ("GET", {b"user-agent": PERSON, b"purpose": b"prefetch"}, False),
        ("GET", {b"user-agent": b"Mozilla/5.0"}, False),
        (
            "GET",
            {b"user-agent": b"Mozilla/5.0 (Windows NT 5.1; rv:11.0) (via ggpht.com GoogleImageProxy)"},
            False,
        ),
        ("GET", {b"user-agent": b"Mozilla/5.0 (compatible; Googlebot/2.1)"}, False),
        ("GET", {}, False),
    ],
)
def test_machines_that_say_so_are_told_apart(method: str, headers: dict[bytes, bytes], is_person: bool):  # noqa: FBT001  a row's expectation
    assert visit_kind("opened", method, headers) == ("opened" if is_person else "machine")


class Inbox:
    """Keeps batches; away while told so."""

    def __init__(self) -> None:
        self.away = False
        self.batches: list[list[Receipt]] = []

    async def put(self, provider: str, receipts: Sequence[Receipt]) -> None:
        assert provider == SOURCE
        if self.away:
            raise Transient("away")
        self.batches.append(list(receipts))


async def test_visits_are_written_by_the_batch_and_each_kind_once():
    inbox = Inbox()
    visits = Visits(inbox, lambda: None)
    for number in range(1500):
        visits.note(number.to_bytes(16, "big"), "opened", NOW_MS + number)
    visits.note(bytes(16), "opened", NOW_MS + 9)
    visits.note(bytes(16), "clicked", NOW_MS + 9)
    await visits.settle()
    assert [len(batch) for batch in inbox.batches] == [1000, 501]
    assert inbox.batches[0][0] == Receipt(f"{'0' * 32}-opened", bytes(16), "opened", NOW_MS)


async def test_while_postgres_is_away_visits_wait_up_to_a_bound_and_are_lost_beyond_it():
    inbox = Inbox()
    lost: list[int] = []
    visits = Visits(inbox, lambda: lost.append(1))
    inbox.away = True
    for number in range(MAX_KEPT + 7):
        visits.note(number.to_bytes(16, "big"), "clicked", NOW_MS)
    await visits.settle()
    assert len(lost) == 7
    inbox.away = False
    await visits.settle()
    assert sum(map(len, inbox.batches)) == MAX_KEPT
