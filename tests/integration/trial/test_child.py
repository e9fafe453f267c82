"""Templates that would take the worker with them, in the process that is there for it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clarion.adapters.trial import ChildTrialRenderer
from clarion.kernel.errors import Invalid
from clarion.templates import (
    ChannelParts,
    EmailParts,
    PartialContent,
    PartialVersion,
    SmsParts,
    TemplateContent,
    TrialVerdict,
    check_template,
    try_template,
)

# None of these passes `check_template`: the trial is the second fence, for what the first one may not know.
DOUBLING = "{% set x = 'aaaaaaaaaaaaaaaa' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}"
REPETITION = "".join(f"{{% set x{i} = 'x' * 90000000 %}}" for i in range(12))
GREEDY = "{% for i in range(1000) %}{% for j in range(1000) %}{% set q = ([1] * 500000)|sort %}{% endfor %}{% endfor %}"


def _sms(body: str) -> TemplateContent:
    return TemplateContent("service", ChannelParts(sms=SmsParts(body)))


def _mail(html: str = "", mjml: str = "") -> ChannelParts:
    return ChannelParts(email=EmailParts("Hello", html, mjml))


@pytest.fixture
async def trials() -> AsyncIterator[ChildTrialRenderer]:
    renderer = ChildTrialRenderer()
    yield renderer
    await renderer.close()


def _environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def _children() -> set[int]:
    """Trial processes of this process that run. Other tests' may be among them: look before and after."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        for pid in _read(task / "children").decode().split():
            if b"clarion.adapters.trial.child" in _read(Path(f"/proc/{pid}/cmdline")):
                found.add(int(pid))
    return found


def _read(told: Path) -> bytes:
    """What the kernel tells of a thread or process; nothing where it ended since it was listed."""
    try:
        return told.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


async def test_a_harmless_template_finishes(trials: ChildTrialRenderer):
    assert await trials.attempt(_sms("Hello"), "sms") == TrialVerdict("finished")
    await try_template(check_template(_sms("Hello {{ user.first_name }}")), trials)


async def test_what_rendering_says_comes_back(trials: ChildTrialRenderer):
    loops = "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}"
    verdict = await trials.attempt(_sms("\n" + loops), "sms")
    assert verdict.kind == "finished"
    assert verdict.failure is not None
    assert (verdict.failure.kind, verdict.failure.line) == ("too_much_work", 2)


@pytest.mark.parametrize(
    ("bomb", "kind"), [(DOUBLING, "crashed"), (REPETITION, "crashed"), (GREEDY, "timed_out")]
)
async def test_a_bomb_harms_nobody_and_the_next_trial_is_fine(
    trials: ChildTrialRenderer, bomb: str, kind: str
):
    assert (await trials.attempt(_sms(bomb), "sms")).kind == kind
    assert await trials.attempt(_sms("Hello"), "sms") == TrialVerdict("finished")


async def test_a_trial_that_ends_badly_refuses_the_template(trials: ChildTrialRenderer):
    checked = check_template(_sms("Hello"))
    with pytest.raises(Invalid, match="more memory"):
        await try_template(type(checked)(_sms(DOUBLING), 4, uses_context=False, variables=()), trials)


async def test_a_bomb_in_one_language_is_found_among_harmless_ones(trials: ChildTrialRenderer):
    loops = "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}hi"
    harmless, doubling = ({"de": _sms(body).channels} for body in ("Hallo", DOUBLING))
    base = _sms("Hello").channels
    assert await trials.attempt(TemplateContent("service", base, harmless), "sms") == TrialVerdict("finished")
    assert (await trials.attempt(TemplateContent("service", base, doubling), "sms")).kind == "crashed"
    checked = check_template(TemplateContent("service", base, {"de": _sms(loops).channels}))
    with pytest.raises(Invalid, match=r"line 1: in `de`: it takes too many steps"):
        await try_template(checked, trials)


