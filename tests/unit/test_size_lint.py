from __future__ import annotations

import textwrap

import pytest

from tools.lint import size, waivers
from tools.lint.model import Finding, TextFile, parse
from tools.lint.waivers import Waiver


def findings(code: str, path: str = "src/clarion/x.py") -> list[tuple[str, str, int]]:
    """(rule, name, measured) of each breach in `code`."""
    module = parse(TextFile(path, textwrap.dedent(code)))
    return [(found.rule, found.name, found.value) for found in size.check(module)]


def function_of(lines: int) -> str:
    return "def f():\n" + "    pass\n" * (lines - 1)


def class_of(methods: int, base: str = "") -> str:
    return f"class C({base}):\n" + "".join(f"    def m{i}(self): ...\n" for i in range(methods))


@pytest.mark.parametrize(
    ("path", "lines", "expected"),
    [
        pytest.param("src/clarion/x.py", 500, [], id="file-at-cap"),
        pytest.param("src/clarion/x.py", 501, [("file-lines", "", 501)], id="file-over-cap"),
        pytest.param("tests/unit/test_x.py", 600, [], id="test-file-at-cap"),
        pytest.param("tests/unit/test_x.py", 601, [("file-lines", "", 601)], id="test-file-over-cap"),
    ],
)
def test_files_have_a_length_budget(path: str, lines: int, expected: list[tuple[str, str, int]]):
    assert findings("pass\n" * lines, path) == expected


def test_functions_have_a_length_budget():
    assert findings(function_of(60)) == []
    assert findings(function_of(61)) == [("function-lines", "f", 61)]


def test_decorators_do_not_count_as_lines_of_a_function():
    assert findings("@d\n@d\n" + function_of(60)) == []


def test_a_function_inside_a_method_is_named_in_full_and_counts_for_both():
    body = textwrap.indent(function_of(61), "        ")
    code = f"class C:\n    async def m(self):\n{body}"
    assert findings(code) == [("function-lines", "C.m", 62), ("function-lines", "C.m.f", 61)]


def test_a_function_under_a_condition_is_seen():
    assert findings("if x:\n" + textwrap.indent(function_of(61), "    ")) == [("function-lines", "f", 61)]


def test_classes_have_a_budget_of_lines_and_of_methods():
    assert findings("class C:\n" + "    x = 1\n" * 249) == []
    assert findings("class C:\n" + "    x = 1\n" * 250) == [("class-lines", "C", 251)]
    assert findings(class_of(15)) == []
    assert findings(class_of(16)) == [("class-methods", "C", 16)]


@pytest.mark.parametrize("base", ["Protocol", "typing.Protocol", "Protocol[T]"])
def test_ports_are_small(base: str):
    assert findings(class_of(7, base)) == []
    assert findings(class_of(8, base)) == [("port-methods", "C", 8)]


def test_what_the_event_loop_calls_is_no_port():
    assert findings(class_of(8, "asyncio.Protocol")) == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("def f(a, b, c, d, e): ...", [], id="five"),
        pytest.param("def f(a, b, c, d, e, f): ...", [("parameters", "f", 6)], id="six"),
        pytest.param("def f(a, /, b, *, c, d, e, g): ...", [("parameters", "f", 6)], id="every-kind"),
        pytest.param("def f(a, b, c, d, *e, **g): ...", [("parameters", "f", 6)], id="stars"),
        pytest.param("class C:\n    def m(self, a, b, c, d, e): ...", [], id="self-is-free"),
        pytest.param(
            "class C:\n    @staticmethod\n    def m(a, b, c, d, e, f): ...",
            [("parameters", "C.m", 6)],
            id="static-has-no-self",
        ),
    ],
)
def test_parameters_have_a_budget(code: str, expected: list[tuple[str, str, int]]):
    assert findings(code) == expected


FOUND = Finding("src/x.py", 3, "function-lines", "f has 70 lines, the budget is 60", "f", 70)


def applied(value: int) -> list[str]:
    """Rules still broken once `f` has a waiver for `value` lines."""
    waiver = Waiver(1, "function-lines", "src/x.py", "f", value)
    return [left.rule for left in waivers.apply([FOUND], [waiver], "waivers.txt")]


def test_a_waiver_covers_exactly_what_it_names():
    assert applied(70) == []


def test_a_waiver_does_not_let_its_debt_grow():
    assert applied(69) == ["function-lines"]


def test_a_waiver_that_is_too_generous_has_to_be_lowered():
    assert applied(71) == ["stale-waiver"]


def test_a_waiver_of_nothing_has_to_go():
    left = waivers.apply([], [Waiver(4, "function-lines", "src/x.py", "f", 70)], "waivers.txt")
    assert [(found.rule, found.path, found.line) for found in left] == [("stale-waiver", "waivers.txt", 4)]


def test_the_list_is_read_with_comments_and_blank_lines():
    text = (
        "# debts\n\nfile-lines src/x.py 510\nfunction-lines src/x.py::C.m 70  # until the parser is split\n"
    )
    assert waivers.read(text) == [
        Waiver(3, "file-lines", "src/x.py", "", 510),
        Waiver(4, "function-lines", "src/x.py", "C.m", 70),
    ]


@pytest.mark.parametrize("line", ["file-lines src/x.py", "file-lines src/x.py many", "a b c d"])
def test_a_malformed_waiver_is_refused_with_its_line(line: str):
    with pytest.raises(ValueError, match=r"line 2: expected `RULE PATH"):
        waivers.read(f"# debts\n{line}\n")
