"""Examples of bodies and answers, for the description of the API."""

from __future__ import annotations

from typing import Any, Final

NAMES: Final = {
    "categories/{name}": "offers",
    "partials/{name}": "footer",
    "providers/{name}": "mail",
    "routing/{channel}": "sms",
    "segments/{name}": "paying",
    "templates/{name}": "order-shipped",
    "token-issuers/{name}": "shop-login",
    "{provider_name}": "sandbox-email",
    "{user_id}": "ada",
    "{version}": "1",
}
"""What stands in paths, by how the path names it. Other places hold what an earlier answer gave: `notification_id`."""

ID: Final = "0198f3c2-7d40-7c1e-9a55-3f0c5b2a6d10"

NOTIFICATION: Final[dict[str, Any]] = {
    "user_id": "ada",
    "category": "transactional",
    "template": "order-shipped",
    "data": {"order": "1815", "day": "tomorrow"},
}

ACCEPTED: Final[dict[str, Any]] = {
    "notification_id": ID,
    "status": "queued",
    "channels": ["email"],
    "ml_predictions": {
        "optimal_send_time": "2026-12-01T08:00:00.000Z",
        "channel_scores": {"email": 0.21, "push": 0.0, "sms": 0.0},
        "predicted_engagement": 0.21,
        "confidence": 0.1,
    },
    "reasons": [{"channel": "push", "rule": "unreachable", "detail": ""}],
}

BATCH_ACCEPTED: Final[dict[str, Any]] = {
    "results": [
        {"index": 0, **ACCEPTED},
        {"index": 1, "error": {"type": "unknown", "detail": "no user 'bob'", "path": "user_id"}},
    ]
}

NOTIFICATION_VIEW: Final[dict[str, Any]] = {
    "notification_id": ID,
    "status": "sent",
    "environment": "live",
    "user_id": "ada",
    "category": "transactional",
    "priority": 5,
    "template": "order-shipped",
    "template_version": 1,
    "journey_id": None,
    "metadata": {},
    "created_at": "2026-12-01T07:59:58.104Z",
    "expires_at": "2026-12-05T07:59:58.104Z",
    "deliveries": [
        {
            "delivery_id": "0198f3c2-7d40-7c1e-9a55-3f0c5b2a6d11",
            "channel": "email",
            "status": "sent",
            "provider": "sandbox-email",
            "provider_cost": 0,
            "provider_message_id": "0198f3c27d407c1e9a553f0c5b2a6d11",
            "attempts": 1,
            "created_at": "2026-12-01T07:59:58.104Z",
            "sent_at": "2026-12-01T07:59:58.131Z",
            "delivered_at": None,
            "engaged_at": None,
            "ml_send_time": "2026-12-01T07:59:58.104Z",
        }
    ],
    "fallback": None,
}

USER: Final[dict[str, Any]] = {
    "email": "ada@example.com",
    "phone": "+442071838750",
    "timezone": "Europe/London",
    "language": "en-GB",
    "country": "GB",
    "attributes": {"first_name": "Ada"},
}

TEMPLATE: Final[dict[str, Any]] = {
    "category": "transactional",
    "channels": {
        "email": {
            "subject": "{{ user.first_name }}, your order is on its way",
            "text": "Order {{ order }} arrives {{ day }}.",
        }
    },
}

TOKEN_ISSUER: Final[dict[str, Any]] = {
    "issuer": "https://login.example.com/",
    "algorithms": ["EdDSA"],
    "scopes": ["notifications:write", "notifications:read"],
    "keys": {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "kid": "2026-11",
                "alg": "EdDSA",
                "use": "sig",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            }
        ]
    },
}

PARTIAL: Final[dict[str, Any]] = {
    "html": "<p>Bits and Bobs Ltd, 1 Analytical Row, London</p>",
    "text": "Bits and Bobs Ltd, 1 Analytical Row, London",
}

CATEGORY: Final[dict[str, Any]] = {
    "class": "marketing",
    "ttl": 86400,
    "on_ambiguity": "park",
    "caps": {"per_day": 2, "per_channel_day": {"sms": 1}},
    "channels": ["email", "push"],
}

PROVIDER: Final[dict[str, Any]] = {
    "kind": "smtp",
    "channel": "email",
    "settings": {"host": "smtp.example.com", "port": 587, "tls": "starttls", "from": "shop@example.com"},
    "credentials": {"username": "shop", "password": "…"},
    "cost": {"default": 0.0001},
    "weight": 1,
    "enabled": True,
}

ROUTING: Final[dict[str, Any]] = {
    "policy": "cost_optimized",
    "order": [],
    "pins": [{"provider": "sandbox-sms", "category": "security", "destination": "DE", "only": False}],
}

PROVIDER_HEALTH: Final[dict[str, Any]] = {
    "name": "twilio",
    "kind": "twilio",
    "channel": "sms",
    "status": "failing",
    "regions": [
        {
            "region": "eu-west-1",
            "breaker": "open",
            "reason": "failures",
            "since": "2026-11-22T09:30:00.000Z",
            "delivery_rate": 0.91,
            "error_rate": 0.4,
            "p99_ms": 1804.0,
            "attempts_per_min": 620.0,
            "updated_at": "2026-11-22T09:30:05.000Z",
        }
    ],
    "alerts": [
        {
            "code": "breaker_open",
            "region": "eu-west-1",
            "advice": "calls failed in a row; one a second is tried, and others of the channel are used meanwhile",
        }
    ],
}

CONSENT: Final[dict[str, Any]] = {
    "user_id": "ada",
    "channel": "email",
    "category": "marketing",
    "consented": True,
    "source": "sign-up form",
    "wording": "Send me offers by e-mail.",
}
