"""Our double of APNs answers as the reference mock of the Pushy project does, case by case."""

from __future__ import annotations

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from clarion.adapters.providers.http.exchange import HttpRequest
from clarion.testing.clock import ManualClock
from clarion.testing.vendors.apns import KEY_ID, TEAM_ID, TOPIC, ApnsDouble

NOW_S = 1_800_000_000
PAYLOAD = b'{"aps":{"alert":"Hi"}}'


def bearer(double: ApnsDouble, *, age_s: int = 0, kid: str = KEY_ID, team: str = TEAM_ID) -> str:
    key = ECKey.import_key(double.credentials()["key"])
    return f"bearer {jwt.encode({'alg': 'ES256', 'kid': kid}, {'iss': team, 'iat': NOW_S - age_s}, key)}"


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, 200, None),
        ({"path": "/3/device/" + "ab" * 32}, 400, "DeviceTokenNotForTopic"),
        ({"path": "/3/device/xyz"}, 400, "BadDeviceToken"),
        ({"path": "/3/device/"}, 400, "MissingDeviceToken"),
        ({"path": "/3/devices/1"}, 404, "BadPath"),
        ({"method": "GET"}, 405, "MethodNotAllowed"),
        ({"apns-topic": ""}, 400, "MissingTopic"),
        ({"apns-topic": "org.example.other"}, 400, "TopicDisallowed"),
        ({"apns-priority": "7"}, 400, "BadPriority"),
        ({"apns-id": "no-uuid"}, 400, "BadMessageId"),
        ({"apns-push-type": "carrier-pigeon"}, 400, "InvalidPushType"),
        ({"apns-collapse-id": "x" * 65}, 400, "BadCollapseId"),
        ({"apns-expiration": "soon"}, 400, "BadExpirationDate"),
        ({"body": "x" * 5000}, 413, "PayloadTooLarge"),
        ({"body": ""}, 400, "PayloadEmpty"),
        ({"age_s": 7200}, 403, "ExpiredProviderToken"),
        ({"kid": "OTHER12345"}, 403, "InvalidProviderToken"),
        ({"team": "OTHER12345"}, 403, "InvalidProviderToken"),
        ({"authorization": ""}, 403, "MissingProviderToken"),
    ],
    ids=str,
)
def test_it_answers_as_apple_does(changes: dict[str, str | int], status: int, reason: str | None) -> None:
    double = ApnsDouble(ManualClock(NOW_S * 1000))
    said = {name: str(changes[name]) for name in ("kid", "team") if name in changes}
    headers = {
        "authorization": bearer(double, age_s=int(changes.get("age_s", 0)), **said),
        "apns-topic": TOPIC,
        **{name: str(text) for name, text in changes.items() if name.startswith(("apns-", "authorization"))},
    }
    request = HttpRequest(
        str(changes.get("method", "POST")),
        f"https://apple.example{changes.get('path', f'/3/device/{double.register()}')}",
        {name: text for name, text in headers.items() if text},
        str(changes.get("body", PAYLOAD.decode())).encode(),
    )
    reply = double.answer(request)
    assert reply.status == status
    assert (msgspec.json.decode(reply.body)["reason"] if reply.body else None) == reason
    assert "apns-id" in reply.headers


def test_a_dead_device_is_told_with_its_time() -> None:
    double = ApnsDouble(ManualClock(NOW_S * 1000))
    token = double.register()
    double.gone[token] = 1_700_000_000_000
    headers = {"authorization": bearer(double), "apns-topic": TOPIC}
    reply = double.answer(HttpRequest("POST", f"https://apple.example/3/device/{token}", headers, PAYLOAD))
    assert reply.status == 410
    assert msgspec.json.decode(reply.body) == {"reason": "Unregistered", "timestamp": 1_700_000_000_000}
