from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.embedded import (
    ChildSpec,
    Command,
    RestartPolicy,
    Role,
    StartFailed,
    StopPlan,
    role_child,
)

NO_JITTER = RestartPolicy(initial=0.5, cap=8.0, jitter=0.0)


def test_the_wait_doubles_with_each_death_up_to_the_cap():
    waits = [NO_JITTER.delay(deaths, Random(1)) for deaths in range(1, 8)]

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@given(deaths=st.integers(1, 10**9), seed=st.integers(), jitter=st.floats(0.0, 1.0))
def test_jitter_only_shortens_and_never_by_more_than_its_share(deaths: int, seed: int, jitter: float):
    policy = RestartPolicy(initial=0.5, cap=8.0, jitter=jitter)

    wait = policy.delay(deaths, Random(seed))

    full = NO_JITTER.delay(deaths, Random(seed))
    assert full * (1 - jitter) <= wait <= full <= 8.0


def test_two_children_that_die_together_do_not_come_back_together():
    policy = RestartPolicy(jitter=0.5)

    assert policy.delay(3, Random(1)) != policy.delay(3, Random(2))


def test_a_child_without_its_role_in_the_command_line_is_refused():
    with pytest.raises(ValueError, match="clarion-role=api"):
        ChildSpec("api", Command(("sleep", "1"), {}), StopPlan(order=10))


def test_a_role_carries_its_name_where_python_ignores_it():
    child = role_child(Role("api", "clarion.entrypoints.cli.main", ("api", "--port", "1"), {}))

    assert child.command.argv[1:] == (
        "-X",
        "clarion-role=api",
        "-m",
        "clarion.entrypoints.cli.main",
        "api",
        "--port",
        "1",
    )


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("LOG: starting\nFATAL: no room\nLOG: shut down\n", "FATAL: no room"),
        ("Traceback\nValueError: bad url\n", "ValueError: bad url"),
        ("one\ntwo\n\n", "two"),
        ("", "it wrote nothing"),
    ],
    ids=["a server that says goodbye", "a Python program", "no error named", "silence"],
)
def test_a_failed_start_is_told_in_one_line_that_says_why(log: str, line: str):
    error = StartFailed("postgres", 1, log)

    assert error.detail == f"postgres ended with code 1 before it was ready: {line}"
