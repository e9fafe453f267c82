"""The rules: what a tenant chooses of them, and what they say of one message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from clarion.audience.model import Card
from clarion.compliance.consent import ALL
from clarion.compliance.evaluate import Allow, Block, Facts, decide_one
from clarion.compliance.model import ANY_CATEGORY
from clarion.compliance.opening_hours import is_open
from clarion.compliance.quiet_hours import windows_of
from clarion.compliance.rule_rows import Hours, LegalCap
from clarion.compliance.rulebook import bundled_rulebook
from clarion.compliance.rules import EXPLANATIONS, Rule, switched_off
from clarion.compliance.standing import Standing, standing_of
from clarion.contracts.channels import CHANNEL_INDEX, Channel
from clarion.contracts.commands import AwareTime, Name
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid, NotFound, Unknown
from clarion.kernel.local_time import DAY_MS, known_zone
from clarion.kernel.text import check_storable
from clarion.orchestration.rows import format_time
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.model import Category, ComplianceSettings, Sender

MAX_RETENTION_DAYS: Final = 3_650

FURTHEST_DAYS: Final = 1_000
"""How far from now a message may be asked about."""

_SAID: Final = {
    "identity": "legal_name",
    "brand": "legal_name",
    "imprint": "postal_address",
    "postal_address": "postal_address",
    "contact": "contact",
}
"""What messages have to hold that the tenant's settings know, by the field of `Sender`."""

Line: TypeAlias = Annotated[str, Meta(max_length=500)]


class SenderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who the tenant is to those it writes to, as laws ask it to be said. "": not told."""

    legal_name: Line = ""
    postal_address: Line = ""
    contact: Line = ""


class SettingsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/compliance/settings`: all choices; what is left out is as it is without any.

    `opt_out_scope`: whether STOP ends all texts, or those of the category that it answers. `default_windows`: whether
    the hours that are good manners, and no law, hold. `require_proof`: whether what needs written consent, or a double
    opt-in, needs its proof on record. `retention_days`: by category, for how long contents are kept.
    """

    opt_out_scope: Literal["all", "category"] = "all"
    default_windows: bool = True
    require_proof: bool = False
    sender: SenderBody = SenderBody()
    retention_days: dict[Name, Annotated[int, Meta(ge=1, le=MAX_RETENTION_DAYS)]] = {}


class SettingsView(msgspec.Struct, frozen=True):
    """What the tenant chose. `ruleset`: the version of the rulebook that holds."""

    opt_out_scope: str
    default_windows: bool
    require_proof: bool
    sender: SenderBody
    retention_days: dict[str, int]
    ruleset: str


_BODY: Final = JsonBody(SettingsBody)
_EXAMPLE: Final = {
    "opt_out_scope": "all",
    "require_proof": True,
    "sender": {
        "legal_name": "Example Ltd",
        "postal_address": "1 Example Street, London",
        "contact": "privacy@example.com",
    },
}


@route(
    "PUT /api/v1/compliance/settings",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_BODY,
        answers={200: SettingsView},
        problems=(422,),
        examples={"body": _EXAMPLE},
    ),
)
async def put_compliance_settings(call: Call) -> Reply:
    """Choose where the law leaves a choice. What is decided from now on, and claimed a second later, heeds it."""
    body = await call.read(_BODY)
    region = call.services.gateway.region
    config = await region.configs.get(call.tenant_id)
    unknown = sorted(body.retention_days.keys() - config.categories.keys())
    if unknown:
        raise Unknown(f"names an unknown category: {', '.join(unknown)}", "retention_days")
    sender = Sender(**msgspec.structs.asdict(body.sender))
    for name, value in msgspec.structs.asdict(sender).items():
        check_storable(value, f"sender.{name}")
    chosen = ComplianceSettings(
        body.opt_out_scope, body.default_windows, body.require_proof, sender, dict(body.retention_days)
    )
    await region.tenants.put_compliance(call.tenant_id, chosen)
    region.configs.forget(call.tenant_id)
    return json_reply(_settings(chosen))


@route(
    "GET /api/v1/compliance/settings",
    Spec(tag="compliance", scope="compliance:read", rate="read", answers={200: SettingsView}),
)
async def show_compliance_settings(call: Call) -> Reply:
    """What this tenant chose where the law leaves a choice."""
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    return json_reply(_settings(config.tenant.compliance))


