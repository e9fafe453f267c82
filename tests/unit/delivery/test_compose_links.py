"""What composing adds to a message: links, headers, and a key by which a later push replaces an earlier one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import pytest

from clarion.adapters.providers.sandbox import SandboxProvider
from clarion.adapters.providers.sandbox.fate import SandboxSettings
from clarion.audience.model import DeviceToken, SealedProfile
from clarion.audience.seals import SealedOf
from clarion.contracts.work import WorkItem, delivery_id_for
from clarion.delivery.compose import ComposePorts, MessageComposer
from clarion.delivery.links.maker import LinkMaker
from clarion.delivery.links.tokens import LinkKeys, LinkKind, Recipient, TokenSigner
from clarion.delivery.model import Job, Message
from clarion.delivery.ports import TemplateKey
from clarion.kernel.ids import make_ids
from clarion.templates import (
    ChannelParts,
    EmailParts,
    PushParts,
    Renderer,
    TemplateContent,
    TemplateVersion,
    make_version,
)
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.model import DEFAULT_CATEGORIES, TRACK_CLICKS, TRACK_OPENS, Category, Tenant
from clarion.testing.clock import ManualClock
from clarion.testing.outside import outside

TENANT: Final = b"t" * 16
CLOCK: Final = ManualClock()
SIGNER: Final = TokenSigner(LinkKeys(1, {1: b"k" * 32}))
HTML: Final = '<a href="https://shop.example/">Shop</a>'
TEMPLATES: Final = {
    "plain": EmailParts(subject="Hi", html=HTML),
    "linked": EmailParts(subject="Hi", text="{{ links.unsubscribe }} {{ links.preferences }}"),
}


class Outside:
    """Opens every profile, knows no context, has these templates."""

    def __init__(self, templates: dict[str, TemplateVersion]) -> None:
        self.templates = templates

    async def open_profiles(self, requests: Sequence[SealedOf]) -> list[SealedProfile | None]:
        return [SealedProfile("ada@example.org", "", [DeviceToken("ios", "d")]) for _ in requests]

    async def read(self, keys: Collection[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        return {key: self.templates[key[1]] for key in keys}


class NoContexts:
    async def read(self, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        return [{} for _ in user_ids]


async def compose(
    template: str,
    parts: ChannelParts,
    category: str = "marketing",
    config: TenantConfig | None = None,
    **job: Any,
) -> Message:
    """The message of a job with this template."""
    version = make_version(template, 1, TemplateContent("marketing", parts))
    outside = Outside({template: version})
    channel = "push" if parts.push else "email"
    ident = delivery_id_for(make_ids(1, CLOCK.now_ms()), 1 if parts.push else 0)
    made = Job(
        WorkItem(ident, TENANT, channel, 5),
        7,
        category,
        template,
        1,
        b'{"order":"A-1"}',
        b'{"enabled":true,"context":{}}',
        "ada",
        "UTC",
        "en",
        "GB",
        b"sealed",
        "ready",
        0,
        lease_live=False,
        attempts=0,
        provider="",
        expires_ms=0,
        due_ms=0,
        traceparent="",
    )
    ports = ComposePorts(
        outside, NoContexts(), outside, Renderer(), LinkMaker(SIGNER, "https://t.example"), CLOCK
    )
    jobs = [msgspec.structs.replace(made, **job)]
    (message,) = await MessageComposer(ports).compose(jobs, {TENANT: config or tenant()})
    assert isinstance(message, Message)
    return message


def tenant(*categories: Category, **fields: Any) -> TenantConfig:
    known = {category.name: category for category in (*DEFAULT_CATEGORIES, *categories)}
    return TenantConfig(Tenant(TENANT, "Shop", **fields), 1, known, {}, [])


def email(name: str) -> ChannelParts:
    return ChannelParts(email=TEMPLATES[name])


def push(collapse_key: str = "") -> ChannelParts:
    return ChannelParts(push=PushParts(title="Order {{ order }}", collapse_key=collapse_key))


@pytest.mark.parametrize(
    "personalization", [b'{"enabled":true,"context":{}}', b'{"enabled":false,"context":{}}']
)
async def test_a_template_links_to_unsubscribing_and_to_preferences(personalization: bytes):
    message = await compose("linked", email("linked"), personalization=personalization)
    unsubscribe, preferences = message.text.split()
    claim = SIGNER.read(
        LinkKind.UNSUBSCRIBE, unsubscribe.removeprefix("https://t.example/u/"), CLOCK.now_ms()
    )
    assert claim is not None
    assert (claim.recipient, claim.detail) == (Recipient(TENANT, message.delivery_id, 7), "marketing")
    assert SIGNER.read(LinkKind.PREFERENCES, preferences.removeprefix("https://t.example/p/"), CLOCK.now_ms())


@pytest.mark.parametrize(
    ("category", "has_headers"), [("marketing", True), ("service", False), ("security", False)]
)
async def test_marketing_mail_is_unsubscribed_by_header(category: str, has_headers: bool):  # noqa: FBT001  a row's expectation
    message = await compose("plain", email("plain"), category)
    assert set(message.headers) == ({"List-Unsubscribe", "List-Unsubscribe-Post"} if has_headers else set())
    assert message.html == HTML


@pytest.mark.parametrize(
    ("tracking", "allowed", "clicks", "opens"),
    [
        pytest.param(TRACK_CLICKS | TRACK_OPENS, True, 1, 1, id="both"),
        pytest.param(TRACK_CLICKS, True, 1, 0, id="clicks"),
        pytest.param(TRACK_OPENS, True, 0, 1, id="opens"),
        pytest.param(0, True, 0, 0, id="neither"),
        pytest.param(TRACK_CLICKS | TRACK_OPENS, False, 0, 0, id="tenant-off"),
    ],
)
async def test_the_category_and_its_tenant_say_what_is_followed(
    tracking: int, *, allowed: bool, clicks: int, opens: int
):
    config = tenant(Category("news", "marketing", tracking=tracking), tracking=allowed)
    message = await compose("plain", email("plain"), "news", config)
    assert message.html.count("https://t.example/t/c/") == clicks
    assert message.html.count("https://t.example/t/o/") == opens


@pytest.mark.parametrize(
    ("in_template", "in_request", "key"),
    [
        pytest.param("", "", "", id="none"),
        pytest.param("order-{{ order }}", "", "order-A-1", id="template"),
        pytest.param("order-{{ order }}", "mine", "mine", id="the-request-wins"),
        pytest.param("", "x" * 65, hashlib.sha256(b"x" * 65).hexdigest(), id="too-long"),
        pytest.param("Bestellüng", "", hashlib.sha256("Bestellüng".encode()).hexdigest(), id="not-ascii"),
        pytest.param(" a\n b ", "", "a b", id="one-line"),
    ],
)
async def test_the_sandbox_shows_the_key_by_which_a_push_replaces_another(
    in_template: str, in_request: str, key: str
):
    message = await compose("pushed", push(in_template), "service", collapse_key=in_request)
    account = ProviderConfig("sandbox-push", TENANT, "sandbox", "push", {}, {})
    sandbox = SandboxProvider(account, SandboxSettings(), outside(CLOCK))
    assert [outcome.kind for outcome in await sandbox.send([message])] == ["sent"]
    assert [recorded.collapse_key for recorded in sandbox.recorded] == [key]
    await sandbox.close()


async def test_messages_of_one_template_version_and_language_are_of_one_shape():
    first, second = [await compose("linked", email("linked"), external_id=name) for name in ("ada", "bob")]
    assert first.shape == second.shape == "linked:1:"