async def test_fifty_languages_share_a_trial(trials: ChildTrialRenderer):
    tags = [f"a{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(50)]
    spoken = {
        tag: _sms(f"{{% for i in range(900) %}}{{{{ i }}}}{{% endfor %}}{tag}").channels for tag in tags
    }
    content = TemplateContent("service", _sms("Hello").channels, spoken)
    verdict = await trials.attempt(content, "sms")
    assert verdict.kind == "finished"


async def test_the_child_renders_what_partials_mjml_and_style_became(trials: ChildTrialRenderer):
    footer = PartialVersion("footer", 1, PartialContent(html="<p>{{ tenant.name }}</p>", mjml="<mj-spacer/>"))
    style = "<style>div p { color: red }</style>"
    html = TemplateContent("service", _mail(html=style + "<div>{% include 'footer' %}</div>"))
    column = "<mj-section><mj-column>{% include 'footer' %}</mj-column></mj-section>"
    mjml = TemplateContent("service", _mail(mjml=f"<mjml><mj-body>{column}</mj-body></mjml>"))
    for content in (html, mjml):
        await try_template(check_template(content, {"footer": footer}), trials)


async def test_a_document_that_grows_too_deep_for_its_style_harms_nobody(trials: ChildTrialRenderer):
    style = "<style>div p { color: red }</style>"
    loops = "{% for i in range(300) %}{% for j in range(6) %}<div>{% endfor %}{% endfor %}"
    await try_template(
        check_template(TemplateContent("service", _mail(html=style + loops + "<p>x</p>"))), trials
    )
    assert await trials.attempt(_sms("Hello"), "sms") == TrialVerdict("finished")


async def test_a_gigabyte_is_not_printed(trials: ChildTrialRenderer):
    printed = (
        "{% for i in range(1000) %}{% for j in range(100) %}" + "x" * 10_000 + "{% endfor %}{% endfor %}"
    )
    with pytest.raises(Invalid, match=r"too many steps|more than"):
        await try_template(check_template(_sms(printed)), trials)
    partial = PartialVersion("p", 1, PartialContent(text="x" * 10_000))
    included = "{% for i in range(1000) %}{% for j in range(100) %}{% include 'p' %}{% endfor %}{% endfor %}"
    with pytest.raises(Invalid, match=r"too many steps|more than"):
        await try_template(check_template(_sms(included), {"p": partial}), trials)


async def test_a_trial_has_a_deadline_in_real_time():
    renderer = ChildTrialRenderer(deadline_s=0.0)
    assert await renderer.attempt(_sms("Hello"), "sms") == TrialVerdict("timed_out")
    await renderer.close()


async def test_concurrent_trials_take_turns(trials: ChildTrialRenderer):
    bodies = ["Hello", DOUBLING, "Hello"]
    verdicts = await asyncio.gather(*(trials.attempt(_sms(body), "sms") for body in bodies))
    assert [verdict.kind for verdict in verdicts] == ["finished", "crashed", "finished"]


async def test_a_cancelled_trial_leaves_no_answer_for_the_next(trials: ChildTrialRenderer):
    await trials.attempt(_sms("Hello"), "sms")
    slow = asyncio.create_task(trials.attempt(_sms(GREEDY), "sms"))
    await asyncio.sleep(0)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert await trials.attempt(_sms("Hello"), "sms") == TrialVerdict("finished")


async def test_a_child_that_was_killed_meanwhile_is_replaced(trials: ChildTrialRenderer):
    others = _children()
    await trials.attempt(_sms("Hello"), "sms")
    (pid,) = _children() - others
    os.kill(pid, signal.SIGKILL)
    assert await trials.attempt(_sms("Hello"), "sms") == TrialVerdict("finished")


async def test_closing_ends_the_child_and_may_be_repeated():
    others = _children()
    renderer = ChildTrialRenderer()
    await renderer.attempt(_sms("Hello"), "sms")
    assert _children() - others
    await renderer.close()
    await renderer.close()
    assert _children() == others


async def test_the_child_sees_no_secret(monkeypatch: pytest.MonkeyPatch, trials: ChildTrialRenderer):
    monkeypatch.setenv("CLARION_MASTER_KEY", "s3cr3t")
    others = _children()
    await trials.attempt(_sms("Hello"), "sms")
    (pid,) = _children() - others
    assert b"s3cr3t" not in _environment_of(pid)
