"""The provider of kind `ses`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.provider import Call
from clarion.adapters.providers.http.statuses import outcome_of, read_body
from clarion.adapters.providers.mail.letter import Letter, Party
from clarion.adapters.providers.mail.provider import Bulk, BulkLimits, MailProvider, RefusedWhole
from clarion.adapters.providers.ses.account import SesAccount, read_account
from clarion.adapters.providers.ses.errors import refusal_of, refusal_of_entry
from clarion.adapters.providers.ses.sigv4 import Signer
from clarion.delivery.model import Message, Outcome
from clarion.tenancy.config import ProviderConfig

DELIVERY_TAG: Final = "clarion_delivery"
"""The message tag that events give back."""

SINGLE_PATH: Final = "/v2/email/outbound-emails"
BULK_PATH: Final = "/v2/email/outbound-bulk-emails"

_SUCCESSES: Final = range(200, 300)
_SUCCESS: Final = "SUCCESS"
_UNSAFE_BEFORE_GAP: Final = ("{", "\\")
_UNSAFE_AFTER_GAP: Final = "}"


class _Sent(msgspec.Struct, rename="pascal"):
    message_id: str


class _Entry(msgspec.Struct, rename="pascal"):
    status: str
    message_id: str = ""


class _Entries(msgspec.Struct, rename="pascal"):
    bulk_email_entry_results: Sequence[_Entry]


class SesProvider(MailProvider):
    """One access key in one region. Letters that share their content go as entries of a bulk call with a template."""

    limits = BulkLimits(letters=50, value_bytes=100_000, mark="{{", call_bytes=40_000_000)

    def __init__(self, config: ProviderConfig, account: SesAccount) -> None:
        super().__init__(config, account.mail)
        # Without one SES reports as the identity's notifications do, which know its own id of a message only.
        echoes_id = bool(account.configuration_set)
        self._capabilities = msgspec.structs.replace(self._capabilities, echoes_id=echoes_id)
        self._endpoint = account.mail.endpoint
        self._signer = Signer(account.key, account.region)
        self._common: dict[str, Any] = {"FromEmailAddress": account.mail.sender.header}
        if account.configuration_set:
            self._common["ConfigurationSetName"] = account.configuration_set
        self._now_ms = account.mail.outside.clock.now_ms

    def _gap(self, name: str) -> str:
        return f"{{{{{name}}}}}"

    def _single(self, letter: Letter) -> HttpRequest:
        parts = {"Text": letter.text, "Html": letter.html}
        simple: dict[str, Any] = {
            "Subject": _text(letter.subject),
            "Body": {name: _text(text) for name, text in parts.items() if text},
        }
        if letter.headers:
            simple["Headers"] = _headers(letter)
        body = {
            **self._common,
            **_reply_to(letter.reply_to),
            "Destination": {"ToAddresses": [letter.to]},
            "Content": {"Simple": simple},
            "EmailTags": _tags(letter),
        }
        return self._request(SINGLE_PATH, body)

    def _bulk(self, bulk: Bulk) -> HttpRequest:
        parts = {"Subject": bulk.subject, "Text": bulk.text, "Html": bulk.html}
        template = {
            "TemplateContent": {name: text for name, text in parts.items() if text},
            "TemplateData": _data(bulk.names, [""] * len(bulk.names)),
        }
        entries: list[dict[str, Any]] = []
        for letter, values in zip(bulk.letters, bulk.values, strict=True):
            data = {"ReplacementTemplateData": _data(bulk.names, values)}
            entry: dict[str, Any] = {
                "Destination": {"ToAddresses": [letter.to]},
                "ReplacementTags": _tags(letter),
                "ReplacementEmailContent": {"ReplacementTemplate": data},
            }
            if letter.headers:
                entry["ReplacementHeaders"] = _headers(letter)
            entries.append(entry)
        body = {
            **self._common,
            **_reply_to(bulk.letters[0].reply_to),
            "DefaultContent": {"Template": template},
            "BulkEmailEntries": entries,
        }
        return self._request(BULK_PATH, body)

    def _is_sound(self, literals: Sequence[str]) -> bool:
        """Whether no literal touches a gap with what would make another tag of it, as `{` before `{{c0}}` does."""
        return not any(literal.endswith(_UNSAFE_BEFORE_GAP) for literal in literals[:-1]) and not any(
            literal.startswith(_UNSAFE_AFTER_GAP) for literal in literals[1:]
        )

    def _request(self, path: str, body: dict[str, Any]) -> HttpRequest:
        url, raw = self._endpoint + path, msgspec.json.encode(body)
        return HttpRequest("POST", url, self._signer.sign(url, raw, self._now_ms()), raw)

    def _outcomes_of(self, call: Call, reply: HttpReply) -> list[Outcome]:
        messages = [flight.message for flight in call.flights]
        if reply.status not in _SUCCESSES:
            verdict, name = refusal_of(reply, self._now_ms())
            if verdict.kind == "permanent" and len(messages) > 1:
                raise RefusedWhole({})
            return [outcome_of(message, verdict, _detail(name)) for message in messages]
        if call.request.url.endswith(SINGLE_PATH):
            return [self._sent(messages[0], read_body(reply, _Sent).message_id)]
        entries = read_body(reply, _Entries).bulk_email_entry_results
        # One for each, in order; where it is not so, the caller of this finds out.
        return [
            self._outcome_of_entry(message, entry) for message, entry in zip(messages, entries, strict=False)
        ]

    def _outcome_of_entry(self, message: Message, entry: _Entry) -> Outcome:
        if entry.status == _SUCCESS:
            return self._sent(message, entry.message_id)
        verdict, name = refusal_of_entry(entry.status)
        return outcome_of(message, verdict, _detail(name))


def _text(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _data(names: Sequence[str], values: Sequence[str]) -> str:
    return msgspec.json.encode(dict(zip(names, values, strict=True))).decode()


def _headers(letter: Letter) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in letter.headers.items()]


def _tags(letter: Letter) -> list[dict[str, str]]:
    return [{"Name": DELIVERY_TAG, "Value": letter.delivery}]


def _reply_to(party: Party | None) -> dict[str, list[str]]:
    return {} if party is None else {"ReplyToAddresses": [party.header]}


def _detail(name: str) -> str:
    return f"SES answers {name}" if name else ""


def build_ses(config: ProviderConfig, outside: Outside) -> SesProvider:
    """An SES account. Raises Invalid with the path of a wrong setting."""
    return SesProvider(config, read_account(config, outside))
