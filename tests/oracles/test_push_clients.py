"""Others' clients of push services against our doubles, and others' code as the judge of what we send.

They bring no types: each is loaded by name, and what is taken from it has its type said here.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from importlib import import_module
from importlib.resources import files
from typing import Any

import jsonschema_rs
import jwt
import msgspec
import pytest

from clarion.testing.vendors import FcmDouble, serve, wire2
from clarion.testing.vendors.apns import KEY_ID, TEAM_ID, TOPIC, ApnsDouble
from clarion.testing.vendors.browser import BrowserDouble
from clarion.testing.vendors.double import validator
from clarion.testing.vendors.fcm import PROJECT, UNREGISTERED
from clarion.testing.vendors.google_oauth import MAIL, SCOPE, TokenDouble
from tests.integration.providers.push import (
    ANDROID,
    NOW_MS,
    SUBJECT,
    VAPID_KEY,
    ApnsWorld,
    FcmWorld,
    WebWorld,
    authority,
    opened,
    push,
    send_one,
)
from tests.oracles.discovery import schema_of

# The clients use what their own dependencies give up; it says nothing about us.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def load(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def discovery() -> dict[str, Any]:
    """Google's description of FCM, as its own client for Python carries it."""
    document = files("googleapiclient") / "discovery_cache" / "documents" / "fcm.v1.json"
    return json.loads(document.read_text())


class TestApple:
    """aioapns is a client for APNs that nobody here wrote."""

    @staticmethod
    def client(double: ApnsDouble, port: int) -> Any:
        credentials = double.credentials()
        client = load("aioapns", "APNs")(
            key=credentials["key"],
            key_id=KEY_ID,
            team_id=TEAM_ID,
            topic=TOPIC,
            ssl_context=ssl.create_default_context(cadata=authority().pem),
        )
        base = client.pool.protocol_class
        client.pool.protocol_class = type("Local", (base,), {"APNS_SERVER": "127.0.0.1", "APNS_PORT": port})
        return client

    @pytest.mark.parametrize(
        ("fault", "status", "reason"),
        [
            ("", "200", None),
            ("gone", "410", "Unregistered"),
            ("unknown", "400", "DeviceTokenNotForTopic"),
            ("malformed", "400", "BadDeviceToken"),
            ("large", "413", "PayloadTooLarge"),
            ("priority", "400", "BadPriority"),
            ("collapse", "400", "BadCollapseId"),
            ("topic", "400", "TopicDisallowed"),
            ("apns-id", "400", "BadMessageId"),
            ("team", "403", "InvalidProviderToken"),
        ],
    )
    async def test_its_client_gets_from_our_double_what_apple_answers(
        self, fault: str, status: str, reason: str | None
    ) -> None:
        double = ApnsDouble()
        token = double.register()
        if fault == "gone":
            double.gone[token] = NOW_MS
        token = {"unknown": "ab" * 32, "malformed": "xyz"}.get(fault, token)
        async with wire2.serve(double, authority().server("127.0.0.1")) as server:
            client = self.client(
                ApnsDouble() if fault == "team" else double, int(server.url.rpartition(":")[2])
            )
            request = load("aioapns", "NotificationRequest")(
                device_token=token,
                message={"aps": {"alert": "x" * (5000 if fault == "large" else 5)}},
                notification_id="not-a-uuid" if fault == "apns-id" else None,
                priority=7 if fault == "priority" else None,
                collapse_key="x" * 65 if fault == "collapse" else None,
                apns_topic="org.example.other" if fault == "topic" else None,
            )
            result = await asyncio.wait_for(client.send_notification(request), 10)
            client.pool.close()
        assert (result.status, result.description) == (status, reason)

    async def test_another_library_verifies_our_token(self) -> None:
        async with opened(ApnsWorld) as world:
            await send_one(world.provider(), push(world.device()))
            (token,) = world.double.provider_tokens
            public = world.double.public_key()
            claims = jwt.decode(token, public, algorithms=["ES256"], options={"verify_iat": False})
        assert jwt.get_unverified_header(token)["kid"] == KEY_ID
        assert claims["iss"] == TEAM_ID
        assert 0 < NOW_MS // 1000 - claims["iat"] < 3600


