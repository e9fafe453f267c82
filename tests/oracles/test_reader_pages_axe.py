"""Readers' pages in a real Firefox, looked over by axe-core for what WCAG 2.2 asks at level AA."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clarion.entrypoints.hooks.phrases import LANGUAGES
from tests.oracles.npm import require
from tests.unit.test_reader_pages import every_page

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.timeout(240),
    # The driver uses what its own dependencies give up; it says nothing about us.
    pytest.mark.filterwarnings("ignore"),
]

FIREFOX = next((path for name in ("firefox-esr", "firefox") if (path := shutil.which(name))), None)
FEWEST = 10
"""Rules that apply to the plainest page: fewer, and nothing was looked at."""
PAGES = len(every_page("en"))
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOK = """
const [rules, done] = arguments;
axe.run(document, {runOnly: rules})
  .then((found) => done({passed: found.passes.length, wrong: found.violations.map((v) => `${v.id}: ${v.help}`)}))
  .catch((error) => done({passed: 0, wrong: [String(error)]}));
"""


async def show(request: web.Request) -> web.Response:
    """One of our pages, as we serve it."""
    reply = every_page(request.match_info["language"])[int(request.match_info["number"])]
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    return web.Response(body=reply.body, headers=headers)


@asynccontextmanager
async def served() -> AsyncGenerator[str]:
    """Our pages on a free port, until the block ends."""
    app = web.Application()
    app.router.add_get("/{language}/{number}", show)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextmanager
def firefox(folder: Path) -> Generator[Any]:
    """A browser without a window, about as wide as it lets itself be made narrow. Blocks: for a thread."""
    marionette = import_module("marionette_driver.marionette").Marionette
    browser = marionette(
        bin=FIREFOX,
        headless=True,
        prefs={"network.proxy.type": 0},
        gecko_log=str(folder / "gecko.log"),
        app="fxdesktop",
        workspace=str(folder),
    )
    browser.start_session()
    try:
        browser.timeout.script = 30
        browser.set_window_rect(width=500, height=900)
        yield browser
    finally:
        browser.quit(in_app=False)
        browser.cleanup()


def look_over(url: str, axe: str, folder: Path) -> dict[str, list[str]]:
    """What is wrong with each page. Blocks."""
    found: dict[str, list[str]] = {}
    with firefox(folder) as browser:
        for language in LANGUAGES:
            for number in range(PAGES):
                browser.navigate(f"{url}/{language}/{number}")
                # In the driver's own sandbox: the page's policy lets no script in.
                seen = browser.execute_async_script(axe + LOOK, script_args=[RULES])
                assert seen["passed"] > FEWEST
                found[f"{language}/{number}"] = seen["wrong"]
    return found


@pytest.mark.skipif(FIREFOX is None, reason="Firefox is not installed (Debian: apt-get install firefox-esr)")
async def test_axe_finds_nothing_wrong_with_any_page_in_any_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axe = (require("axe-core") / "axe.min.js").read_text(encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with served() as url:
        found = await asyncio.to_thread(look_over, url, axe, tmp_path)
    assert len(found) == PAGES * len(LANGUAGES)
    assert {page: wrong for page, wrong in found.items() if wrong} == {}
