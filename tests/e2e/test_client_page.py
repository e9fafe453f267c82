"""The first example of docs/how-to/python-client.md, run as it stands there but for the address and the key."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.live.support import Person

PAGE = Path(__file__).parents[2] / "docs/how-to/python-client.md"


async def test_the_example_of_the_page_runs(person: Person):
    (example, *_) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    host, port = person.instance.address
    key = person.client.headers["authorization"].removeprefix("Bearer ")
    program = example.replace("127.0.0.1:8080", f"{host}:{port}").replace("ck_live_…", key)

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=PIPE, stderr=PIPE)
    told, failed = await process.communicate()

    assert process.returncode == 0, failed.decode()
    assert re.fullmatch(r"(queued|sending|sent) \['email'\]\n", told.decode())
    assert await person.all_over(1) == {"sent": 1}
