"""The API against its own description, with every check that schemathesis has.

A few hundred cases in every run of the tests. `make contract` runs all phases with thousands of them.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

from tests.e2e.api.support import ApiProcess
from tests.integration.api.support import Caller

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
FEW: Final = ("--phases", "examples,fuzzing", "--max-examples", "2")
MANY: Final = ("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "12")
MANY_CASES: Final = 5000


async def test_the_api_is_as_it_is_described(process: ApiProcess, caller: Caller, tmp_path: Path):
    is_thorough = bool(os.environ.get("CLARION_CONTRACT_THOROUGH"))
    await caller.user()
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "--no-color", "run"),
        *(f"http://127.0.0.1:{process.port}/openapi.json", "--header", f"Authorization: Bearer {caller.key}"),
        *("--checks", "all", "--continue-on-failure", *(MANY if is_thorough else FEW)),
        stdout=PIPE,
        stderr=STDOUT,
        cwd=tmp_path,
    )
    told = (await running.communicate())[0].decode()
    cases = re.search(r"(\d+) generated", told)
    assert running.returncode == 0, told
    assert cases, told
    assert int(cases[1]) >= (MANY_CASES if is_thorough else len(FEW)), told
