"""A hundred templates that want out: to Python's objects, to files, to the network, to others' data, to all the memory.

They go through the same door as a tenant's: saved by the API and previewed. Whatever comes of one, it is her own text,
a refusal, or an empty place; the API lives on, and answers in bounded time.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
import pytest

from tests.integration.api.support import Caller

_CLASSES: Final = [
    *(
        "''.__class__",
        "''.__class__.__mro__",
        "''.__class__.__mro__[1].__subclasses__()",
        "().__class__.__base__",
    ),
    *(
        "[].__class__.__base__.__subclasses__()",
        "{}.__class__.__mro__",
        "''['__class__']",
        "''|attr('__class__')",
    ),
    *(
        "''|attr('\\x5f\\x5fclass\\x5f\\x5f')",
        "user.__class__",
        "user.__init__.__globals__",
        "data.__class__",
    ),
    *(
        "data.items.__globals__",
        "data.keys.__self__",
        "links.__class__",
        "tenant.__dict__",
        "context.__class__",
    ),
    *(
        "user|attr('__class__')|attr('__mro__')",
        "(1).__class__",
        "(1).real",
        "none.__class__",
        "true.__class__",
    ),
    *(
        "self.__init__.__globals__.__builtins__",
        "self._TemplateReference__context",
        "cycler.__init__.__globals__.os",
    ),
    *(
        "joiner.__init__.__globals__",
        "namespace.__init__.__globals__",
        "lipsum.__globals__['os'].popen('id').read()",
    ),
    *(
        "config",
        "config.items()",
        "request",
        "request.application.__globals__",
        "get_flashed_messages.__globals__",
    ),
    *(
        "url_for.__globals__",
        "g",
        "session",
        "environ",
        "os",
        "sys",
        "__import__('os')",
        "__builtins__",
        "globals()",
    ),
    *(
        "locals()",
        "vars()",
        "dir()",
        "open('/etc/passwd').read()",
        "eval('1')",
        "exec('1')",
        "compile('1','','eval')",
    ),
    *(
        "range.__init__",
        "dict.__base__",
        "dict(a=1).__class__",
        "namespace().__class__",
        "debug()",
        "caller()",
    ),
    *("super()", "varargs", "kwargs", "loop.__class__", "''.format.__self__", "'{0.__class__}'.format(1)"),
    *(
        "'{0.__class__.__mro__}'.format(data)",
        "'%s'|format(data.__class__)",
        "'%(x)s'|format(x=''.__class__)",
    ),
    *(
        "[1]|map(attribute='__class__')|list",
        "[data]|map(attribute='__class__')|first",
        "[1]|map('attr','real')|list",
    ),
    *(
        "[data]|groupby('__class__')",
        "[data]|selectattr('__class__')|list",
        "[data]|sort(attribute='__class__')",
    ),
    *("data|tojson|attr('__class__')", "data|dictsort|attr('__class__')", "data|string|attr('__class__')"),
    *(
        "''.join.__class__",
        "data.get.__func__",
        "data.copy.__call__",
        "user.copy()",
        "data.pop('x')",
        "data.update({})",
    ),
    *(
        "data.clear()",
        "user.attributes.clear()",
        "tenant.secret",
        "tenant.providers",
        "tenant.api_key",
        "user.key",
    ),
    *(
        "user.sealed",
        "user.user_id.__class__",
        "_TEMPLATE",
        "__file__",
        "__name__",
        "__loader__",
        "import_module",
    ),
]
_STATEMENTS: Final = [
    "{% include '/etc/passwd' %}",
    "{% include '../../../../etc/passwd' %}",
    "{% include 'file:///etc/passwd' %}",
    "{% include 'http://127.0.0.1/' %}",
    "{% import 'os' as os %}{{ os.popen('id') }}",
    "{% from 'os' import popen %}{{ popen('id') }}",
    "{% extends '/etc/passwd' %}",
    "{% set x = ''.__class__ %}{{ x }}",
    "{% with x = ''.__class__ %}{{ x }}{% endwith %}",
    "{% for c in ''.__class__.__mro__ %}{{ c }}{% endfor %}",
    "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{{ m() }}",
    "{% block x %}{{ self.__class__ }}{% endblock %}",
    "{% autoescape false %}{{ '<script>' }}{% endautoescape %}{{ ''.__class__ }}",
    "{% filter attr('__class__') %}x{% endfilter %}",
    "{% do data.clear() %}",
    "{% debug %}",
    "{% raw %}{{ ''.__class__ }}",
    "{%- python -%}import os{%- endpython -%}",
    "<%= system('id') %>${7*7}#{7*7}",
    "{{ '{{' }} ''.__class__ {{ '}}' }}",
]
_BOMBS: Final = [
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
    "{{ 'x' * 1000000000 }}",
    "{{ range(1000000000)|list|length }}",
    "{{ range(1000000000)|join }}",
    "{{ ('x'|center(1000000000))|length }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
    "{{ 9 ** 9 ** 9 ** 9 }}",
    "{{ 'a'|replace('', 'x' * 100000)|replace('x', 'y' * 100000) }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{% if 1 %}" * 2000 + "x" + "{% endif %}" * 2000,
    "{{ '%1000000000d'|format(1) }}",
    "{{ [1] * 1000000000 }}",
]
TEMPLATES: Final = [*(f"{{{{ {text} }}}}" for text in _CLASSES), *_STATEMENTS, *_BOMBS]

GIVEN_AWAY: Final = re.compile(
    r"<class|<built-in|<function|<bound method|<module|__main__|root:x:|uid=\d|site-packages|PyObject|0x7f[0-9a-f]{6}"
    r"|clarion\.|CLARION_|\bminijinja\.|Traceback"
)
"""What the inside looks like from outside."""

MAX_ANSWER: Final = 2 << 20


def test_there_are_a_hundred():
    assert len(TEMPLATES) >= 100


@pytest.mark.asyncio(loop_scope="session")
async def test_no_template_gets_out(caller: Caller):
    await caller.user()
    rendered = 0
    for nth, source in enumerate(TEMPLATES):
        content = {
            "category": "transactional",
            "channels": {
                "email": {"subject": "S", "html": f"<p>{source}</p>", "text": source},
                "sms": {"body": source},
            },
        }
        saved = await caller.call(f"PUT /templates/t{nth}", content)
        assert saved.status in {200, 201, 400}, (source, saved.body)
        shown = await caller.call(
            f"POST /templates/t{nth}/preview", {"user_id": "ada", "data": {"x": "y", "items": [1, 2]}}
        )
        assert shown.status in {200, 400, 404, 422}, (source, shown.status, shown.body[:300])
        rendered += shown.status == 200
        told = msgspec.json.format(saved.body or b"{}", indent=0).decode() + shown.body.decode()
        assert len(shown.body) < MAX_ANSWER, source
        # Refusals quote the place in the source.
        told = told.replace(msgspec.json.encode(source).decode()[1:-1], "")
        assert not GIVEN_AWAY.search(told), (source, told[:500])
    assert rendered > len(_STATEMENTS)
    assert (await caller.call("GET /me")).status == 200


@pytest.mark.asyncio(loop_scope="session")
async def test_what_a_user_is_called_is_never_a_template(caller: Caller):
    """Her data is written as it stands, or escaped; it is never run."""
    content = {
        "category": "transactional",
        "channels": {
            "email": {"subject": "Hi {{ user.first_name }}", "html": "<p>{{ user.first_name }} {{ x }}</p>"}
        },
    }
    assert (await caller.call("PUT /templates/hello", content)).status == 200
    for source in TEMPLATES[:100]:
        name = source[:400]
        await caller.user(attributes={"first_name": name})
        shown = await caller.call("POST /templates/hello/preview", {"user_id": "ada", "data": {"x": name}})
        assert shown.status == 200, shown.body
        subject = shown.json()["channels"]["email"]["subject"]
        assert " ".join(subject.split()) == " ".join(f"Hi {name}".split())
