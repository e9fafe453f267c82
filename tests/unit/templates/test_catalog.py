from __future__ import annotations

import msgspec
import pytest

from clarion.contracts.channels import names_of
from clarion.kernel.errors import Invalid
from clarion.templates import (
    ChannelParts,
    EmailParts,
    PushParts,
    RenderFailure,
    SmsParts,
    TemplateContent,
    TrialVerdict,
    check_template,
    make_version,
    run_trial,
    try_template,
)
from tests.unit.templates.support import email, push, refusal_of, sms


def test_a_checked_template_knows_its_channels_and_variables():
    content = TemplateContent(
        "service",
        ChannelParts(
            email=EmailParts("{{ user.first_name }}", "<p>{{ order }}</p>"), sms=SmsParts("{{ order }}")
        ),
    )
    checked = check_template(content)
    assert names_of(checked.channels) == ["email", "sms"]
    assert checked.variables == ("order", "user.first_name")
    assert not checked.uses_context


def test_a_template_that_reads_the_context_says_so():
    assert check_template(sms("{{ context.weather }}")).uses_context
    assert make_version("weather", 1, sms("{% if context.rain %}Rain!{% else %}Sun!{% endif %}")).uses_context


def test_functions_and_loop_variables_are_no_variables():
    source = "{% for row in order.rows %}{{ loop.index }}{{ row.name }}{% endfor %}{{ range(3)|join }}"
    assert check_template(sms(source)).variables == ("order.rows",)


@pytest.mark.parametrize(
    ("content", "path", "words"),
    [
        (TemplateContent("service", ChannelParts()), "channels", "at least one of"),
        (email(subject="", text="x"), "channels.email.subject", "needs a subject"),
        (email(subject=" \n", text="x"), "channels.email.subject", "needs a subject"),
        (email(), "channels.email", "needs `html`, `mjml` or `text`"),
        (push(data={"a": "b"}), "channels.push", "needs a title or a body"),
        (push("x", data={f"k{i}": "v" for i in range(51)}), "channels.push.data", "at most 50"),
        (sms(" "), "channels.sms.body", "needs a body"),
        (sms("{{ name"), "channels.sms.body", "line 1: unexpected end of input"),
        (sms("one\ntwo {% if x %}"), "channels.sms.body", "line 2: unexpected end of input"),
        (push("x", data={"url": "{{ }}"}), "channels.push.data.url", "line 1:"),
        (sms("x" * 65_537), "channels.sms.body", "65537 bytes; the most is 65536"),
        (sms("é" * 32_769), "channels.sms.body", "65538 bytes"),
        (sms("{{ " + "x " * 1100 + "}}"), "channels.sms.body", "more than 2048 characters"),
        (sms("bell\x07"), "channels.sms.body", "control characters"),
        (sms("half \ud83d"), "channels.sms.body", "halves of characters"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_remedy(content: TemplateContent, path: str, words: str):
    refusal = refusal_of(content)
    assert refusal.path == path
    assert words in refusal.detail


def test_unknown_channels_and_fields_are_refused_by_the_decoder():
    for body in (
        b'{"category":"a","channels":{"fax":{}}}',
        b'{"category":"a","channels":{"sms":{"text":"x"}}}',
    ):
        with pytest.raises(msgspec.ValidationError, match=r"unknown field.*channels"):
            msgspec.json.decode(body, type=TemplateContent)


def test_windows_line_ends_are_no_control_characters():
    check_template(sms("one\r\ntwo"))


class _Verdicts:
    """A `TrialRenderer` that says what it is told."""

    def __init__(self, verdict: TrialVerdict) -> None:
        self.verdict = verdict
        self.asked: list[str] = []

    async def attempt(self, content: TemplateContent, channel: str) -> TrialVerdict:
        assert content.category == "service"
        self.asked.append(channel)
        return self.verdict


async def test_each_channel_is_tried():
    content = TemplateContent("service", ChannelParts(push=PushParts("x"), sms=SmsParts("x")))
    trial = _Verdicts(TrialVerdict("finished"))
    await try_template(check_template(content), trial)
    assert trial.asked == ["push", "sms"]


@pytest.mark.parametrize(
    ("verdict", "path", "words"),
    [
        (TrialVerdict("crashed"), "channels.sms", "more memory"),
        (TrialVerdict("timed_out"), "channels.sms", "too long"),
        (
            TrialVerdict(
                "finished", RenderFailure("too_much_work", "sms.body", "it takes too many steps", line=3)
            ),
            "channels.sms.body",
            "line 3: it takes too many steps",
        ),
    ],
)
async def test_a_trial_that_breaks_out_of_its_limits_refuses_the_template(
    verdict: TrialVerdict, path: str, words: str
):
    with pytest.raises(Invalid) as caught:
        await try_template(check_template(sms("x")), _Verdicts(verdict))
    assert caught.value.path == path
    assert words in caught.value.detail


@pytest.mark.parametrize("kind", ["undefined", "operation", "null", "empty", "line_break"])
async def test_made_up_variables_that_do_not_fit_say_nothing_about_a_template(kind: str):
    failure = RenderFailure(kind, "sms.body", "a made-up variable does not fit")  # pyright: ignore[reportArgumentType]
    await try_template(check_template(sms("x")), _Verdicts(TrialVerdict("finished", failure)))


def test_a_trial_reaches_what_stands_behind_conditions_and_nested_names():
    greedy = "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}"
    failure = run_trial(sms("{% if user.vip.since %}" + greedy + "{% endif %}hi"), "sms")
    assert failure is not None
    assert failure.kind == "too_much_work"


def test_a_harmless_template_comes_through_its_trial():
    assert run_trial(sms("{% if user.nickname is defined %}Hi{% else %}Hello{% endif %}"), "sms") is None