def _settings(chosen: ComplianceSettings) -> SettingsView:
    return SettingsView(
        chosen.opt_out_scope,
        chosen.default_windows,
        chosen.require_proof,
        SenderBody(**msgspec.structs.asdict(chosen.sender)),
        chosen.retention_days,
        bundled_rulebook().version,
    )


class ExplainQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked about; `at`: when the message would go, now without it."""

    channel: Channel
    category: Name
    at: AwareTime | None = None


class WhereaboutsView(msgspec.Struct, frozen=True):
    """What is known of where she is: from her profile, and from her number."""

    country: str | None
    region: str | None
    timezone: str | None
    phone_country: str | None
    phone_zones: list[str]


class ZoneView(msgspec.Struct, frozen=True):
    """A clock that has a say, and what it shows."""

    timezone: str
    local_time: str


class WordView(msgspec.Struct, frozen=True):
    """What she said last on this channel, of a category (`all`: of every one)."""

    category: str
    consented: bool
    basis: str
    source: str
    at: str


class RuleView(msgspec.Struct, frozen=True):
    """A rule of the rulebook that holds for the message. `law`: false for good manners.

    `hours`: when it lets messages go (none: at any time), `open`: whether that is so at the instant asked about.
    """

    id: str
    places: list[str]
    law: bool
    consent: str
    accepts: list[str]
    hours: list[Hours]
    open: bool
    caps: list[LegalCap]
    source: str
    effective_from: str


class DutyView(msgspec.Struct, frozen=True):
    """What the message has to hold, by a rule. `told`: whether the settings know it; null: the message is to say it."""

    content: str
    rule: str
    told: bool | None


class ExplainView(msgspec.Struct, frozen=True):
    """What would become of a message, and why.

    `verdict`: `allow`, `defer` (until `until`) or `block`. `reason`: the rule that is told in decisions, with its
    `explanation`; `rule`: that of the rulebook behind it, null where it is the user's or tenant's own choice. Caps are
    listed and not counted: places are taken when a message is sent.
    """

    user_id: str
    channel: str
    category: str
    at: str
    verdict: Literal["allow", "defer", "block"]
    reason: str | None
    explanation: str | None
    rule: str | None
    until: str | None
    ruleset: str
    whereabouts: WhereaboutsView
    jurisdictions: list[str]
    clocks: list[ZoneView]
    suppressed: bool
    words: list[WordView]
    rules: list[RuleView]
    must_contain: list[DutyView]


class _Verdict(msgspec.Struct, frozen=True):
    """The answer's first part."""

    kind: Literal["allow", "defer", "block"]
    reason: Rule | None = None
    rule_id: str = ""
    until_ms: int = 0


@route(
    "GET /api/v1/compliance/explain/{user_id}",
    Spec(
        tag="compliance",
        scope="compliance:read",
        rate="read",
        query=ExplainQuery,
        answers={200: ExplainView},
        problems=(422,),
    ),
)
async def explain_rules(call: Call) -> Reply:
    """What the rules say of a message to a user on a channel, at an instant: whether it may go, when, and by what.

    Every place where she may be, every clock and every word of hers that has a say is listed with its source. Nothing
    is sent, and nothing is written.
    """
    asked = call.query(ExplainQuery)
    region = call.services.gateway.region
    config = await region.configs.get(call.tenant_id)
    category = config.categories.get(asked.category)
    if category is None:
        raise Unknown(
            f"there is no such category; there are {', '.join(sorted(config.categories))}", "category"
        )
    user_id = call.param("user_id")
    (card,) = await region.users.read_cards(call.tenant_id, [user_id])
    if card is None:
        raise NotFound("there is no such user")
    at_ms = _instant_ms(asked.at, region.clock.now_ms())
    standing = standing_of(card.whereabouts, config.tenant, category, at_ms)
    records = await region.consents.records(call.tenant_id, card.user_id)
    words = [
        WordView(
            ALL if record.category == ANY_CATEGORY else record.category,
            record.consented,
            record.basis,
            record.source,
            format_time(record.at_ms),
        )
        for record in records
        if record.channel == asked.channel and record.category in {category.name, ANY_CATEGORY}
    ]
    verdict = _judge(card, config, category, asked.channel, at_ms)
    index = CHANNEL_INDEX[asked.channel]
    return json_reply(
        ExplainView(
            user_id=user_id,
            channel=asked.channel,
            category=category.name,
            at=format_time(at_ms),
            verdict=verdict.kind,
            reason=verdict.reason and verdict.reason.value,
            explanation=verdict.reason and EXPLANATIONS[verdict.reason],
            rule=verdict.rule_id or None,
            until=format_time(verdict.until_ms) if verdict.until_ms else None,
            ruleset=standing.law.version,
            whereabouts=_whereabouts(card),
            jurisdictions=list(standing.places.jurisdictions),
            clocks=[_clock(zone, at_ms) for zone in standing.places.zones],
            suppressed=bool(card.consent.suppressed >> index & 1),
            words=words,
            rules=_rules(standing, asked.channel, at_ms),
            must_contain=_duties(standing, asked.channel, config.tenant.compliance.sender),
        )
    )


