"""The table in `compliance.rules`, line by line."""

from __future__ import annotations

import pytest

from clarion.compliance.model import ANY_CATEGORY, NO_CONSENT, ConsentState
from clarion.compliance.rules import EXPLANATIONS, Rule, permit, refusals, switched_off
from clarion.contracts.channels import CHANNELS, mask_of
from clarion.tenancy.model import CategoryClass

EMAIL, SMS = mask_of(["email"]), mask_of(["sms"])
ALL = mask_of(CHANNELS)


@pytest.mark.parametrize(
    ("category_class", "verdict"),
    [("marketing", Rule.CONSENT_MISSING), ("service", ""), ("transactional", "")],
)
def test_only_marketing_needs_a_recorded_grant(category_class: CategoryClass, verdict: str):
    assert permit(category_class, "news", "email", NO_CONSENT) == verdict


@pytest.mark.parametrize("scope", ["news", ANY_CATEGORY])
def test_a_grant_holds_for_its_category_and_channel(scope: str):
    consent = ConsentState(granted={scope: EMAIL})
    assert permit("marketing", "news", "email", consent) == ""
    assert permit("marketing", "news", "sms", consent) == Rule.CONSENT_MISSING


@pytest.mark.parametrize(
    ("category_class", "verdict"),
    [("marketing", Rule.CONSENT_DENIED), ("service", Rule.CONSENT_DENIED), ("transactional", "")],
)
@pytest.mark.parametrize("scope", ["news", ANY_CATEGORY])
def test_a_denial_stops_all_but_transactional(category_class: CategoryClass, verdict: str, scope: str):
    consent = ConsentState(granted={"news": ALL}, denied={scope: EMAIL})
    assert permit(category_class, "news", "email", consent) == verdict


def test_a_grant_for_one_category_does_not_lift_a_denial_of_all():
    consent = ConsentState(granted={"news": EMAIL}, denied={ANY_CATEGORY: EMAIL})
    assert permit("marketing", "news", "email", consent) == Rule.CONSENT_DENIED


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("category_class", ["marketing", "service", "transactional"])
def test_a_suppressed_address_gets_nothing(category_class: CategoryClass, channel: str):
    consent = ConsentState(granted={ANY_CATEGORY: ALL}, suppressed=mask_of([channel]))
    assert permit(category_class, "news", channel, consent) == Rule.SUPPRESSED


def test_a_one_time_code_reaches_a_number_that_said_stop_and_no_dead_address():
    consent = ConsentState(suppressed=ALL)
    assert permit("transactional", "security", "sms", consent) == ""
    assert permit("transactional", "security", "email", consent) == Rule.SUPPRESSED
    assert permit("transactional", "security", "push", consent) == Rule.SUPPRESSED


def test_the_name_security_frees_nothing_that_is_not_transactional():
    consent = ConsentState(granted={ANY_CATEGORY: ALL}, suppressed=SMS)
    assert permit("marketing", "security", "sms", consent) == Rule.SUPPRESSED


def test_masks_say_the_same_as_the_single_question():
    consent = ConsentState(granted={"news": EMAIL}, denied={"news": SMS}, suppressed=EMAIL)
    suppressed, denied, missing = refusals("marketing", "news", consent)
    assert (suppressed, denied, missing) == (EMAIL, SMS, ALL & ~EMAIL)
    assert permit("marketing", "news", "email", consent) == Rule.SUPPRESSED
    assert permit("marketing", "news", "sms", consent) == Rule.CONSENT_DENIED
    assert permit("marketing", "news", "push", consent) == Rule.CONSENT_MISSING


def test_switching_everything_off_spares_receipts_and_codes_until_they_are_named():
    everything, by_name = {ANY_CATEGORY: SMS}, {"receipts": SMS}
    assert switched_off("service", "receipts", everything) == SMS
    assert switched_off("transactional", "receipts", everything) == 0
    assert switched_off("transactional", "receipts", by_name) == SMS


def test_every_rule_is_explained_in_one_sentence():
    assert list(EXPLANATIONS) == list(Rule)
    assert all(text.endswith(".") and text.count(".") == 1 for text in EXPLANATIONS.values())
