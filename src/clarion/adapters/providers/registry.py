"""From a tenant's configuration to a provider, by its kind.

The only module that knows vendors by name. Kinds of others come as entry points of the group `clarion.providers`: the
name is the kind, the object a `ProviderFactory`. A kind that Clarion brings cannot be replaced by an installed package.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final, Protocol, cast

from clarion.adapters.providers.apns import build_apns
from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.fcm import build_fcm
from clarion.adapters.providers.mailgun import build_mailgun, read_mailgun
from clarion.adapters.providers.plivo import answer_plivo, build_plivo, read_plivo
from clarion.adapters.providers.sandbox import build_sandbox, read_sandbox
from clarion.adapters.providers.sendgrid import build_sendgrid, read_sendgrid
from clarion.adapters.providers.ses import build_ses, read_ses
from clarion.adapters.providers.smtp import build_smtp, read_smtp
from clarion.adapters.providers.twilio import answer_twilio, build_twilio, read_twilio
from clarion.adapters.providers.vonage import build_vonage, read_vonage
from clarion.adapters.providers.webhooks import TextAnswer, WebhookReader
from clarion.adapters.providers.webpush import build_webpush, read_webpush
from clarion.delivery.ports import Provider
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

ENTRY_POINT_GROUP: Final = "clarion.providers"

READER_GROUP: Final = "clarion.webhooks"
"""Entry points of others' `WebhookReader`s: the name is the kind. A kind without one sends no webhooks."""


class ProviderFactory(Protocol):
    """Builds the providers of one kind, without any I/O: a configuration is also built to be checked."""

    def __call__(self, config: ProviderConfig, outside: Outside, /) -> Provider:
        """The provider of an account. Raises Invalid with the path of a wrong setting (`settings.port`)."""
        ...


_BUILT_IN: Final[Mapping[str, ProviderFactory]] = MappingProxyType(
    {
        "apns": build_apns,
        "fcm": build_fcm,
        "mailgun": build_mailgun,
        "plivo": build_plivo,
        "sandbox": build_sandbox,
        "sendgrid": build_sendgrid,
        "ses": build_ses,
        "smtp": build_smtp,
        "twilio": build_twilio,
        "vonage": build_vonage,
        "webpush": build_webpush,
    }
)

_READERS: Final[Mapping[str, WebhookReader]] = MappingProxyType(
    {
        "mailgun": read_mailgun,
        "plivo": read_plivo,
        "sandbox": read_sandbox,
        "smtp": read_smtp,
        "sendgrid": read_sendgrid,
        "ses": read_ses,
        "twilio": read_twilio,
        "vonage": read_vonage,
        "webpush": read_webpush,
    }
)


_TEXT_ANSWERS: Final[Mapping[str, TextAnswer]] = MappingProxyType(
    {"plivo": answer_plivo, "twilio": answer_twilio}
)


def build_provider(config: ProviderConfig, outside: Outside) -> Provider:
    """The provider of a configuration. Opens no connection: that is left to the first `send`.

    Raises Invalid: with the path `kind`, and the known kinds, for an unknown one; with the path of what is wrong in
    settings or credentials otherwise.
    """
    factory = _BUILT_IN.get(config.kind) or _load(config.kind)
    return factory(config, outside)


def known_kinds() -> list[str]:
    """The kinds that `build_provider` takes, in alphabetical order."""
    return sorted({*_BUILT_IN, *_installed(ENTRY_POINT_GROUP)})


def find_reader(kind: str) -> WebhookReader | None:
    """What proves and reads the webhooks of a kind; None where it sends none, or nobody reads them.

    Raises Invalid with the path `kind` where the package that brings it cannot be loaded.
    """
    reader = _READERS.get(kind)
    if reader is not None or kind in _BUILT_IN:
        return reader
    entry_point = _installed(READER_GROUP).get(kind)
    return None if entry_point is None else cast("WebhookReader", _object_of(entry_point))


def find_text_answer(kind: str) -> TextAnswer | None:
    """What answers a text message in the answer to its webhook; None where the vendor takes no answer there."""
    return _TEXT_ANSWERS.get(kind)


def _load(kind: str) -> ProviderFactory:
    entry_point = _installed(ENTRY_POINT_GROUP).get(kind)
    if entry_point is None:
        msg = f"unknown kind of provider; known are {', '.join(known_kinds())}"
        raise Invalid(msg, "kind")
    return cast("ProviderFactory", _object_of(entry_point))


def _object_of(entry_point: EntryPoint) -> object:
    try:
        return entry_point.load()
    except (ImportError, AttributeError) as error:
        msg = f"the package that brings this kind of provider cannot be loaded: {error}"
        raise Invalid(msg, "kind") from error


@lru_cache(maxsize=2)
def _installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of this environment. Read once: it takes milliseconds, and what is installed does not move."""
    return {entry_point.name: entry_point for entry_point in entry_points(group=group)}
