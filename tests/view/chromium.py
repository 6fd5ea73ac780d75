"""A headless Chromium driven over its DevTools protocol: as much of it as the page's tests need."""

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

SECONDS = 60.0
ATTEMPTS = 3
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-port=0", "--window-size=1400,1250",
)  # fmt: skip


class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.problems: list[str] = []
        """Exceptions of scripts and what the console complains of (a violated CSP is told there)."""

    async def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(SECONDS):
            while True:
                answer = json.loads((await self._socket.receive()).data)
                if answer.get("id") == number:
                    assert "error" not in answer, answer
                    return answer["result"]
                self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])

    async def open(self, url: str) -> None:
        """Go to a page."""
        for domain in ("Runtime", "Log", "Page"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def resize(self, width: int, height: int) -> None:
        """Give the window a size."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; of a promise, what it comes to."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait, in the page, until an expression is true; the page looks again whenever something in it changes."""
        await self.evaluate(
            f"""new Promise((resolve) => {{
                const holds = () => {{ try {{ return Boolean({condition}); }} catch {{ return false; }} }};
                if (holds()) return resolve(true);
                const observer = new MutationObserver(() => {{
                    if (holds()) {{ observer.disconnect(); resolve(true); }}
                }});
                observer.observe(document, {{ subtree: true, childList: true, characterData: true, attributes: true }});
            }})"""
        )

    async def settle(self) -> None:
        """Wait until transitions have ended."""
        await self.evaluate(
            "Promise.all(document.getAnimations().filter((one) => one instanceof CSSTransition)"
            ".map((one) => one.finished.catch(() => 0))).then(() => 0)"
        )

    async def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


async def _start(folder: Path, flags: tuple[str, ...]) -> tuple[asyncio.subprocess.Process, str]:
    """A browser and the address of its debugger. One that crashes at its start, as some do, is started again."""
    assert BROWSER is not None
    said = b""
    for attempt in range(ATTEMPTS):
        with (folder / "chromium.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                BROWSER, *_FLAGS, *flags, f"--user-data-dir={folder / f'profile-{attempt}'}", "about:blank",
                stdout=output, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        assert process.stderr is not None
        async with asyncio.timeout(SECONDS):
            async for line in process.stderr:
                said += line
                if line.startswith(b"DevTools listening on "):
                    return process, line.decode().split("ws://")[1].split("/")[0]
        said += f"status {await process.wait()}\n".encode()
    raise AssertionError(f"chromium did not start: {said.decode(errors='replace')}")


@asynccontextmanager
async def browser(folder: Path, *flags: str) -> AsyncIterator[Page]:
    """A new browser with a profile of its own in `folder`."""
    process, base = await _start(folder, flags)
    assert process.stderr is not None
    drain = asyncio.create_task(process.stderr.read())
    try:
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://{base}/json/list") as answer:
                pages = [one for one in await answer.json() if one["type"] == "page"]
            async with http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        drain.cancel()
        if process.returncode is None:
            process.terminate()
        await process.wait()
