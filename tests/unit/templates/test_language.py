"""What templates cannot do, each with the words that help whoever wrote it."""

from __future__ import annotations

import pytest

from clarion.templates import check_template
from tests.unit.templates.support import refusal_of, sms, text_of


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{% macro a() %}{% endmacro %}", "no statement `macro`"),
        ("{% include 'x' %}", "no partial `x`"),
        ("{% extends 'x' %}", "only stand at the beginning"),
        ("{% include x %}", "one name in quotes"),
        ("{% import 'x' as y %}", "no statement `import`"),
        ("{% block a %}", "no `endblock`"),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", "no statement `autoescape`"),
        ("{% forr x in y %}", "did you mean `for`?"),
        ("{% for x in y recursive %}{% endfor %}", "cannot be recursive"),
        ("{{ name|uper }}", "no filter `uper`; did you mean `upper`?"),
        ("{% filter uper %}x{% endfilter %}", "no filter `uper`"),
        ("{% set x|pprint %}y{% endset %}", "no filter `pprint`"),
        ("{{ x is definde }}", "no test `definde`; did you mean `defined`?"),
        ("{{ x is not definde }}", "no test `definde`"),
        ("{{ debug() }}", "no function `debug`"),
        ("{{ namespace(a=1) }}", "no function `namespace`"),
        ("{{ lipsum() }}", "no function `lipsum`"),
        ("{{ range }}", "`range` is a function"),
        ("{{ user.items() }}", "use a filter: `value|items`"),
        ("{{ name.upper() }}", "use a filter: `value|upper`"),
        ("{{ name.__class__() }}", "cannot be called"),
        ("{{ 'vip' if user.vip }}", "needs an `else`"),
        ("{% set x = 'a' if b %}", "needs an `else`"),
        ("{{ price * quantity }}", "price|times(quantity)"),
        ("{{ 'x' * 1000 }}", "up to 100"),
        (r"{{ '\x00' }}", "write the character itself"),
        (r"{{ '\u0007' }}", "write the character itself"),
    ],
)
def test_what_is_no_part_of_the_language_is_refused_with_a_remedy(source: str, words: str):
    refusal = refusal_of(sms("first line\n" + source))
    assert words in refusal.detail
    assert refusal.detail.startswith("line 2: ")


@pytest.mark.parametrize(
    "source",
    [
        "{% set x = user.name %}" + "{% set x = x ~ x %}" * 30 + "{{ x }}",
        "{% set x = user.name %}" + "{% set x = x + x %}" * 30 + "{{ x }}",
        "{% set x = user.name %}" + "{% set x = [x, x] %}" * 30 + "{{ x|string }}",
        "{% set x = user.name %}" + "{% set x = {'a': x, 'b': x} %}" * 30 + "{{ x|tojson }}",
        "{% set x = user.name %}" + "{% set x = x * 2 %}" * 30 + "{{ x }}",
        "{% with a = user.name %}" + "{% with a = a ~ a %}" * 20 + "{{ a }}" + "{% endwith %}" * 21,
        "{% for a in [user.name] %}" + "{% for a in [a ~ a] %}" * 12 + "{{ a }}" + "{% endfor %}" * 13,
        "{% if user.evil == 'now' %}{% set x = user.name %}" + "{% set x = x ~ x %}" * 30 + "{% endif %}x",
        "{{ " + " ~ ".join(["a"] * 200) + " }}",
        "".join(f"{{% set x{i} = user.name ~ user.name %}}" for i in range(600)),
    ],
    ids=["concat", "add", "list", "map", "times", "with", "for", "hidden", "wide", "many"],
)
def test_a_value_that_feeds_on_itself_is_refused_before_it_is_run(source: str):
    detail = refusal_of(sms(source)).detail
    assert "puts together more than 128 values" in detail or "keep more than 1024 values" in detail


@pytest.mark.parametrize(
    "source",
    [
        "{% set url = base ~ '/orders/' ~ order.id ~ '?lang=' ~ user.language %}{{ url }}",
        "{% set total = price * 1.2 %}{{ total|round(2) }}",
        "{% for row in rows %}{% set label = row.name ~ ' (' ~ row.id ~ ')' %}{{ label }}{% endfor %}",
        "{% if not (a or b) and (c in d) %}x{% elif a is defined and b is not none %}y{% else %}z{% endif %}",
        "{{ 'a' if x is defined else 'b' }}",
        "{% for k, v in user|items %}{{ loop.cycle('odd', 'even') }}{{ k }}={{ v }}{% endfor %}",
        "{% raw %}{{ not.a|tag() }}{% endraw %}",
        "{# {{ not.a|tag() }} #}x",
        "{{ '}}' }}{{ {'a': {'b': 1}}.a.b }}{% set q = '%}' %}{{ q }}",
        "{{ rows|sort(attribute='price')|map(attribute='name')|join(', ') }}",
        "{%- if x -%} x {%- endif -%}",
        "{{ items[0].items }}",
    ],
)
def test_what_people_write_is_part_of_the_language(source: str):
    check_template(sms(source))


def test_a_tag_is_read_as_the_engine_reads_it():
    assert text_of("{{ '}}' }}{{ {'a': {'b': 1}}.a.b }}{% set q = '%}' %}{{ q }}") == "}}1%}"
    assert text_of(r"{{ 'it\'s' }}|{{ 'a\nb' }}") == "it's|a\nb"
    assert text_of("a {#- no #} b {%- if x %} c {% endif -%} d", x=True) == "a b c d"
    assert text_of("{% raw %}{{ x }}{% endraw %}{{ x }}", x=1) == "{{ x }}1"
