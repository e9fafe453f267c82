"""A real Firefox as the receiver: it subscribes, decrypts and reports, with the service worker of our how-to.

Firefox speaks to its push server over a websocket; a page of ours plays that server and relays what comes.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import uuid
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from clarion.adapters.providers.webhooks import WebhookCall
from clarion.adapters.providers.webpush import read_webpush
from clarion.adapters.providers.webpush.account import public_key_of, read_account
from clarion.audience.model import DeviceToken
from clarion.kernel.clock import StoreClock
from clarion.tenancy.config import ProviderConfig
from tests.integration.providers.push import SUBJECT, TENANT, VAPID_KEY, WebWorld, opened, push, send_one

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.timeout(180),
    # The driver uses what its own dependencies give up; it says nothing about us.
    pytest.mark.filterwarnings("ignore"),
]

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "web-push.md"
FIREFOX = next((path for name in ("firefox-esr", "firefox") if (path := shutil.which(name))), None)
SUBSCRIBE = """
const [key, done] = arguments;
(async () => {
  try {
    await navigator.serviceWorker.register("/sw.js");
    const registration = await navigator.serviceWorker.ready;
    const options = { userVisibleOnly: true, applicationServerKey: key };
    done(JSON.stringify(await registration.pushManager.subscribe(options)));
  } catch (error) { done("ERROR " + error); }
})();
"""
WATCH = """
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(fetch("/seen", { method: "POST", body: event.data.text() })));
"""


def service_worker() -> str:
    """The service worker as the how-to has it, and one that says what it read: without a screen nothing is shown."""
    blocks = re.findall(r"```js\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    (worker,) = (block for block in blocks if 'addEventListener("push"' in block)
    return worker + WATCH


class PushServer:
    """Mozilla's push server, as far as one browser needs it, and the page that subscribes."""

    def __init__(self) -> None:
        self.url = ""
        self.reports: asyncio.Queue[bytes] = asyncio.Queue()
        self.seen: asyncio.Queue[bytes] = asyncio.Queue()
        self._browser: web.WebSocketResponse | None = None

    async def speak(self, request: web.Request) -> web.StreamResponse:
        """The browser's side: it says hello, and asks for channels."""
        if request.headers.get("upgrade", "").lower() != "websocket":
            return web.Response(text="<h1>A page</h1>", content_type="text/html")
        socket = web.WebSocketResponse(protocols=["push-notification"])
        await socket.prepare(request)
        self._browser = socket
        async for frame in socket:
            if frame.type != WSMsgType.TEXT:
                continue
            said: dict[str, Any] = json.loads(frame.data)
            if not said:
                await socket.send_str("{}")
            elif said["messageType"] == "hello":
                uaid = said.get("uaid") or uuid.uuid4().hex
                hello = {"messageType": "hello", "uaid": uaid, "status": 200, "use_webpush": True}
                await socket.send_json(hello | {"broadcasts": {}})
            elif said["messageType"] == "register":
                channel = said["channelID"]
                answer = {"messageType": "register", "channelID": channel, "status": 200}
                await socket.send_json(answer | {"pushEndpoint": f"{self.url}/push/{channel}"})
        return socket

    async def relay(self, request: web.Request) -> web.Response:
        """The sender's side."""
        assert self._browser is not None
        await self._browser.send_json(
            {
                "messageType": "notification",
                "channelID": request.match_info["channel"],
                "version": uuid.uuid4().hex,
                "ttl": int(request.headers["TTL"]),
                "data": urlsafe_b64encode(await request.read()).decode().rstrip("="),
                "headers": {"encoding": request.headers["Content-Encoding"]},
            }
        )
        return web.Response(status=201, headers={"Location": f"{self.url}/message/1"})

    async def script(self, request: web.Request) -> web.Response:
        """The page's service worker."""
        del request
        return web.Response(text=service_worker(), content_type="text/javascript")

    async def report(self, request: web.Request) -> web.Response:
        """Where the service worker reports."""
        self.reports.put_nowait(await request.read())
        return web.Response()

    async def see(self, request: web.Request) -> web.Response:
        """Where it says what it read."""
        self.seen.put_nowait(await request.read())
        return web.Response()


@asynccontextmanager
async def served() -> AsyncGenerator[PushServer]:
    """The push server on a free port, until the block ends."""
    server = PushServer()
    app = web.Application()
    app.router.add_get("/", server.speak)
    app.router.add_get("/sw.js", server.script)
    app.router.add_post("/push/{channel}", server.relay)
    app.router.add_post("/receipts", server.report)
    app.router.add_post("/seen", server.see)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def firefox(url: str, folder: Path) -> Generator[Any]:
    """A browser without a window whose push server is ours. Blocks: for a thread."""
    preferences = {
        "dom.push.enabled": True,
        "dom.push.connection.enabled": True,
        "dom.push.serverURL": url.replace("http:", "ws:") + "/",
        "dom.push.testing.allowInsecureServerURL": True,
        "dom.push.testing.ignorePermission": True,
        "dom.serviceWorkers.enabled": True,
        "dom.serviceWorkers.testing.enabled": True,
        "dom.webnotifications.enabled": True,
        "network.proxy.type": 0,
        "permissions.default.desktop-notification": 1,
    }
    marionette = import_module("marionette_driver.marionette").Marionette
    browser = marionette(
        bin=FIREFOX,
        headless=True,
        prefs=preferences,
        gecko_log=str(folder / "gecko.log"),
        app="fxdesktop",
        workspace=str(folder),
    )
    browser.start_session()
    try:
        browser.timeout.script = 30
        browser.navigate(f"{url}/")
        yield browser
    finally:
        browser.quit(in_app=False)
        browser.cleanup()


@pytest.mark.skipif(FIREFOX is None, reason="Firefox is not installed (Debian: apt-get install firefox-esr)")
async def test_a_browser_reads_what_we_send_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = ProviderConfig(
        "browsers", TENANT, "webpush", "push", {"subject": SUBJECT}, {"private_key": VAPID_KEY}
    )
    async with served() as server, opened(WebWorld, StoreClock()) as world:
        opening = firefox(server.url, tmp_path)
        browser = await asyncio.to_thread(opening.__enter__)
        try:
            key = public_key_of(read_account(config).key)
            token = await asyncio.to_thread(browser.execute_async_script, SUBSCRIBE, script_args=[key])
            assert not token.startswith("ERROR"), token
            message = push(DeviceToken("web", token), title="Grüße", body="Hällo 👋", collapse_key="cart")
            provider = world.provider(receipts_url=f"{server.url}/receipts")

            outcome = await send_one(provider, message)

            assert outcome.kind == "sent", outcome
            report = await asyncio.wait_for(server.reports.get(), 30)
            seen = json.loads(await asyncio.wait_for(server.seen.get(), 30))
        finally:
            await asyncio.to_thread(opening.__exit__, None, None, None)
    assert [seen[name] for name in ("title", "body", "tag")] == ["Grüße", "Hällo 👋", "cart"]
    read = await read_webpush(WebhookCall("POST", "", {}, report, world.clock.now_ms()), config, no_fetch)
    assert [(one.kind, one.delivery_id) for one in read.feedback] == [("delivered", message.delivery_id)]


async def no_fetch(url: str) -> bytes:
    raise AssertionError(url)
