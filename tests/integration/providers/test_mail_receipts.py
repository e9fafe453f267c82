"""What vendors of e-mail report: believed if it is signed, of late and for this account, and told in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from clarion.adapters.providers.mailgun import read_mailgun
from clarion.adapters.providers.sendgrid import read_sendgrid
from clarion.adapters.providers.ses.receipts import SesReader
from clarion.adapters.providers.webhooks import Feedback, WebhookCall, WebhookRead
from clarion.kernel.errors import Invalid, Refused, Transient
from clarion.tenancy.config import ProviderConfig
from tests.integration.providers.mail import config
from tests.integration.providers.webhooks import (
    CERTIFICATE_URL,
    CONFIRM_URL,
    DELIVERY,
    MAILGUN_KEY,
    NOW_S,
    TOPIC,
    SendGridSigner,
    SnsSigner,
    call,
    mailgun_body,
    ses_event,
)

SENDGRID = SendGridSigner()
SNS = SnsSigner()
SES_ACCOUNT = config("ses", topic_arn=TOPIC)
MAILGUN_ACCOUNT = config("mailgun", credentials={"api_key": "x", "webhook_key": MAILGUN_KEY})


async def no_fetch(url: str) -> bytes:
    raise AssertionError(url)


async def sendgrid(made: WebhookCall, account: ProviderConfig | None = None) -> WebhookRead:
    return await read_sendgrid(made, account or SENDGRID.account(), no_fetch)


async def ses(
    message: Mapping[str, str], account: ProviderConfig = SES_ACCOUNT, now_s: float = NOW_S
) -> WebhookRead:
    return await SesReader()(call(msgspec.json.encode(message), now_s=now_s), account, SNS.fetch)


async def mailgun(
    body: bytes, account: ProviderConfig = MAILGUN_ACCOUNT, now_s: float = NOW_S
) -> WebhookRead:
    return await read_mailgun(call(body, now_s=now_s), account, no_fetch)


def said(read: WebhookRead) -> list[tuple[str, str, str]]:
    return [(one.kind, one.code, one.detail) for one in read.feedback]


class TestSendGrid:
    @pytest.mark.parametrize(("event", "expected"), [
        ({"event": "processed"}, [("sent", "", "")]),
        ({"event": "deferred", "response": "450 try <ada@example.org> later"}, [("deferred", "", "")]),
        ({"event": "delivered", "response": "250 OK"}, [("delivered", "", "")]),
        ({"event": "open", "useragent": "x"}, [("opened", "", "")]),
        ({"event": "click", "url": "https://x"}, [("clicked", "", "")]),
        (
            {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 <ada@example.org>",
             "bounce_classification": "Invalid Address"},
            [("bounced", "5.1.1", "Invalid Address")],
        ),
        ({"event": "bounce", "type": "blocked", "status": "5.7.1"}, [("failed", "5.7.1", "")]),
        ({"event": "dropped", "reason": "Bounced Address"}, [("bounced", "", "Bounced Address")]),
        (
            {"event": "dropped", "reason": "Unsubscribed Address"},
            [("failed", "", "Unsubscribed Address"), ("unsubscribed", "", "Unsubscribed Address")],
        ),
        ({"event": "dropped", "reason": "Invalid"}, [("failed", "", "Invalid")]),
        ({"event": "spamreport"}, [("complained", "", "")]),
        ({"event": "unsubscribe"}, [("unsubscribed", "", "")]),
        ({"event": "group_unsubscribe", "asm_group_id": 1}, [("unsubscribed", "", "")]),
        ({"event": "group_resubscribe"}, [("resubscribed", "", "")]),
        ({"event": "account_status_change"}, []),
        ({"event": "open", "clarion_delivery": "of-another-system"}, []),
    ])  # fmt: skip
    async def test_each_event_in_our_words(self, event: dict[str, Any], expected: list[tuple[str, str, str]]):
        read = await sendgrid(SENDGRID.call(event))
        assert said(read) == expected
        assert {one.delivery_id for one in read.feedback} <= {DELIVERY}
        assert all(one.at_ms == NOW_S * 1000 for one in read.feedback)

    async def test_events_have_ids_of_their_own_and_the_address(self):
        read = await sendgrid(
            SENDGRID.call({"event": "dropped", "reason": "Spam Reporting Address"}, {"event": "open"})
        )
        assert [one.event_id for one in read.feedback] == ["event0", "event0:stop", "event1"]
        assert {one.address for one in read.feedback} == {"ada@example.org"}

    async def test_an_open_by_a_machine_is_told_apart(self):
        read = await sendgrid(SENDGRID.call({"event": "open", "sg_machine_open": True}, {"event": "open"}))
        assert [one.is_machine for one in read.feedback] == [True, False]

    async def test_what_was_changed_after_signing_is_refused(self):
        made = SENDGRID.call({"event": "open"})
        with pytest.raises(Refused):
            await sendgrid(msgspec.structs.replace(made, raw=made.raw.replace(b"open", b"drop")))

    async def test_another_time_than_the_signed_one_is_refused(self):
        made = SENDGRID.call({"event": "open"})
        name = "x-twilio-email-event-webhook-timestamp"
        with pytest.raises(Refused):
            await sendgrid(msgspec.structs.replace(made, headers={**made.headers, name: f"{NOW_S + 1}"}))

    @pytest.mark.parametrize("age_s", [-301, 301, 86_400])
    async def test_a_call_that_is_not_of_these_minutes_is_refused(self, age_s: int):
        with pytest.raises(Refused):
            await sendgrid(SENDGRID.call({"event": "open"}, now_s=NOW_S + age_s))

    @pytest.mark.parametrize("headers", [{}, {"x-twilio-email-event-webhook-signature": "AAAA"}])
    async def test_an_unsigned_call_is_refused(self, headers: dict[str, str]):
        made = SENDGRID.call({"event": "open"})
        with pytest.raises(Refused):
            await sendgrid(msgspec.structs.replace(made, headers=headers))

    @pytest.mark.parametrize("signature", ["AAAA", "not base64!", "MEUC"])
    async def test_nonsense_in_place_of_a_signature_is_refused(self, signature: str):
        made = SENDGRID.call({"event": "open"})
        headers = {**made.headers, "x-twilio-email-event-webhook-signature": signature}
        with pytest.raises(Refused):
            await sendgrid(msgspec.structs.replace(made, headers=headers))

    async def test_a_rotated_key_is_refused_until_the_account_has_it(self):
        made = SendGridSigner().call({"event": "open"})
        with pytest.raises(Refused):
            await sendgrid(made)

    async def test_an_account_without_a_key_says_which_setting_is_missing(self):
        with pytest.raises(Refused, match="webhook_key"):
            await sendgrid(SENDGRID.call({"event": "open"}), config("sendgrid"))

    async def test_a_signed_body_that_is_no_list_is_invalid(self):
        with pytest.raises(Invalid):
            await sendgrid(call(b"{}", SENDGRID.sign(b"{}")))


class TestSes:
    @pytest.mark.parametrize(("event", "expected"), [
        (ses_event("Send", send={}), [("sent", "", "")]),
        (ses_event("Delivery", delivery={"timestamp": "2027-01-15T08:00:00.000Z"}), [("delivered", "", "")]),
        (ses_event("DeliveryDelay", deliveryDelay={"delayType": "MailboxFull"}), [("deferred", "", "MailboxFull")]),
        (ses_event("Open", open={"userAgent": "Mozilla/5.0 (Macintosh)"}), [("opened", "", "")]),
        (ses_event("Click", click={"link": "https://x", "userAgent": "Mozilla/5.0 (X11)"}), [("clicked", "", "")]),
        (
            ses_event("Bounce", bounce={"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [
                {"emailAddress": "ada@example.org", "status": "5.1.1", "diagnosticCode": "550 <ada@example.org>"}]}),
            [("bounced", "5.1.1", "General")],
        ),
        (ses_event("Bounce", bounce={"bounceType": "Transient", "bounceSubType": "MailboxFull"}),
         [("failed", "", "MailboxFull")]),
        (ses_event("Complaint", complaint={"complaintFeedbackType": "abuse"}), [("complained", "", "")]),
        (ses_event("Complaint", complaint={"complaintFeedbackType": "not-spam"}), []),
        (ses_event("Reject", reject={"reason": "Bad content"}), [("failed", "", "")]),
        (ses_event("Rendering Failure", failure={"errorMessage": "x"}), [("failed", "", "")]),
        (ses_event("Subscription", subscription={"newTopicPreferences": {"unsubscribeAll": True}}),
         [("unsubscribed", "", "")]),
        (ses_event("Subscription", subscription={"newTopicPreferences": {"unsubscribeAll": False}}), []),
        (ses_event("SomethingNew"), []),
    ])  # fmt: skip
    @pytest.mark.parametrize("version", ["1", "2"])
    async def test_each_event_in_our_words(
        self, event: dict[str, Any], expected: list[tuple[str, str, str]], version: str
    ):
        read = await ses(SNS.notification(event, SignatureVersion=version))
        assert said(read) == expected
        assert {one.delivery_id for one in read.feedback} <= {DELIVERY}
        assert read.replay_key

    async def test_a_notification_without_tags_is_found_by_the_id_of_ses(self):
        event = {"notificationType": "Delivery", "mail": {"messageId": "0102-m1"}, "delivery": {}}
        found: Feedback = (await ses(SNS.notification(event))).feedback[0]
        assert (found.kind, found.delivery_id, found.provider_message_id) == ("delivered", b"", "0102-m1")

    async def test_an_open_by_a_machine_is_told_apart(self):
        read = await ses(SNS.notification(ses_event("Open", open={"userAgent": "Mozilla/5.0"})))
        assert read.feedback[0].is_machine


class TestSns:
    async def test_a_subscription_is_confirmed_at_amazons_own_host(self):
        SNS.fetched.clear()
        assert not (await ses(SNS.confirmation())).feedback
        assert SNS.fetched == [CERTIFICATE_URL, CONFIRM_URL]

    @pytest.mark.parametrize("url", [
        "https://evil.example/?Action=ConfirmSubscription",
        "https://sns.eu-west-1.amazonaws.com.evil.example/?Action=ConfirmSubscription",
        "https://sns.eu-west-1.amazonaws.com@evil.example/?Action=ConfirmSubscription",
        "http://169.254.169.254/latest/meta-data/",
    ])  # fmt: skip
    async def test_no_subscription_is_confirmed_anywhere_else(self, url: str):
        SNS.fetched.clear()
        with pytest.raises(Refused):
            await ses(SNS.confirmation(SubscribeURL=url))
        assert url not in SNS.fetched

    @pytest.mark.parametrize("url", [
        "https://evil.example/SimpleNotificationService-0123456789abcdef0123.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123.pem",
        "https://sns.eu-west-1.amazonaws.com/../bucket/SimpleNotificationService-0123456789abcdef0123.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef0123.pem",
        "",
    ])  # fmt: skip
    async def test_no_certificate_is_fetched_from_anywhere_else(self, url: str):
        SNS.fetched.clear()
        with pytest.raises(Refused):
            await ses(SNS.notification(ses_event("Delivery"), SigningCertURL=url))
        assert not SNS.fetched

    async def test_a_certificate_is_fetched_once(self):
        SNS.fetched.clear()
        reader, body = SesReader(), msgspec.json.encode(SNS.notification(ses_event("Delivery")))
        for _ in range(3):
            await reader(call(body), SES_ACCOUNT, SNS.fetch)
        assert SNS.fetched == [CERTIFICATE_URL]

    async def test_what_cannot_be_fetched_now_is_asked_for_again(self):
        async def away(url: str) -> bytes:
            raise Transient(url)

        with pytest.raises(Transient):
            await SesReader()(call(msgspec.json.encode(SNS.notification("{}"))), SES_ACCOUNT, away)

    @pytest.mark.parametrize("changes", [
        {"Message": "{}"}, {"MessageId": "x"}, {"Timestamp": "2027-01-15T08:00:01.000Z"}, {"Signature": "AAAA"},
        {"Signature": "not base64!"}, {"SignatureVersion": "1"}, {"SignatureVersion": "3"}, {"Subject": "x"},
    ])  # fmt: skip
    async def test_what_was_changed_after_signing_is_refused(self, changes: dict[str, str]):
        with pytest.raises(Refused):
            await ses(SNS.notification(ses_event("Delivery")) | changes)

    async def test_somebody_elses_topic_is_refused_although_amazon_signs_for_it(self):
        with pytest.raises(Refused):
            await ses(
                SNS.notification(ses_event("Delivery"), TopicArn="arn:aws:sns:eu-west-1:999999999999:clarion")
            )

    async def test_an_account_without_a_topic_says_which_setting_is_missing(self):
        with pytest.raises(Refused, match="topic_arn"):
            await ses(SNS.notification(ses_event("Delivery")), config("ses"))

    async def test_a_message_is_taken_for_as_long_as_sns_may_try(self):
        assert (await ses(SNS.notification(ses_event("Delivery")), now_s=NOW_S + 3599)).feedback

    @pytest.mark.parametrize("age_s", [-301, 3601, 86_400])
    async def test_an_older_message_or_one_of_the_future_is_refused(self, age_s: int):
        with pytest.raises(Refused):
            await ses(SNS.notification(ses_event("Delivery")), now_s=NOW_S + age_s)

    async def test_a_certificate_that_has_ended_is_refused(self):
        late = SNS.notification(ses_event("Delivery"), Timestamp="2027-01-17T08:00:00.000Z")
        with pytest.raises(Refused):
            await ses(late, now_s=NOW_S + 2 * 86_400)

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"Type":"Notification"}', b"\xff"])
    async def test_what_is_no_message_of_sns_is_invalid(self, body: bytes):
        with pytest.raises(Invalid):
            await SesReader()(call(body), SES_ACCOUNT, SNS.fetch)

    async def test_the_first_message_to_a_topic_is_only_a_sentence(self):
        text = "Successfully validated SNS topic for Amazon SES event publishing."
        assert not (await ses(SNS.notification(text))).feedback


class TestMailgun:
    @pytest.mark.parametrize(("event", "expected"), [
        ({"event": "accepted"}, [("sent", "", "")]),
        ({"event": "delivered", "delivery-status": {"code": 250, "message": "OK"}}, [("delivered", "", "")]),
        ({"event": "opened"}, [("opened", "", "")]),
        ({"event": "clicked", "url": "https://x"}, [("clicked", "", "")]),
        ({"event": "failed", "severity": "temporary", "reason": "greylisted"}, [("deferred", "", "greylisted")]),
        (
            {"event": "failed", "severity": "permanent", "reason": "bounce",
             "delivery-status": {"code": 550, "enhanced-code": "5.1.1", "message": "<ada@example.org>"}},
            [("bounced", "5.1.1", "bounce")],
        ),
        (
            {"event": "failed", "severity": "permanent", "reason": "suppress-bounce"},
            [("bounced", "", "suppress-bounce")],
        ),
        ({"event": "failed", "severity": "permanent", "reason": "old"}, [("failed", "", "old")]),
        (
            {"event": "failed", "severity": "permanent", "reason": "suppress-unsubscribe"},
            [("failed", "", "suppress-unsubscribe"), ("unsubscribed", "", "suppress-unsubscribe")],
        ),
        ({"event": "rejected"}, [("failed", "", "")]),
        ({"event": "complained"}, [("complained", "", "")]),
        ({"event": "unsubscribed"}, [("unsubscribed", "", "")]),
        ({"event": "stored"}, []),
        ({"event": "opened", "user-variables": {}}, []),
    ])  # fmt: skip
    async def test_each_event_in_our_words(self, event: dict[str, Any], expected: list[tuple[str, str, str]]):
        read = await mailgun(mailgun_body(event))
        assert said(read) == expected
        assert {(one.delivery_id, one.at_ms) for one in read.feedback} <= {(DELIVERY, NOW_S * 1000 + 250)}
        assert read.replay_key == "t" * 50

    async def test_an_open_by_a_machine_is_told_apart(self):
        read = await mailgun(mailgun_body({"event": "opened", "client-info": {"bot": "apple"}}))
        assert read.feedback[0].is_machine

    @pytest.mark.parametrize("age_s", [-301, 301, 86_400])
    async def test_a_call_that_is_not_of_these_minutes_is_refused(self, age_s: int):
        with pytest.raises(Refused):
            await mailgun(mailgun_body({"event": "opened"}), now_s=NOW_S + age_s)

    async def test_another_key_is_refused(self):
        with pytest.raises(Refused):
            await mailgun(mailgun_body({"event": "opened"}, key="key-of-another-account"))

    @pytest.mark.parametrize("old", [b"tttt", f"{NOW_S}".encode()])
    async def test_another_token_or_time_than_the_signed_one_is_refused(self, old: bytes):
        body = mailgun_body({"event": "opened"})
        with pytest.raises(Refused):
            await mailgun(body.replace(old, old[:-1] + b"9", 1))

    async def test_an_account_without_a_key_says_which_credential_is_missing(self):
        with pytest.raises(Refused, match="webhook_key"):
            await mailgun(mailgun_body({"event": "opened"}), config("mailgun"))

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"signature":{}}', b"\xff"])
    async def test_what_is_no_webhook_of_mailgun_is_invalid(self, body: bytes):
        with pytest.raises(Invalid):
            await mailgun(body)
