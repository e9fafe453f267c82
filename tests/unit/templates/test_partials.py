"""Partials and layouts: put in when a template is saved, within bounds, and told by their own lines."""

from __future__ import annotations

import pytest

from clarion.kernel.errors import Invalid
from clarion.templates import (
    PartialContent,
    PartialParts,
    Rendered,
    TemplateContent,
    check_partial,
    check_template,
    needed_by_partial,
    needed_partials,
)
from tests.unit.templates.support import email, partials, refusal_of, render, sms

BASE = "<h1>{% block title %}Hello{% endblock %}</h1>{% block body %}{% endblock %}<p>{{ tenant.name }}</p>"


def said(source: str, variables: dict[str, object] | None = None, **texts: str) -> str:
    """What a text message with partials says."""
    known = partials(**{name: PartialContent(text=text) for name, text in texts.items()})
    result = render(sms(source), variables or {}, known)
    assert isinstance(result, Rendered), result
    return result.body


def refused(source: str, **texts: str) -> str:
    """Why a text message with partials cannot be saved."""
    known = partials(**{name: PartialContent(text=text) for name, text in texts.items()})
    return refusal_of(sms(source), known).detail


def test_a_partial_stands_in_place_of_its_include_and_sees_what_is_there():
    source = "{% for n in names %}{% include 'row' %}{% endfor %}"
    assert said(source, {"names": ["a", "b"]}, row="<{{ n }}>") == "<a><b>"


def test_a_part_takes_the_form_of_a_partial_that_suits_it():
    footer = PartialContent(html="<p>{{ tenant.name }}</p>", text="-- {{ tenant.name }}")
    content = email("x", "<b>Hi</b>{% include 'footer' %}", "Hi\n{% include 'footer' %}")
    result = render(content, {"tenant": {"name": "A&B"}}, partials(footer=footer))
    assert isinstance(result, Rendered)
    assert (result.html, result.text) == ("<b>Hi</b><p>A&amp;B</p>", "Hi\n-- A&B")


def test_what_a_partial_sets_stays_inside_it():
    assert said("{% set a = 1 %}{% include 'p' %}{{ a }}", p="{% set a = 2 %}{{ a }}") == "21"


def test_white_space_is_trimmed_around_partials_and_blocks_as_around_other_tags():
    assert said("a \n{%- include 'p' -%}\n b", p="-") == "a-b"
    assert said("a \n{%- block x -%} m {%- endblock -%}\n b") == "amb"


def test_the_last_line_end_of_a_partial_is_not_said():
    assert said("[{% include 'p' %}]", p="x\n") == "[x]"


def test_partials_take_partials():
    assert said("{% include 'a' %}", a="a{% include 'b' %}", b="b") == "ab"


def test_a_layout_says_what_the_template_does_not():
    source = '{% extends "base" %}\n{# nothing else #}\n{% block body %}<p>{{ name }}</p>{% endblock %}'
    result = render(
        email("x", source), {"name": "<A>", "tenant": {"name": "T"}}, partials(base=PartialContent(html=BASE))
    )
    assert isinstance(result, Rendered)
    assert result.html == "<h1>Hello</h1><p>&lt;A&gt;</p><p>T</p>"


def test_blocks_override_through_several_layouts_and_super_gives_what_they_override():
    assert (
        said(
            "{% extends 'middle' %}{% block a %}1{{ super() }}{% endblock %}",
            middle="{% extends 'base' %}{% block a %}2{{ super() }}{% endblock %}{% block b %}4{% endblock %}",
            base="[{% block a %}3{% endblock %}|{% block b %}{% endblock %}]",
        )
        == "[123|4]"
    )


def test_a_block_inside_a_block_is_overridden_alone_and_super_is_its_own():
    base = "({% block outer %}<{% block inner %}i{% endblock %}>{% endblock %})"
    assert said("{% extends 'base' %}{% block inner %}{{ super() }}!{% endblock %}", base=base) == "(<i!>)"
    outer = "{% extends 'base' %}{% block outer %}{% block own %}{{ super() }}{% endblock %}{% endblock %}"
    assert "finds no block" in refused(outer, base=base) or "only stand" in refused(outer, base=base)


