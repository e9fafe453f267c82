from __future__ import annotations

from structlog.testing import capture_logs

from clarion.entrypoints.workers.queue_alarm import ALARM_S, CALM_S, QueueAlarm


def said(*ages: float, alarm: QueueAlarm | None = None) -> list[str]:
    alarm = alarm or QueueAlarm()
    with capture_logs() as logs:
        for age in ages:
            alarm.see("sms", age)
    return [str(entry["event"]) for entry in logs]


def test_a_queue_that_moves_is_silent():
    assert said(0, 10, ALARM_S - 1, 0) == []


def test_an_old_queue_is_told_once_and_its_end_too():
    assert said(ALARM_S, ALARM_S + 60, CALM_S, CALM_S - 1, 0) == ["queue_late", "queue_caught_up"]


def test_a_queue_about_the_limit_does_not_ring_and_stop_by_turns():
    assert said(ALARM_S, ALARM_S - 1, ALARM_S, CALM_S, ALARM_S) == ["queue_late"]


def test_channels_are_late_for_themselves():
    alarm = QueueAlarm()
    alarm.see("email", ALARM_S)
    assert said(ALARM_S, alarm=alarm) == ["queue_late"]
