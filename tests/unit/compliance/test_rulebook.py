"""The rule table: each row of the research says what it should, and rows together are the strictest of them."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import pytest

from clarion.compliance.jurisdictions import Places
from clarion.compliance.model import ANY_CATEGORY, ConsentState
from clarion.compliance.opening_hours import is_open
from clarion.compliance.rulebook import Law, Terms, bundled_rulebook, load_rulebook, refusals, refuses
from clarion.compliance.rules import Rule
from clarion.compliance.rules import refusals as refusals_of_the_table
from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS
from clarion.tenancy.model import DEFAULT_CATEGORIES, Category, ComplianceSettings

BOOK = bundled_rulebook()
SECURITY, TRANSACTIONAL, SERVICE, MARKETING = DEFAULT_CATEGORIES
NOW_MS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)
ALL = 0b111
EXPRESS = ConsentState(granted={"marketing": ALL})
PROVEN = ConsentState(granted={"marketing": ALL}, proven={"marketing": ALL})


def resting_on(*bases: str) -> ConsentState:
    masks = {"marketing": ALL}
    return ConsentState(granted=masks, implied=masks, bases=dict.fromkeys(bases, masks))


def law(
    *jurisdictions: str,
    category: Category = MARKETING,
    at_ms: int = NOW_MS,
    default_windows: bool = True,
    require_proof: bool = False,
) -> Law:
    settings = ComplianceSettings(default_windows=default_windows, require_proof=require_proof)
    return BOOK.law(Places(jurisdictions, ("UTC",)), category, settings, at_ms)


def sms(*jurisdictions: str, default_windows: bool = True, require_proof: bool = False) -> Terms:
    asked = law(*jurisdictions, default_windows=default_windows, require_proof=require_proof)
    return asked.terms[CHANNEL_INDEX["sms"]]


def open_from_to(terms: Terms, day: int) -> tuple[str, str] | None:
    """The first and last open minute of a day of the week (0: Monday), and that all between are open."""
    assert terms.hours is not None
    minutes = terms.hours.week[day * 1440 : (day + 1) * 1440].nonzero()[0]
    if not len(minutes):
        return None
    first, last = int(minutes[0]), int(minutes[-1]) + 1
    assert len(minutes) == last - first
    return f"{first // 60:02}:{first % 60:02}", f"{last // 60:02}:{last % 60:02}"


@pytest.mark.parametrize(
    ("place", "weekday", "saturday", "sunday"),
    [
        ("US-NY", ("08:00", "21:00"), ("08:00", "21:00"), ("08:00", "21:00")),
        ("US-CA", ("08:00", "21:00"), ("08:00", "21:00"), ("08:00", "21:00")),
        ("PR", ("08:00", "21:00"), ("08:00", "21:00"), ("08:00", "21:00")),
        *[
            (f"US-{state}", ("08:00", "20:00"), ("08:00", "20:00"), ("08:00", "20:00"))
            for state in ("FL", "OK", "MD", "MS", "NJ", "WA")
        ],
        ("US-CT", ("09:00", "20:00"), ("09:00", "20:00"), ("09:00", "20:00")),
        ("US-TX", ("09:00", "21:00"), ("09:00", "21:00"), ("12:00", "21:00")),
        ("US-RI", ("09:00", "18:00"), ("10:00", "17:00"), ("10:00", "17:00")),
        # The preset says Saturday 10:00 to 18:00; Rhode Island closes at 17:00.
        ("US-*", ("10:00", "18:00"), ("10:00", "17:00"), ("12:00", "17:00")),
        ("DE", ("08:00", "20:00"), ("08:00", "20:00"), ("08:00", "20:00")),
        ("IT", ("08:00", "21:00"), ("08:00", "21:00"), ("08:00", "21:00")),
        ("FR", ("08:00", "21:00"), ("08:00", "21:00"), None),
        ("GB", ("08:00", "21:00"), ("08:00", "21:00"), ("08:00", "21:00")),
        ("IN", ("10:00", "21:00"), ("10:00", "21:00"), ("10:00", "21:00")),
        ("AE", ("07:00", "21:00"), ("07:00", "21:00"), ("07:00", "21:00")),
        ("BR", ("08:00", "20:00"), ("08:00", "20:00"), ("08:00", "20:00")),
        ("??", ("10:00", "18:00"), ("10:00", "17:00"), None),
    ],
)
def test_marketing_texts_go_in_these_hours(
    place: str, weekday: tuple[str, str], saturday: tuple[str, str], sunday: tuple[str, str] | None
):
    terms = sms(place)
    assert {open_from_to(terms, day) for day in range(5)} == {weekday}
    assert open_from_to(terms, 5) == saturday
    assert open_from_to(terms, 6) == sunday


@pytest.mark.parametrize("place", ["AU", "CA"])
def test_some_laws_know_no_hours(place: str):
    assert sms(place).hours is None


def test_good_manners_bind_only_who_has_not_said_otherwise():
    for place in ("DE", "GB", "BR", "IT"):
        assert sms(place, default_windows=False).hours is None
    assert open_from_to(sms("US-FL", default_windows=False), 0) == ("08:00", "20:00")
    assert open_from_to(sms("FR", default_windows=False), 0) == ("08:00", "22:00")


def test_nothing_is_texted_on_a_french_holiday():
    hours, zones = sms("FR").hours, ("Europe/Paris",)
    bastille, next_day = (int(datetime(2026, 7, d, 10, tzinfo=UTC).timestamp() * 1000) for d in (14, 15))
    assert not is_open(hours, zones, bastille)
    assert is_open(hours, zones, next_day)


@pytest.mark.parametrize("category", [SECURITY, TRANSACTIONAL])
def test_what_is_transactional_has_no_hours_caps_or_consent_anywhere(category: Category):
    for terms in law("??", category=category).terms:
        assert terms.hours is None
        assert terms.caps == ()
        assert terms.consent == "none"


@pytest.mark.parametrize(
    ("place", "consent", "enough"),
    [
        ("US-NY", "written", ()),
        ("CA", "opt_in", ("implied_purchase", "implied_inquiry", "contract")),
        ("IT", "opt_in", ("soft_opt_in",)),
        ("DE", "double_opt_in", ("soft_opt_in",)),
        ("FR", "opt_in", ("soft_opt_in",)),
        ("GB", "opt_in", ("soft_opt_in",)),
        ("AU", "opt_in", ("soft_opt_in", "implied_purchase", "contract", "inferred")),
        ("IN", "express", ()),
        ("AE", "express", ()),
        ("BR", "express", ()),
        ("??", "double_opt_in", ()),
    ],
)
def test_marketing_texts_need_this_consent(place: str, consent: str, enough: tuple[str, ...]):
    assert sms(place).consent == consent
    assert refuses(law(place), "sms", "marketing", EXPRESS) is None
    bases = ("soft_opt_in", "implied_purchase", "implied_inquiry", "contract", "inferred", "a_hunch")
    accepted = {b for b in bases if refuses(law(place), "sms", "marketing", resting_on(b)) is None}
    assert accepted == set(enough)
    missing = refuses(law(place), "sms", "marketing", ConsentState())
    assert missing is not None
    assert missing.reason == Rule.CONSENT_MISSING


def test_each_law_wants_a_basis_that_it_knows():
    both = law("CA", "IT")
    for basis, rule_id in (("soft_opt_in", "ca-marketing"), ("implied_purchase", "eu-marketing")):
        refusal = refuses(both, "sms", "marketing", resting_on(basis))
        assert refusal == (Rule.CONSENT_MISSING, rule_id)
    assert refuses(both, "sms", "marketing", resting_on("soft_opt_in", "implied_purchase")) is None


@pytest.mark.parametrize(
    ("place", "needs_proof"), [("US-NY", True), ("DE", True), ("CA", False), ("BR", False)]
)
def test_proof_is_asked_for_by_tenants_who_want_it(place: str, *, needs_proof: bool):
    strict = law(place, require_proof=True)
    refusal = refuses(strict, "sms", "marketing", EXPRESS)
    assert (refusal is not None) == needs_proof
    if refusal is not None:
        assert refusal == (Rule.CONSENT_MISSING, sms(place, require_proof=True).proof_rule)
    assert refuses(strict, "sms", "marketing", PROVEN) is None


def test_an_express_grant_of_everything_outweighs_an_implied_one_of_the_category():
    both = ConsentState(granted={"marketing": ALL, ANY_CATEGORY: ALL}, implied={"marketing": ALL})
    assert refuses(law("US-FL"), "sms", "marketing", both) is None


def test_push_needs_an_express_word_everywhere():
    refusal = refuses(law("CA"), "push", "marketing", resting_on("contract"))
    assert refusal == (Rule.CONSENT_MISSING, "any-push-marketing")


@pytest.mark.parametrize("category", DEFAULT_CATEGORIES)
def test_what_stops_a_class_is_what_the_table_of_rules_says(category: Category):
    """Where no law adds anything, the rows mean what `rules.refusals` means."""
    states = [
        ConsentState({name: granted}, {other: denied}, suppressed)
        for name in ("*", category.name)
        for other in ("*", category.name)
        for granted in range(8)
        for denied in range(8)
        for suppressed in (0, 2, 4, 7)
    ]
    for state in states:
        assert refusals(law("AU", category=category), category.name, state) == refusals_of_the_table(
            category.class_, category.name, state
        )


def test_a_refusal_names_its_row():
    silenced = ConsentState(granted={"marketing": ALL}, suppressed=ALL)
    assert refuses(law("US-FL"), "sms", "marketing", silenced) == (Rule.SUPPRESSED, "any-marketing")
    denied = ConsentState(denied={"*": ALL})
    assert refuses(law("US-FL"), "sms", "marketing", denied) == (Rule.CONSENT_DENIED, "any-marketing")
    unsaid = refuses(law("US-FL"), "sms", "marketing", ConsentState())
    assert unsaid == (Rule.CONSENT_MISSING, "us-sms-marketing")
    assert "64.1200" in BOOK.row("us-sms-marketing").source


def test_some_states_cap_texts():
    assert [capped.rule_id for capped in sms("US-FL").caps] == ["us-fl-sms-marketing"]
    assert sms("US-FL").caps[0].cap.count == 3
    assert sms("US-NY").caps == ()
    assert law("US-FL").terms[CHANNEL_INDEX["email"]].caps == ()


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("US-NY", {"postal_address", "one_click", "advertisement"}),
        ("CA", {"postal_address", "contact", "identity", "unsubscribe"}),
        ("DE", {"imprint", "identity", "contact", "unsubscribe"}),
        ("AU", {"identity", "unsubscribe"}),
    ],
)
def test_marketing_mail_has_to_say_this(place: str, content: set[str]):
    mail = law(place).terms[CHANNEL_INDEX["email"]]
    assert content <= {duty.content for duty in mail.content}
    assert all(duty.content in BOOK.row(duty.rule_id).content for duty in mail.content)


def test_a_rule_holds_from_its_day_on():
    before, on_the_day = (
        int(datetime(2025, month, day, tzinfo=UTC).timestamp() * 1000) for month, day in ((8, 31), (9, 1))
    )
    ids = [
        law("US-TX", at_ms=at_ms).terms[CHANNEL_INDEX["sms"]].rule_ids for at_ms in (before, on_the_day, 0)
    ]
    assert ["us-tx-sms-marketing" in held for held in ids] == [False, True, False]
    # What is in force since ever still is before every law.
    assert "any-marketing" in ids[-1]


def test_the_same_question_is_worked_out_once():
    assert law("US-FL") is law("US-FL")
    assert law("US-FL").version == BOOK.version


def test_every_row_says_where_it_comes_from_and_ids_tell_rows_apart():
    assert all(row.source and row.places and row.channels for row in BOOK.rows)
    assert len({row.id for row in BOOK.rows}) == len(BOOK.rows)
    assert {channel for row in BOOK.rows for channel in row.channels} >= set(CHANNELS)


FILES = {file.name: file.read_text("utf-8") for file in (files("clarion.compliance") / "rules").iterdir()}
ROW = """[[rule]]
id = "x"
places = ["DE"]
channels = ["sms"]
classes = ["marketing"]
source = "s"
effective_from = 2020-01-01
"""


def test_a_row_that_is_added_holds():
    text = ROW + 'hours = [{ days = ["mon"], start = "09:00", end = "10:30" }]\n'
    book = load_rulebook({**FILES, "zz.toml": text})
    terms = book.law(Places(("DE",), ("UTC",)), MARKETING, ComplianceSettings(), NOW_MS).terms[2]
    assert open_from_to(terms, 0) == ("09:00", "10:30")
    assert open_from_to(terms, 1) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[rule]]\nid = 'x'\n", "places"),
        (ROW + "colour = 1\n", "colour"),
        (ROW.replace("DE", "QQ"), "QQ"),
        (ROW.replace('"x"', '"de-marketing"'), "de-marketing"),
        (ROW.replace("sms", "pigeon"), "pigeon"),
        (ROW + 'holidays = "DE"\n', "holidays"),
        (ROW + 'hours = [{ days = ["mon"], start = "21:00", end = "08:00" }]\n', "opens at 21:00"),
        (ROW + 'hours = [{ days = ["mon"], start = "08:61", end = "25:00" }]\n', "no time of day"),
        (ROW.replace("marketing", "transactional") + "caps = [{ count = 1, hours = 24 }]\n", "one-time code"),
        ("[[rule]\n", "line 1"),
    ],
)
def test_what_is_wrong_with_a_file_of_rules_is_told(text: str, told: str):
    with pytest.raises(ValueError, match=told):
        load_rulebook({**FILES, "zz.toml": text})
