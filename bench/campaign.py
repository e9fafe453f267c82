"""A tenant's campaign, as the benches send it: users, a template, batches of personalised e-mails."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from bench.harness import post_all, raw_request
from clarion.testing.instance import Instance

USERS: Final = 5_000
BATCH: Final = 500
ZONES: Final = ("Europe/Paris", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo", "Asia/Kolkata")
TEMPLATE: Final = {
    "category": "transactional",
    "channels": {
        "email": {
            "subject": "{{ user.first_name }}, your order {{ data.order }} is on its way",
            "html": "<h1>Hello {{ user.first_name }}</h1><p>Your order <b>{{ data.order }}</b> left us today.</p>"
            "<ul>{% for item in data.articles %}<li>{{ item.name }}: {{ item.price }}</li>{% endfor %}</ul>",
            "text": "Hello {{ user.first_name }}, your order {{ data.order }} left us today.",
        }
    },
}


def prepare(instance: Instance) -> None:
    """Make the users and the template."""
    requests = [raw_request(instance, "PUT", "/api/v1/templates/order", TEMPLATE)]
    for start in range(0, USERS, BATCH):
        users = [_user(number) for number in range(start, start + BATCH)]
        requests.append(raw_request(instance, "POST", "/api/v1/users/batch", {"users": users}))
    asyncio.run(post_all(instance, requests, 2))


def batches(instance: Instance, count: int, size: int = BATCH) -> list[bytes]:
    """Requests that send `count` notifications, `size` each."""
    return [
        raw_request(
            instance,
            "POST",
            "/api/v1/notifications/batch",
            {"notifications": [notification(number) for number in range(start, min(start + size, count))]},
        )
        for start in range(0, count, size)
    ]


def notification(number: int) -> dict[str, Any]:
    """One notification of the campaign."""
    return {
        "user_id": f"u{number % USERS}",
        "category": "transactional",
        "template": "order",
        "data": {
            "order": f"A-{number}",
            "articles": [{"name": "Lamp", "price": "19.90"}, {"name": "Chair", "price": "49.00"}],
        },
        "optimization": {"channels": ["email"]},
    }


def _user(number: int) -> dict[str, Any]:
    return {
        "user_id": f"u{number}",
        "email": f"u{number}@example.org",
        "timezone": ZONES[number % len(ZONES)],
        "attributes": {"first_name": f"Ann{number}"},
    }