class TestGoogle:
    async def test_its_client_and_its_credentials_get_a_message_through_our_doubles(self) -> None:
        double = FcmDouble()
        async with serve(TokenDouble(double.tokens)) as grants, serve(double) as server:
            account = json.loads(TokenDouble.service_account(grants.url))

            def send(token: str) -> Any:
                accounts = load("google.oauth2.service_account", "Credentials")
                granted = accounts.from_service_account_info(account, scopes=[SCOPE])
                granted.refresh(load("google.auth.transport.requests", "Request")())
                # The account's own credentials would ask Google for a region beside each call.
                bearer = load("google.oauth2.credentials", "Credentials")(granted.token)
                service = load("googleapiclient.discovery", "build_from_document")(
                    discovery(),
                    credentials=bearer,
                    client_options={"api_endpoint": server.url},
                )
                body = {"message": {"token": token, "notification": {"title": "Hi"}}}
                messages = service.projects().messages()
                return messages.send(parent=f"projects/{PROJECT}", body=body).execute()

            answer = await asyncio.to_thread(send, ANDROID.token)
            assert answer["name"].startswith(f"projects/{PROJECT}/messages/")
            with pytest.raises(load("googleapiclient.errors", "HttpError"), match="UNREGISTERED"):
                await asyncio.to_thread(send, f"{UNREGISTERED}:1")

    async def test_its_description_takes_every_request_of_ours(self) -> None:
        whole = jsonschema_rs.validator_for(schema_of(discovery(), "SendMessageRequest"))
        async with opened(FcmWorld) as world:
            messages = [
                push(ANDROID),
                push(ANDROID, collapse_key="cart", expires_ms=NOW_MS + 60_000, priority=9),
                push(ANDROID, title="", data={}),
                push(ANDROID, data={"n": 1, "deep": {"a": [True, None]}}),
            ]
            outcomes = await world.provider().send(messages)
            bodies = [msgspec.json.decode(request.body) for request in world.server.requests]
        assert {outcome.kind for outcome in outcomes} == {"sent"}
        assert len(bodies) == len(messages)
        for body in bodies:
            whole.validate(body)

    def test_the_double_is_as_strict_as_its_description(self) -> None:
        whole = jsonschema_rs.validator_for(schema_of(discovery(), "SendMessageRequest"))
        extract = validator("fcm_send_message_request")
        message: dict[str, Any] = {"token": "t"}
        cases: list[dict[str, Any]] = [
            {"message": message},
            {"message": message | {"data": {"n": 1}}},
            {"message": message | {"notificaton": {}}},
            {"message": message | {"android": {"priority": "URGENT"}}},
            {"message": message | {"android": {"collapseKey": "a", "notification": {"tag": "a"}}}},
            {"message": message | {"apns": {"headers": {"apns-priority": 5}}}},
            {"message": message | {"webpush": {"headers": {"TTL": "5"}}}},
        ]
        for case in cases:
            assert extract.is_valid(case) == whole.is_valid(case), case

    async def test_its_library_verifies_our_assertion(self) -> None:
        async with opened(FcmWorld) as world:
            await send_one(world.provider(), push(ANDROID))
            (request,) = world.token_server.requests
            file = json.loads(world.account()[1]["service_account"])
        assertion = request.body.decode().partition("assertion=")[2]
        key = load("cryptography.hazmat.primitives.serialization", "load_pem_private_key")(
            file["private_key"].encode(), None
        )
        claims = jwt.decode(
            assertion,
            key.public_key(),
            algorithms=["RS256"],
            audience=file["token_uri"],
            options={"verify_iat": False, "verify_exp": False},
        )
        assert (claims["iss"], claims["scope"]) == (MAIL, SCOPE)
        assert claims["exp"] - claims["iat"] == 3600


class TestBrowsers:
    async def test_another_sender_is_read_by_our_browser(self) -> None:
        double = BrowserDouble()
        async with serve(double) as server:
            double.origin = server.url
            subscription = json.loads(double.subscribe())

            def send() -> Any:
                return load("pywebpush", "webpush")(
                    subscription,
                    data='{"title":"Hi"}',
                    vapid_private_key=VAPID_KEY,
                    vapid_claims={"sub": SUBJECT},
                    ttl=60,
                    headers={"content-type": "application/octet-stream", "urgency": "normal"},
                )

            answer = await asyncio.to_thread(send)
        assert answer.status_code == 201
        assert double.arrived[0]["content"] == {"title": "Hi"}

    async def test_another_library_verifies_our_claim(self) -> None:
        verify = load("py_vapid", "Vapid02").verify
        async with opened(WebWorld) as world:
            await send_one(world.provider(), push(world.device()))
            (said,) = world.double.authorizations
        # It reads the parameters without the space that RFC 8292 shows between them.
        assert verify(said.replace(", ", ","))
        assert not verify(said.replace(", ", ",").replace("t=ey", "t=eY"))