def test_the_blocks_of_an_included_partial_are_its_own():
    source = "{% extends 'base' %}{% block a %}mine{% endblock %}"
    assert (
        said(source, base="{% block a %}{% endblock %}{% include 'p' %}", p="{% block a %}its{% endblock %}")
        == "mineits"
    )


def test_what_stands_in_raw_is_no_tag_of_ours():
    assert said("{% raw %}{% include 'p' %}{% endraw %}") == "{% include 'p' %}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{% include 'nobody' %}", "line 1: there is no partial `nobody`; save it first"),
        ("\n{% include name %}", "line 2: `include` takes one name in quotes"),
        ("{% include 'a' ignore missing %}", "one name in quotes"),
        ("{% extends 'ok' %}{% extends 'ok' %}", "says all in its blocks"),
        ("hello {% extends 'ok' %}", "only stand at the beginning"),
        ("{% extends 'ok' %}\nlost", "line 2: a source that extends a layout says all in its blocks"),
        ("{% extends 'ok' %}{% set x = 1 %}", "says all in its blocks"),
        ("{% extends 'ok' %}{% block z %}{% endblock %}", "layout `ok` has no block `z`; it has: body"),
        ("{% extends 'ok' %}{% block body %}{% endblock %}{% block body %}{% endblock %}", "two blocks"),
        ("{% block body %}", "block `body` has no `endblock`"),
        ("{% block 'body' %}{% endblock %}", "`block` takes one name"),
        ("x{% endblock %}", "closes no block"),
        ("{{ super() }}", "only stand in a block"),
        ("{% include 'html_only' %}", "partial `html_only` says nothing as `text`"),
    ],
)
def test_what_cannot_be_put_together_is_refused_with_its_line(source: str, words: str):
    known = partials(
        ok=PartialContent(text="{% block body %}{% endblock %}"), html_only=PartialContent(html="<p>x</p>")
    )
    refusal = refusal_of(sms(source), known)
    assert refusal.path == "channels.sms.body"
    assert words in refusal.detail


def test_what_is_wrong_in_a_partial_is_told_by_its_own_line():
    assert refused("one\n{% include 'p' %}", p="ok\n{{ x|uper }}").startswith(
        "line 2 of partial `p`: no filter `uper`"
    )
    assert refused("one\n{% include 'p' %}\n{{ y|uper }}", p="ok\nfine\nthree").startswith(
        "line 3: no filter"
    )
    assert refused("{% include 'p' %}", p="a\n{% include 'q' %}").startswith(
        "line 2 of partial `p`: there is no"
    )


def test_a_circle_is_refused_whoever_closes_it():
    assert "a → b → a" in refused("{% include 'a' %}", a="{% include 'b' %}", b="{% include 'a' %}")
    assert "a → a" in refused("{% extends 'a' %}", a="{% extends 'a' %}")
    known = partials(b=PartialContent(text="{% include 'a' %}"))
    with pytest.raises(Invalid, match="circle: b → a → b") as caught:
        check_partial("a", PartialContent(text="x\n{% include 'b' %}"), known)
    assert caught.value.path == "text"


def test_depth_has_a_limit():
    chain = {f"p{i}": f"{{% include 'p{i + 1}' %}}" for i in range(9)}
    assert "more than 8 deep" in refused("{% include 'p0' %}", **chain, p9="x")
    assert said("{% include 'p2' %}", {}, **chain, p9="x") == "x"


def test_partials_that_double_at_each_step_end_at_a_bound():
    doubling = {f"p{i}": f"{{% include 'p{i + 1}' %}}" * 2 for i in range(7)}
    assert "more than 200 partials" in refused("{% include 'p0' %}" * 4, **doubling, p7=" ")
    layers = {
        f"l{i}": f"{{% extends 'l{i + 1}' %}}{{% block a %}}{'{{ super() }}' * 16}{{% endblock %}}"
        for i in range(7)
    }
    refusal = refused(
        "{% extends 'l0' %}{% block a %}" + "{{ super() }}" * 16 + "{% endblock %}",
        **layers,
        l7="{% block a %}{% endblock %}",
    )
    assert "more than 200 partials" in refusal


