"""Vendors of e-mail as others wrote them in JavaScript.

Prism over the official descriptions, a local SES, and the validators of webhooks that SendGrid and Amazon publish.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final, cast
from urllib.request import urlopen

import msgspec
import pytest
import trustme

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.mailgun.multipart import encode_form
from clarion.adapters.providers.registry import build_provider
from clarion.delivery.model import Message, Outcome
from clarion.kernel.clock import StoreClock
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport, outside
from tests.integration.providers.mail import config, kinds_of, newsletter
from tests.integration.providers.webhooks import SendGridSigner, SnsSigner, ses_event
from tests.oracles.npm import prism, require, run_node, started

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]

MAIL: Final = [newsletter(f"user{place}") for place in range(30)]


async def send(account: ProviderConfig, messages: list[Message]) -> list[Outcome]:
    transport = loopback_transport()
    provider = build_provider(account, outside(StoreClock(), transport=transport))
    outcomes = await provider.send(messages)
    await provider.close()
    await transport.close()
    return outcomes


async def post(url: str, body: bytes, headers: dict[str, str]) -> HttpReply:
    transport = loopback_transport()
    reply = await transport.exchange(HttpRequest("POST", url, headers, body), lambda: None, 20.0)
    await transport.close()
    return reply


@pytest.fixture(scope="module")
def sendgrid_url() -> Generator[str]:
    with prism("sendgrid_mail_send") as url:
        yield url


@pytest.fixture(scope="module")
def mailgun_url() -> Generator[str]:
    with prism("mailgun_messages") as url:
        yield url


@pytest.fixture(scope="module")
def ses_url() -> Generator[str]:
    package = require("aws-ses-v2-local")
    words = [str(package / "dist" / "cli.js"), "--host", "127.0.0.1", "--port", "0"]
    strict = {"AWS_SES_STRICT_TEMPLATE_RENDERING": "true"}
    with started(words, "server running at", strict) as said:
        found = re.search(r"running at (\S+)", said)
        assert found is not None
        yield found[1].rstrip("/")


class TestSendGridByPrism:
    @pytest.mark.parametrize("count", [1, 30])
    async def test_our_requests_keep_to_the_description(self, sendgrid_url: str, count: int):
        account = config("sendgrid", sendgrid_url, reply_to="desk@shop.example")
        assert kinds_of(await send(account, MAIL[:count])) == ["sent"] * count

    async def test_it_does_find_what_is_wrong(self, sendgrid_url: str):
        reply = await post(
            f"{sendgrid_url}/v3/mail/send", b'{"personalizations": []}', {"Content-Type": "application/json"}
        )
        assert reply.status in {400, 401, 422}


class TestMailgunByPrism:
    @pytest.mark.parametrize("count", [1, 2])
    async def test_our_requests_keep_to_the_description(self, mailgun_url: str, count: int):
        # Its example of success says "Queued. Thank you.", as Mailgun does.
        account = config("mailgun", mailgun_url, reply_to="desk@shop.example")
        assert kinds_of(await send(account, MAIL[:count])) == ["sent"] * count

    async def test_it_does_find_what_is_wrong(self, mailgun_url: str):
        content_type, body = encode_form([("from", "a@shop.example"), ("o:dkim", "maybe")])
        headers = {"Content-Type": content_type, "Authorization": "Basic YXBpOng="}
        reply = await post(f"{mailgun_url}/v3/mg.shop.example/messages", body, headers)
        assert reply.status in {400, 422}


class TestLocalSes:
    @pytest.mark.parametrize("count", [1, 30])
    async def test_everybody_gets_what_was_rendered_for_her(self, ses_url: str, count: int):
        names = ["Ada", "Bo & Co", "Grüße <b>", "O'Neil", '"x"', "\\{", "}}", "$1"]
        messages = [newsletter(names[place % len(names)]) for place in range(count)]
        account = config("ses", ses_url, reply_to="desk@shop.example")
        assert kinds_of(await send(account, messages)) == ["sent"] * count
        stored = {mail["destination"]["to"][0]: mail for mail in await asyncio.to_thread(_stored, ses_url)}
        for message in messages:
            mail = stored[message.to]
            assert (mail["subject"], mail["body"]["text"], mail["body"]["html"]) == (
                message.subject,
                message.text,
                message.html,
            )
            headers = {one["name"]: str(make_header(decode_header(one["value"]))) for one in mail["headers"]}
            assert headers == message.headers
            assert mail["replyTo"] == ["desk@shop.example"]


def _stored(ses_url: str) -> list[dict[str, Any]]:
    with urlopen(f"{ses_url}/store") as answer:  # noqa: S310  the server is this test's own
        return msgspec.json.decode(answer.read())["emails"]


class TestValidators:
    def test_sendgrids_believes_what_ours_does(self):
        require("@sendgrid/eventwebhook")
        signer = SendGridSigner()
        made = signer.call({"event": "delivered"})
        signature, at = (
            made.headers[f"x-twilio-email-event-webhook-{name}"] for name in ("signature", "timestamp")
        )
        script = """
            const { EventWebhook } = require("@sendgrid/eventwebhook");
            const [key, body, signature, at] = process.argv.slice(1), webhook = new EventWebhook();
            const publicKey = webhook.convertPublicKeyToECDSA(key);
            for (const text of [body, body + " "]) console.log(webhook.verifySignature(publicKey, text, signature, at));
        """
        assert run_node(script, signer.public_key, made.raw.decode(), signature, at).split() == [
            "true",
            "false",
        ]

    @pytest.mark.parametrize("version", ["1", "2"])
    def test_amazons_believes_what_ours_does(self, version: str, tmp_path: Path):
        require("sns-validator")
        signer = SnsSigner()
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        with _served(signer.pem, context) as port:
            url = f"https://localhost:{port}/certificate.pem"
            good = signer.notification(ses_event("Delivery"), SigningCertURL=url, SignatureVersion=version)
            asking = signer.confirmation(SigningCertURL=url, SignatureVersion=version)
            with_subject = signer.notification(
                "{}", SigningCertURL=url, SignatureVersion=version, Subject="ü"
            )
            bad = good | {"Message": "{}"}
            script = """
                const Validator = require("sns-validator");
                const validator = new Validator(/^localhost:\\d+$/), [port, ...messages] = process.argv.slice(1);
                const judge = (text) =>
                    new Promise((resolve) => validator.validate(JSON.parse(text), (error) => resolve(!error)));
                (async () => { for (const text of messages) console.log(await judge(text)); })();
            """
            words = [msgspec.json.encode(message).decode() for message in (good, asking, with_subject, bad)]
            said = run_node(
                script, str(port), *words, environment={"NODE_EXTRA_CA_CERTS": str(tmp_path / "ca.pem")}
            )
        assert said.split() == ["true", "true", "true", "false"]


class _Document(BaseHTTPRequestHandler):
    """Answers every GET with the server's `body`."""

    def do_GET(self) -> None:
        body = cast("_Server", self.server).body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    body = b""


@contextmanager
def _served(body: bytes, context: ssl.SSLContext) -> Generator[int]:
    """Serve one document over TLS; its port on this machine."""
    with _Server(("127.0.0.1", 0), _Document) as server:
        server.body = body
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
