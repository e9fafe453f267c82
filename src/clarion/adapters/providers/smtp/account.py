"""An SMTP account: its settings and credentials, checked."""

from __future__ import annotations

import ipaddress
import ssl
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from clarion.adapters.providers.base import CALL_DEADLINE_S, Unsendable, read_settings
from clarion.adapters.providers.smtp.dkim import DkimSettings, DkimSigner, read_signing_key
from clarion.adapters.providers.smtp.mime import Letterhead
from clarion.adapters.providers.smtp.verp import ReturnPath
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

_DEFAULT_PORTS: Final = {"none": 25, "starttls": 587, "tls": 465}


class SmtpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `settings` of a provider of kind `smtp`.

    `port` 0: the usual one for `tls` (25, 587, 465). `from` and `reply_to` are addresses with or without a name. `ca`:
    certificates in PEM that sign the server's, instead of the system's; for a relay with a private authority.
    `concurrency`: connections at a time. `timeout_s`: how long a call waits for the server. `dkim`: sign with the
    key in the credentials; None: the relay signs, or nobody does. `bounce_address`: where mail comes back to that could
    not be delivered, with the delivery's id added before the `@` ("": to `from`, and nobody reads it).
    """

    host: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._:-]{1,253}\Z")]
    sender: str = msgspec.field(name="from")
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    tls: Literal["none", "starttls", "tls"] = "starttls"
    reply_to: str = ""
    dkim: DkimSettings | None = None
    bounce_address: Annotated[str, Meta(max_length=254)] = ""
    ca: str = ""
    concurrency: Annotated[int, Meta(ge=1, le=100)] = 20
    timeout_s: Annotated[float, Meta(gt=0, le=CALL_DEADLINE_S)] = CALL_DEADLINE_S


class SmtpCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `credentials` of a provider of kind `smtp`: `username` and `password` or neither.

    `dkim_key`: the private key that `settings.dkim` names the public half of, in PEM.
    """

    username: str = ""
    password: str = ""
    dkim_key: str = ""


class Account(msgspec.Struct, frozen=True):
    """All that it takes to open a connection and write a letter. Without `tls_context` nothing is encrypted.

    `return_path`: where bounces go; None: to the sender.
    """

    settings: SmtpSettings
    credentials: SmtpCredentials
    letterhead: Letterhead
    port: int
    tls_context: ssl.SSLContext | None
    signer: DkimSigner | None = None
    return_path: ReturnPath | None = None


def read_account(config: ProviderConfig) -> Account:
    """The account of a configuration. Raises Invalid with the path of what is wrong in it."""
    if config.channel != "email":
        msg = "a provider of kind smtp carries email"
        raise Invalid(msg, "channel")
    settings = read_settings("settings", config.settings, SmtpSettings)
    credentials = read_settings("credentials", config.credentials, SmtpCredentials)
    _check_credentials(settings, credentials)
    return Account(
        settings,
        credentials,
        _letterhead(settings),
        settings.port or _DEFAULT_PORTS[settings.tls],
        None if settings.tls == "none" else _tls_context(settings.ca),
        _signer(settings.dkim, credentials.dkim_key),
        ReturnPath(settings.bounce_address) if settings.bounce_address else None,
    )


def _signer(settings: DkimSettings | None, pem: str) -> DkimSigner | None:
    if settings is None:
        if pem:
            raise Invalid("a key to sign with needs its domain and selector", "settings.dkim")
        return None
    if not pem:
        raise Invalid("signing needs a private key in PEM", "credentials.dkim_key")
    return DkimSigner(settings, read_signing_key(pem))


def _check_credentials(settings: SmtpSettings, credentials: SmtpCredentials) -> None:
    if bool(credentials.username) != bool(credentials.password):
        missing = "password" if credentials.username else "username"
        msg = "username and password go together"
        raise Invalid(msg, f"credentials.{missing}")
    if credentials.username and settings.tls == "none" and not _is_loopback(settings.host):
        msg = "credentials need an encrypted connection: starttls or tls"
        raise Invalid(msg, "settings.tls")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _letterhead(settings: SmtpSettings) -> Letterhead:
    for name, value in (("from", settings.sender), ("reply_to", settings.reply_to)):
        try:
            if value or name == "from":
                Letterhead(value)
        except Unsendable as error:
            raise Invalid(error.detail, f"settings.{name}") from error
    return Letterhead(settings.sender, settings.reply_to)


def _tls_context(ca: str) -> ssl.SSLContext:
    """A context that verifies the server's name and certificate: there is no way to switch that off."""
    try:
        return ssl.create_default_context(cadata=ca or None)
    except (ssl.SSLError, ValueError) as error:
        msg = "not a certificate in PEM"
        raise Invalid(msg, "settings.ca") from error
