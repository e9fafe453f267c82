"""The named features: what a record says, in numbers that people, rules, models and other feature stores can read.

Defined once: decisions, training, segments (`features.engagement_score > 0.7`) and exports all compute them here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.decay import FloatArray, decayed
from clarion.intelligence.features.record import CHANNEL_HALF_LIVES_D, RecordArray
from clarion.kernel.local_time import DAY_MS, IntArray

NEVER_DAYS: Final = 400.0
"""Days since something that never happened, or happened longer ago: as long as records are kept."""

UNKNOWN_HOUR: Final = -1.0
"""The hour of somebody of whom no hour is known."""

_WEEK, _MONTH, _QUARTER = range(len(CHANNEL_HALF_LIVES_D))
_QUICK, _HABIT = range(2)
_LEAST: Final = 1e-3
"""A sum below this is nothing: what is left of one event after ten half-lives."""

_RECENCY_HALF_LIFE_D: Final = 14.0
_OFTEN_HOURS: Final = 8.0
"""Active hours (30 days' half-life) of somebody who comes about once a week."""

_FATIGUE_PRIOR: Final = 3.0
"""Sends before unanswered ones begin to count as tiring."""

_HOURS: Final = 24
_NIGHT: Final = slice(0, 6)


class Known:
    """Records at one instant, with what several features share computed once."""

    def __init__(self, records: RecordArray, now_ms: int | IntArray) -> None:
        """`records` of any instant; they are decayed to `now_ms`, one instant or one a record."""
        self.records = decayed(records, now_ms)
        self._now_ms = np.maximum(now_ms, 0)
        habit: FloatArray = self.records["presence"][:, _HABIT]
        self.by_day_type = habit
        self.by_hour: FloatArray = habit.sum(axis=1)
        self.hours_known: FloatArray = self.by_hour.sum(axis=1)

    def sum_of(self, name: str, half_life: int) -> FloatArray:
        """A sum by channel, [B, C], at one of the bank's half-lives."""
        found: FloatArray = self.records[name][:, half_life]
        return found

    def days_since(self, instants: IntArray) -> FloatArray:
        """Days since instants [B, …], `NEVER_DAYS` at most, and where there was none."""
        now_ms = np.asarray(self._now_ms).reshape(-1, *(1,) * (instants.ndim - 1))
        days = np.clip((now_ms - instants) / DAY_MS, 0, NEVER_DAYS)
        return np.where(instants > 0, days, NEVER_DAYS).astype(np.float32)


Formula = Callable[[Known], FloatArray]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: a name that never changes its meaning, a sentence for people, and its formula: [B] of B records."""

    name: str
    says: str
    formula: Formula


def share(part: FloatArray, whole: FloatArray) -> FloatArray:
    """`part / whole`, 0 where there is nothing of the whole, 1 at most."""
    there = whole > _LEAST
    return np.clip(np.where(there, part / np.where(there, whole, 1), 0), 0, 1).astype(np.float32)


def smoothed(curve: FloatArray) -> FloatArray:
    """Hours [B, 24] with half of each given to its neighbours around the clock."""
    around = np.roll(curve, 1, -1) + 2 * curve + np.roll(curve, -1, -1)
    return (around / 4).astype(np.float32)


def best_hour(curve: FloatArray) -> FloatArray:
    """The hour [B] around which most of hours [B, 24] lies, `UNKNOWN_HOUR` where there is nothing."""
    hour = np.argmax(smoothed(curve), axis=1)
    return np.where(curve.sum(axis=1) > _LEAST, hour, UNKNOWN_HOUR).astype(np.float32)


def _rate(name: str, half_life: int, channel: int) -> Formula:
    return lambda known: share(
        known.sum_of(name, half_life)[:, channel], known.sum_of("sent", half_life)[:, channel]
    )


def _amount(name: str, half_life: int, channel: int) -> Formula:
    return lambda known: known.sum_of(name, half_life)[:, channel]


def _total(name: str, half_life: int) -> Formula:
    return lambda known: known.sum_of(name, half_life).sum(axis=1)


def _since(name: str, channel: int) -> Formula:
    return lambda known: known.days_since(known.records[name][:, channel])


def _fatigue(channel: int) -> Formula:
    def formula(known: Known) -> FloatArray:
        sent = known.sum_of("sent", _WEEK)[:, channel]
        ignored = np.maximum(sent - known.sum_of("opened", _WEEK)[:, channel], 0)
        return (ignored / (sent + _FATIGUE_PRIOR)).astype(np.float32)

    return formula


def _engagement(known: Known) -> FloatArray:
    """Recency, frequency and answers, each 0 to 1; of somebody who was never sent anything the first two."""
    recency = np.exp2(-_latest_days(known) / _RECENCY_HALF_LIFE_D)
    frequency = 1 - np.exp(-known.records["active"][:, _MONTH] / _OFTEN_HOURS)
    sent = known.sum_of("sent", _MONTH).sum(axis=1)
    answers = share(known.sum_of("opened", _MONTH).sum(axis=1), sent)
    weight = 0.2 * sent / (sent + 1)
    seen = (0.5 * recency + 0.3 * frequency) / 0.8
    return (weight * answers + (1 - weight) * seen).astype(np.float32)


def _latest_days(known: Known) -> FloatArray:
    return known.days_since(known.records["seen_ms"])


def _preference(known: Known) -> FloatArray:
    touched = known.sum_of("touched", _QUARTER)
    return share(touched.max(axis=1), touched.sum(axis=1))


def _concentration(known: Known) -> FloatArray:
    part = known.by_hour / np.maximum(known.hours_known, _LEAST)[:, None]
    entropy = -(part * np.log(np.maximum(part, 1e-9))).sum(axis=1)
    return np.where(known.hours_known > _LEAST, 1 - entropy / np.log(_HOURS), 0).astype(np.float32)


def _around_the_best_hour(known: Known) -> FloatArray:
    near = np.roll(known.by_hour, 1, -1) + known.by_hour + np.roll(known.by_hour, -1, -1)
    return share(near.max(axis=1), known.hours_known)


def _gap_hours(known: Known) -> FloatArray:
    total, weight = known.records["gap_h"].T
    there = weight > _LEAST
    hours = np.where(there, total / np.where(there, weight, 1), NEVER_DAYS * _HOURS)
    return np.minimum(hours, NEVER_DAYS * _HOURS).astype(np.float32)


def _silence(known: Known) -> FloatArray:
    return np.minimum(_latest_days(known) * _HOURS / np.maximum(_gap_hours(known), 1), 100).astype(np.float32)


def _trend(known: Known) -> FloatArray:
    """Recent presence against what the habit would leave of it at the quick half-life, 0.5: as ever."""
    quick = known.records["presence"][:, _QUICK].sum(axis=(1, 2)) / 14
    return share(quick, quick + known.hours_known / 270)


EMAIL, PUSH, SMS = range(len(CHANNELS))

FEATURES: Final = (
    Feature("email_open_rate_7d", "opens by e-mail sent, halved every 7 days", _rate("opened", _WEEK, EMAIL)),
    Feature("push_open_rate_7d", "opens by push sent, halved every 7 days", _rate("opened", _WEEK, PUSH)),
    Feature("sms_click_rate_7d", "clicks by SMS sent, halved every 7 days", _rate("clicked", _WEEK, SMS)),
    Feature(
        "email_click_rate_30d", "clicks by e-mail sent, halved every 30 days", _rate("clicked", _MONTH, EMAIL)
    ),
    Feature("days_since_last_engagement", "days since any sign of the person, 400 at most", _latest_days),
    Feature("notifications_received_7d", "messages sent, each halved every 7 days", _total("sent", _WEEK)),
    Feature("preferred_hour", "local hour of most presence, -1: unknown", lambda k: best_hour(k.by_hour)),
    Feature("engagement_score", "0 to 1: how lately and often she was there, and answered", _engagement),
    Feature("channel_preference_score", "share of her signs that her first channel has", _preference),
    Feature("email_sent_7d", "e-mail sent, each halved every 7 days", _amount("sent", _WEEK, EMAIL)),
    Feature("push_sent_7d", "push sent, each halved every 7 days", _amount("sent", _WEEK, PUSH)),
    Feature("sms_sent_7d", "SMS sent, each halved every 7 days", _amount("sent", _WEEK, SMS)),
    Feature("email_fatigue", "0 to 1: how many e-mails of late went unanswered", _fatigue(EMAIL)),
    Feature("push_fatigue", "0 to 1: how many pushes of late went unanswered", _fatigue(PUSH)),
    Feature("sms_fatigue", "0 to 1: how many SMS of late went unanswered", _fatigue(SMS)),
    Feature(
        "email_open_rate_30d", "opens by e-mail sent, halved every 30 days", _rate("opened", _MONTH, EMAIL)
    ),
    Feature("push_open_rate_30d", "opens by push sent, halved every 30 days", _rate("opened", _MONTH, PUSH)),
    Feature(
        "push_click_rate_30d", "clicks by push sent, halved every 30 days", _rate("clicked", _MONTH, PUSH)
    ),
    Feature("sms_click_rate_30d", "clicks by SMS sent, halved every 30 days", _rate("clicked", _MONTH, SMS)),
    Feature(
        "email_open_rate_90d", "opens by e-mail sent, halved every 90 days", _rate("opened", _QUARTER, EMAIL)
    ),
    Feature(
        "push_open_rate_90d", "opens by push sent, halved every 90 days", _rate("opened", _QUARTER, PUSH)
    ),
    Feature(
        "sms_click_rate_90d", "clicks by SMS sent, halved every 90 days", _rate("clicked", _QUARTER, SMS)
    ),
    Feature(
        "email_signs_30d", "her signs on e-mail, halved every 30 days", _amount("touched", _MONTH, EMAIL)
    ),
    Feature("push_signs_30d", "her signs on push, halved every 30 days", _amount("touched", _MONTH, PUSH)),
    Feature("sms_signs_30d", "her signs on SMS, halved every 30 days", _amount("touched", _MONTH, SMS)),
    Feature("days_since_email_sent", "days since the last e-mail, 400 at most", _since("sent_ms", EMAIL)),
    Feature("days_since_push_sent", "days since the last push, 400 at most", _since("sent_ms", PUSH)),
    Feature("days_since_sms_sent", "days since the last SMS, 400 at most", _since("sent_ms", SMS)),
    Feature("days_since_email_engaged", "days since she answered an e-mail", _since("engaged_ms", EMAIL)),
    Feature("days_since_push_engaged", "days since she answered a push", _since("engaged_ms", PUSH)),
    Feature("days_since_sms_engaged", "days since she answered an SMS", _since("engaged_ms", SMS)),
    Feature(
        "email_machine_share",
        "share of e-mail opens that were a machine's",
        lambda k: share(
            k.records["machine"][:, EMAIL],
            k.records["machine"][:, EMAIL] + k.sum_of("opened", _MONTH)[:, EMAIL],
        ),
    ),
    Feature(
        "refusals_90d",
        "unsubscribes and complaints, each halved every 90 days",
        lambda k: k.records["refused"].sum(axis=1),
    ),
    Feature(
        "recent_interactions_7d", "active hours, halved every 7 days", lambda k: k.records["active"][:, _WEEK]
    ),
    Feature(
        "active_hours_30d", "active hours, halved every 30 days", lambda k: k.records["active"][:, _MONTH]
    ),
    Feature(
        "active_hours_90d", "active hours, halved every 90 days", lambda k: k.records["active"][:, _QUARTER]
    ),
    Feature("notifications_received_30d", "messages sent, each halved every 30 days", _total("sent", _MONTH)),
    Feature(
        "days_since_first_seen",
        "days since the first sign of the person, 400 at most",
        lambda k: k.days_since(k.records["first_ms"]),
    ),
    Feature("visit_gap_hours", "mean hours between visits, 9600 at most", _gap_hours),
    Feature("silence_in_gaps", "time since her last sign, in gaps between visits, 100 at most", _silence),
    Feature("hour_concentration", "0: present at all hours alike, 1: always at the same one", _concentration),
    Feature(
        "weekend_share",
        "share of presence on Saturdays and Sundays",
        lambda k: share(k.by_day_type[:, 1].sum(axis=1), k.hours_known),
    ),
    Feature(
        "preferred_hour_weekend",
        "local hour of most presence on Saturdays and Sundays, -1: unknown",
        lambda k: best_hour(k.by_day_type[:, 1]),
    ),
    Feature(
        "preferred_hour_share", "share of presence in the three hours of most of it", _around_the_best_hour
    ),
    Feature("presence_trend", "0.5: present as ever, above: more of late, below: less", _trend),
    Feature(
        "answer_rate",
        "share of sends that were answered within three days, halved every 270 days",
        lambda k: share(k.records["answered"].sum(axis=1), k.records["exposed"].sum(axis=1)),
    ),
    Feature(
        "night_share",
        "share of presence from midnight to six",
        lambda k: share(k.by_hour[:, _NIGHT].sum(axis=1), k.hours_known),
    ),
    Feature("hours_known", "active hours behind what is said of hours", lambda k: k.hours_known),
)
"""All features, in the order of `compute`'s columns. Append only: a name keeps its place and its meaning."""

NAMES: Final = tuple(feature.name for feature in FEATURES)


def compute(records: RecordArray, now_ms: int | IntArray) -> FloatArray:
    """The features of records as of `now_ms` (one instant, or one a record), float32 [B, len(FEATURES)], all finite."""
    known = Known(records, now_ms)
    found: FloatArray = np.empty((len(records), len(FEATURES)), np.float32)
    for index, feature in enumerate(FEATURES):
        found[:, index] = feature.formula(known)
    return found
