"""Definitions for the tests: sound ones in many spellings, and broken ones."""

from __future__ import annotations

from typing import Any, Final


def journey(*steps: Any, **fields: Any) -> dict[str, Any]:
    """A definition of these steps."""
    return {"name": "a journey", "steps": list(steps), **fields}


MAIL: Final = {"id": "mail", "type": "notification", "template": "welcome", "channels": ["email"]}

SPECIFICATION: Final[dict[str, Any]] = {
    "journey_id": "onboarding_v2",
    "name": "User onboarding",
    "trigger": {"type": "event", "event_name": "user_signed_up"},
    "audience_rules": [{"field": "country", "operator": "in", "value": ["US", "CA"]}, "!is_employee"],
    "steps": [
        {
            "step_id": "welcome",
            "type": "notification",
            "channel": "email",
            "template": "welcome",
            "delay": "0",
        },
        {"step_id": "pause", "type": "wait", "delay": "24h"},
        {
            "step_id": "check",
            "type": "branch",
            "conditions": [{"if": "engagement_score > 0.7", "then": "power_user"}, {"else": "nurture"}],
        },
        {
            "step_id": "power_user",
            "type": "notification",
            "channels": ["push", "in_app"],
            "template": "power_tips",
            "condition": "!completed_onboarding",
            "optimization": {"send_time": "optimal"},
        },
    ],
    "exit_conditions": ["unsubscribed", "completed_onboarding"],
}
"""As far as its sentences tell: a `goto` that leads nowhere, a wait that is a delay, an unset name."""

SOUND: Final[dict[str, dict[str, Any]]] = {
    "the specification's": SPECIFICATION,
    "one message": journey(MAIL),
    "kinds by their channels": journey(
        {"type": "email", "template": "a"},
        {"type": "sms", "template": "b"},
        {"type": "send_push", "template": "c"},
    ),
    "a code on one channel after the other": journey(
        {
            "type": "notification",
            "template": "code",
            "channels": ["push"],
            "fallback": [
                {"channel": "sms", "after": "60s"},
                {"channel": "email", "after": "2m", "template": "code-mail"},
            ],
            "until": "otp_verified",
            "priority": "critical",
        }
    ),
    "waits": journey(
        {
            "type": "wait",
            "event": "purchase",
            "match": "event.amount > 10",
            "timeout": "2d",
            "on_timeout": "end",
        },
        {
            "type": "wait",
            "event": {"event": "visit", "match": {"page": "pricing"}},
            "timeout": 60,
            "on_event": "mail",
        },
        {"type": "wait", "for": "login", "timeout": {"days": 1}},
        {"type": "wait", "event": ["opened", "clicked"], "of_step": "mail", "timeout": "1d"},
        MAIL,
    ),
    "delays": journey(
        {"type": "delay", "delay": "24h"},
        {"type": "delay", "duration": 3600},
        {"type": "delay", "hours": 2, "minutes": 30},
        {"type": "delay", "value": 2, "unit": "days"},
        {"type": "delay", "until": "09:00", "weekday": "monday", "timezone": "user"},
        {"type": "delay", "delay": {"until": "9am", "weekdays": ["mon", "wed"], "timezone": "Europe/Paris"}},
        {"type": "delay", "until": "user.trial_ends_at", "offset": "-3d"},
        {"type": "wait", "until": "next monday at 09:00"},
    ),
    "branches in place": journey(
        {
            "type": "branch",
            "branches": [
                {
                    "when": "user.plan == 'pro'",
                    "steps": [{"type": "email", "template": "pro"}, {"type": "exit"}],
                },
                {"condition": {"field": "age", "operator": "gte", "value": 65}, "goto": "mail"},
                {"else": {"goto": "mail"}},
            ],
        },
        {"type": "condition", "if": "vip", "then": "mail", "else": [{"type": "delay", "delay": "1d"}]},
        {"type": "if", "condition": "vip", "branches": {"true": "mail", "false": "end"}},
        MAIL,
    ),
    "a split": journey(
        {
            "type": "ab_test",
            "variants": [
                {"name": "a", "weight": 50, "goto": "mail"},
                {"name": "b", "percent": "50%", "next": "end"},
            ],
            "holdout": 10,
        },
        {"type": "split", "arms": {"x": 1, "y": {"weight": 2, "goto": "mail"}}},
        MAIL,
    ),
    "calls": journey(
        {
            "type": "fetch",
            "url": "https://example.com/plan",
            "into": {"plan": "$.data.plan"},
            "timeout": "5s",
        },
        {
            "type": "http",
            "url": "https://example.com/x",
            "method": "POST",
            "body": {"a": 1},
            "save_as": "answer",
        },
        {
            "type": "webhook",
            "url": "https://example.com/hook",
            "payload": {"a": 1},
            "on_error": "exit",
            "retries": 1,
        },
        {"type": "update_profile", "set": {"stage": "onboarded"}, "remove": ["trial"]},
        {"type": "start_journey", "journey": "next steps", "context": {"from": "here"}},
        {"type": "goal", "name": "activated"},
    ),
    "a digest and a throttle": journey(
        {"type": "digest", "event": "comment", "window": "daily", "max": 20, "on_empty": "end"},
        {"type": "throttle", "rate": "100/hour", "scope": "journey"},
        {"type": "throttle", "limit": 1, "per": "7d", "on_limit": "end"},
        {"type": "notification", "config": {"template": "digest", "channels": "email"}},
    ),
    "on a schedule": journey(
        MAIL, trigger={"type": "schedule", "cron": "0 9 * * 1", "segment": "readers", "timezone": "UTC"}
    ),
    "on a date": journey(
        MAIL,
        trigger={
            "type": "date",
            "attribute": "user.birthday",
            "at": "09:00",
            "yearly": True,
            "offset": "-1d",
        },
    ),
    "on entering a segment": journey(
        MAIL, trigger={"type": "segment", "segment": "readers", "reentry": "never"}
    ),
    "with all settings": journey(
        MAIL,
        exit_conditions=[
            "gone",
            {"event": "purchase", "match": {"plan": "pro"}},
            "user.age > 100",
            {"condition": "vip"},
        ],
        settings={
            "reentry": "30d",
            "max_duration": "60d",
            "sends_per_day": 3,
            "timezone": "Europe/Berlin",
            "goals": [
                {"name": "bought", "event": "purchase", "match": "event.amount > 1", "ends": True},
                "visited",
            ],
            "variables": ["amount"],
        },
    ),
}

BROKEN: Final[dict[str, Any]] = {
    "no object": [],
    "no steps": {"name": "a"},
    "an empty list of steps": journey(),
    "no name": {"steps": [MAIL]},
    "steps that are no list": {"name": "a", "steps": 7},
    "a step that is none": journey(7),
    "an unknown kind": journey({"type": "notificatoin", "template": "a"}),
    "no template": journey({"type": "notification"}),
    "no address": journey({"type": "fetch", "url": "ftp://example.com"}),
    "a wrong kind of retries": journey({**MAIL, "retries": "many"}),
    "too many sends": journey(MAIL, settings={"sends_per_day": 0}),
    "a goto to nothing": journey({"type": "goto"}),
    "an arm of the wrong kind": journey({"type": "split", "arms": 7}),
}
"""What neither the compiler nor the schema takes."""
