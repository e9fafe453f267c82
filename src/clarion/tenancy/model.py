"""Tenants, their categories and the principals that act for them."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from clarion.contracts.channels import CHANNELS, mask_of
from clarion.contracts.commands import FallbackStep

CategoryClass: TypeAlias = Literal["transactional", "service", "marketing"]
Ambiguity: TypeAlias = Literal["retry", "park"]
Environment: TypeAlias = Literal["live", "test"]
"""What a credential is for. What a `test` one sends goes to sandboxes only; everything else is the same."""

TEST: Final = "test"

Role: TypeAlias = Literal["owner", "admin", "developer", "marketer", "analyst", "auditor"]
"""What a person is to a tenant; `roles.ROLES` says what each may do."""

DAY_S: Final = 86_400

TRACK_CLICKS: Final = 1
TRACK_OPENS: Final = 2


class Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Most messages of one category to one user in one calendar day of the user's zone. None: no limit."""

    per_day: int | None = None
    per_channel_day: dict[str, int] = {}


class CategoryWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a category is called where readers choose among them, in one language."""

    title: Annotated[str, Meta(min_length=1, max_length=100)]
    description: Annotated[str, Meta(max_length=500)] = ""


class Category(msgspec.Struct, frozen=True):
    """A kind of message. Its class decides what may stop it: `transactional` skips quiet hours and caps.

    `ttl_s`: seconds after the accept when an unsent message expires. `channels`: mask of channels it may use.
    `max_channels`: how many channels `optimal` may take (further ones need a score above the threshold). `tracking`:
    mask of TRACK_CLICKS and TRACK_OPENS; what is followed only where its tenant lets anything be. `fallback`: the
    chain of those of its messages whose request names none. `words`: how readers see it called, by language.
    """

    name: str
    class_: CategoryClass
    ttl_s: int = 4 * DAY_S
    on_ambiguity: Ambiguity = "retry"
    caps: Caps = Caps()
    channels: int = (1 << len(CHANNELS)) - 1
    max_channels: int = 1
    tracking: int = 0
    fallback: tuple[FallbackStep, ...] = ()
    words: dict[str, CategoryWords] = {}


DEFAULT_CATEGORIES: Final = (
    Category("security", "transactional", ttl_s=300),
    Category("transactional", "transactional"),
    Category("service", "service"),
    Category("marketing", "marketing", on_ambiguity="park", caps=Caps(per_day=3)),
)


class QuietHours(msgspec.Struct, frozen=True, array_like=True):
    """A daily window, in minutes after local midnight, in which nothing deferrable is sent. May span midnight."""

    start_min: int
    end_min: int


class Sender(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who a tenant is to those it writes to, as laws ask it to be said in messages. "": not told yet."""

    legal_name: str = ""
    postal_address: str = ""
    contact: str = ""


class ComplianceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tenant may choose where the law leaves it a choice. The defaults are the closed ones.

    `opt_out_scope`: whether STOP ends every text (`all`) or those of the category that it answers. `default_windows`:
    whether the windows that are good manners, not law, hold. `require_proof`: whether what needs written consent, or a
    double opt-in, needs its proof on record too. `retention_days`: by category, for how long messages are kept, less
    than the region's own time.
    """

    opt_out_scope: Literal["all", "category"] = "all"
    default_windows: bool = True
    require_proof: bool = False
    sender: Sender = Sender()
    retention_days: dict[str, int] = {}


DEFAULT_COMPLIANCE: Final = ComplianceSettings()
"""Of a tenant that has chosen nothing."""


Share: TypeAlias = Annotated[float, Meta(ge=0, le=0.5)]


class HoldoutShares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Share of the users to whom each feature does not apply what was learned, so that what it brings is known."""

    send_time: Share = 0.05
    channel: Share = 0.05


class FeatureSwitches(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether each feature uses what was learned of users. Off: everybody gets what suits the population."""

    send_time: bool = True
    channel: bool = True


class MlSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a tenant's decisions learn. `exploration`: share of the messages that may wait which try something else.

    `off`: nothing that was fitted decides anything, no user's history is used and nothing is tried, whatever the rest
    says; the rest is as it was once it is on again.
    """

    exploration: Share = 0.05
    holdout: HoldoutShares = HoldoutShares()
    enabled: FeatureSwitches = FeatureSwitches()
    off: bool = False


DEFAULT_ML: Final = MlSettings()
"""Of a tenant that has chosen nothing."""

LearnedFeature: TypeAlias = Literal["send_time", "channel"]


class Arm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to treat users in an experiment: the settings, and what differs from them.

    `share`: of the users, by weight against the other arms'. `exploration`: instead of the settings' own (None: as
    those). `without`: features that use nothing that was learned of these users. No arm switches on what is off.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    exploration: Share | None = None
    without: tuple[LearnedFeature, ...] = ()


class Experiment(msgspec.Struct, frozen=True):
    """An experiment that runs. The first arm is what the others are compared with."""

    experiment_id: bytes
    arms: tuple[Arm, ...]


class Tenant(msgspec.Struct, frozen=True):
    """What every stage needs to know of a tenant. `timezone` serves users whose own is unknown.

    `daily_quota`: most notifications that are accepted from it on one day of that zone; None: they are not counted.

    `public_url`: where its messages' links lead, instead of the installation's, without a slash at the end ("": there).
    `tracking`: whether clicks and opens may be followed, in the categories that ask for it.
    `language` (BCP 47; "": none): see `templates.choose_locale`.
    """

    tenant_id: bytes
    name: str
    timezone: str = "UTC"
    country: str = ""
    quiet_hours: QuietHours | None = QuietHours(22 * 60, 8 * 60)
    rate_per_s: float = 20_000.0
    rate_burst: float = 40_000.0
    daily_quota: int | None = None
    public_url: str = ""
    tracking: bool = True
    language: str = ""
    compliance: ComplianceSettings = DEFAULT_COMPLIANCE
    ml: MlSettings = DEFAULT_ML
    experiment: Experiment | None = None


def environment_of(*, is_test: bool) -> Environment:
    """The environment by its name."""
    return "test" if is_test else "live"


class TenantEntry(msgspec.Struct, frozen=True):
    """A tenant as all regions know it: who has which name, and where its data lives."""

    tenant_id: bytes
    name: str
    home_region: str


class Principal(msgspec.Struct, frozen=True):
    """Who calls: the tenant comes from here and from nowhere else. `environment` is `live` or `test`.

    `subject`: whom a token says that it speaks for ("": it does not say, or there is none). `member_id`: the member to
    whom the credential is bound ("": none).
    """

    tenant_id: bytes
    key_id: str
    environment: str
    scopes: frozenset[str]
    subject: str = ""
    member_id: str = ""


ALL_CHANNELS: Final = mask_of(CHANNELS)