def _instant_ms(at: datetime | None, now_ms: int) -> int:
    """The instant asked about, UTC ms. Raises Invalid where it is far from now: rules and clocks change."""
    at_ms = now_ms if at is None else int(at.timestamp() * 1000)
    if abs(at_ms - now_ms) > FURTHEST_DAYS * DAY_MS:
        raise Invalid(f"lies more than {FURTHEST_DAYS} days from now", "at")
    return at_ms


def _judge(card: Card, config: TenantConfig, category: Category, channel: str, at_ms: int) -> _Verdict:
    """What becomes of the message: the same questions, in the order in which a decision asks them."""
    tenant, index = config.tenant, CHANNEL_INDEX[channel]
    if not category.channels >> index & 1:
        return _Verdict("block", Rule.CATEGORY_CHANNEL)
    if not card.reachable >> index & 1:
        return _Verdict("block", Rule.UNREACHABLE)
    book = bundled_rulebook()
    facts = Facts(
        places=book.atlas.plausible(card.whereabouts, tenant.country, tenant.timezone),
        consent=card.consent,
        settings=tenant.compliance,
        quiet=windows_of(tenant.quiet_hours, card.quiet_hours),
        quiet_zone=known_zone(card.timezone, tenant.timezone),
    )
    verdict = decide_one(at_ms, facts, channel, category, book)
    has_no_word = isinstance(verdict, Block) and verdict.reason in _WORDS
    if not has_no_word and switched_off(category.class_, category.name, card.preferences) >> index & 1:
        return _Verdict("block", Rule.PREFERENCE)
    match verdict:
        case Allow():
            return _Verdict("allow")
        case Block(reason=reason, rule_id=rule_id):
            return _Verdict("block", reason, rule_id)
        case _:
            return _Verdict("defer", verdict.reason, verdict.rule_id, verdict.until_ms)


_WORDS: Final = frozenset((Rule.SUPPRESSED, Rule.CONSENT_DENIED, Rule.CONSENT_MISSING))
"""What is told before that she switched the channel off."""


def _whereabouts(card: Card) -> WhereaboutsView:
    return WhereaboutsView(
        card.country or None,
        card.region or None,
        card.timezone or None,
        card.phone_country or None,
        list(card.phone_zones),
    )


def _clock(zone: str, at_ms: int) -> ZoneView:
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone))
    return ZoneView(zone, local.isoformat(timespec="minutes"))


def _rules(standing: Standing, channel: Channel, at_ms: int) -> list[RuleView]:
    terms = standing.law.terms[CHANNEL_INDEX[channel]]
    book = bundled_rulebook()
    opening = {hours.rule_id: hours for hours in terms.opening}
    views: list[RuleView] = []
    for rule_id in terms.rule_ids:
        row = book.row(rule_id)
        views.append(
            RuleView(
                rule_id,
                list(row.places),
                row.law,
                row.consent,
                list(row.accepts),
                list(row.hours),
                is_open(opening.get(rule_id), standing.places.zones, at_ms),
                list(row.caps),
                row.source,
                row.effective_from.isoformat(),
            )
        )
    return views


def _duties(standing: Standing, channel: Channel, sender: Sender) -> list[DutyView]:
    duties = standing.law.terms[CHANNEL_INDEX[channel]].content
    return [DutyView(duty.content, duty.rule_id, _told(duty.content, sender)) for duty in duties]


def _told(content: str, sender: Sender) -> bool | None:
    field = _SAID.get(content)
    return None if field is None else bool(getattr(sender, field))


ROUTES: Final[tuple[Route, ...]] = (put_compliance_settings, show_compliance_settings, explain_rules)