def test_blocks_inside_blocks_have_a_limit_too():
    nested = "".join(f"{{% block a{i} %}}" for i in range(17))
    assert "more than 16 deep" in refused(nested + "{% endblock %}" * 17)
    assert said(nested.replace("{% block a16 %}", "x") + "{% endblock %}" * 16) == "x"
    assert "block `a` stands inside itself" in refused(
        "{% block a %}{% block a %}{% endblock %}{% endblock %}"
    )
    assert said("{% block a %}1{% include 'p' %}{% endblock %}", p="{% block a %}2{% endblock %}") == "12"


def test_large_partials_have_to_fit_into_one_source():
    assert "more than 65536 bytes" in refused("{% include 'p' %}" * 3, p="x" * 30_000)


def test_growth_is_bounded_across_partials():
    doubling = "{% set x = x ~ x %}" * 40
    assert "more than 128 values" in refused(
        "{% set x = name %}{% include 'p' %}{{ x }}", p=doubling + "{{ x }}"
    )


def test_values_are_escaped_for_where_a_partial_stands():
    known = partials(p=PartialContent(html="{{ url }}"))
    assert render(email("x", "<a href=\"{% include 'p' %}\">x</a>"), {"url": '"'}, known) == Rendered(
        "x", '<a href="&quot;">x</a>', 'x (")'
    )
    assert (
        "put the value in quotes" in refusal_of(email("x", "<a href={% include 'p' %}>x</a>"), known).detail
    )


def test_a_stored_version_says_what_its_partials_said_then():
    content = sms("{% include 'p' %}")
    checked = check_template(content, partials(p=PartialContent(text="then")))
    assert checked.resolved is not None
    assert checked.resolved.channels.sms is not None
    assert checked.resolved.channels.sms.body == "then"
    assert checked.resolved.partials == {"p": 1}
    assert checked.content == content


def test_variables_of_partials_are_the_templates():
    checked = check_template(
        sms("{{ a }}{% include 'p' %}"), partials(p=PartialContent(text="{{ context.rain }}"))
    )
    assert checked.variables == ("a", "context.rain")
    assert checked.uses_context


def test_what_is_needed_is_asked_for_step_by_step():
    content = TemplateContent(
        "service", sms("{% include 'a' %}").channels, {"de": sms("{% extends 'b' %}").channels}
    )
    assert needed_partials(content, {}) == {"a", "b"}
    known = partials(
        a=PartialContent(text="{% include 'c' %}", locales={"de": PartialParts(text="{% include 'd' %}")})
    )
    assert needed_partials(content, known) == {"b", "c", "d"}
    assert needed_by_partial(PartialContent(html="{% include 'a' %}"), known) == {"c", "d"}
    assert needed_partials(sms("{{ include }}"), {}) == set()


@pytest.mark.parametrize(
    ("content", "path", "words"),
    [
        (PartialContent(), "", "needs `html`, `mjml` or `text`"),
        (PartialContent(html="{{ x"), "html", "line 1:"),
        (PartialContent(text="a\n{% if x %}"), "text", "line 2:"),
        (PartialContent(text="{{ 'x' * n }}"), "text", "up to 100"),
        (PartialContent(text="x" * 65_537), "text", "65537 bytes"),
        (
            PartialContent(text="x", locales={"english": PartialParts(text="y")}),
            "locales.english",
            "no language",
        ),
        (
            PartialContent(text="x", locales={"de": PartialParts(html="{{ x|uper }}")}),
            "locales.de.html",
            "no filter",
        ),
    ],
)
def test_a_partial_is_checked_by_itself(content: PartialContent, path: str, words: str):
    with pytest.raises(Invalid) as caught:
        check_partial("p", content, {})
    assert caught.value.path == path
    assert words in caught.value.detail


def test_a_partial_may_be_half_of_an_element():
    check_partial("p", PartialContent(html="<td>{{ x }}", mjml="<mj-text>{{ x }}</mj-text>"), {})
