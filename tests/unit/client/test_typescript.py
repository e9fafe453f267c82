"""The TypeScript client's types are those of the API as it is."""

from __future__ import annotations

import pytest

from tools.typescript_client import FOLDER, is_current, run_node


def test_its_types_are_up_to_date():
    assert is_current(), "run `make clients`"


@pytest.mark.skipif(not (FOLDER / "node_modules").exists(), reason="`make clients` installs what it needs")
def test_it_holds_its_promises():
    run_node("node_modules/typescript/bin/tsc", "--noEmit")
    run_node("--test", "test/index.test.ts")
