"""The page works in a browser: from a file, without errors, on a phone."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import count

import pytest

from mirbench.results.formats import About, lay_out, published
from mirbench.results.html import as_html
from tests.samples import RESULT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def results():
    curve = [["mean", layer, 1.0, 0.7 - layer / 10] for layer in range(4)]
    values = {"random": (0.3, 0.2), "alpha": (0.9, 0.4), "</script><b>odd": (0.6, 0.8), "gamma": (0.5, None)}
    return [
        replace(
            RESULT, encoder=encoder, task=task, value=value, low=value - 0.05, high=value + 0.05,
            selection={"choices": [{"readout": "mean", "layer": 0, "setting": 1.0, "decoder": {}, "curve": curve}]},
        )
        for encoder, pair in values.items()
        for task, value in zip(("key", "beat"), pair, strict=True)
        if value is not None
    ]  # fmt: skip


@pytest.fixture
def page(tmp_path):
    table = lay_out(results(), {"alpha": About(1234, "MIT", "MIT")}, only_headlines=True)
    path = tmp_path / "leaderboard.html"
    path.write_text(as_html(table, results(), published()))
    return path


def test_the_page_needs_nothing_from_elsewhere(page):
    text = page.read_text()
    assert not re.search(r"(src|href)=[\"']?(https?:|//)", text)
    assert "@import" not in text
    assert text.count("</script>") == 1  # a name cannot end the script


class Browser:
    """Headless Chromium, spoken to by its DevTools protocol through two pipes."""

    def __init__(self, folder):
        mine_in, theirs_out = os.pipe()
        theirs_in, mine_out = os.pipe()
        arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
            f"--user-data-dir={folder}",
        ]

        def connect():
            high_in, high_out = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        self.process = subprocess.Popen(
            [CHROMIUM, *arguments], preexec_fn=connect, close_fds=False, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = os.fdopen(mine_in, "rb"), os.fdopen(mine_out, "wb")
        self._numbers, self._rest = count(1), b""
        self.problems = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def _message(self):
        while b"\0" not in self._rest:
            self._rest += os.read(self._in.fileno(), 1 << 16)
        message, self._rest = self._rest.split(b"\0", 1)
        found = json.loads(message)
        if found.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            self.problems.append(found["params"])
        return found

    def call(self, method, **parameters):
        number = next(self._numbers)
        session = {"sessionId": self.session} if hasattr(self, "session") else {}
        self._out.write(json.dumps({"id": number, "method": method, "params": parameters, **session}).encode() + b"\0")
        self._out.flush()
        while (found := self._message()).get("id") != number:
            pass
        assert "error" not in found, found
        return found["result"]

    def open(self, path):
        self.call("Page.navigate", url=path.as_uri())
        while self._message().get("method") != "Page.loadEventFired":
            pass

    def ask(self, expression):
        found = self.call("Runtime.evaluate", expression=f"JSON.stringify({expression})", returnByValue=True)
        assert "exceptionDetails" not in found, found
        return json.loads(found["result"].get("value", "null"))

    def close(self):
        self.process.kill()
        self.process.wait()
        self._in.close()
        self._out.close()


@pytest.fixture
def browser(tmp_path):
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    browser = Browser(tmp_path / "profile")
    yield browser
    browser.close()


ENCODERS = "[...document.querySelectorAll('#board tbody tr')].map((row) => row.dataset.encoder)"


def test_in_a_browser_columns_sort_tasks_filter_and_nothing_fails(browser, page):
    browser.open(page)
    assert browser.ask(ENCODERS)[-1] == "random"
    assert "3rd, 1 of 2 tasks" in browser.ask("document.querySelector('tr[data-encoder=gamma]').innerText")
    head = "document.querySelector('th[data-key=\"beat/d/weighted_score\"] button')"
    browser.ask(f"{head}.click()")
    assert browser.ask(ENCODERS) == ["</script><b>odd", "alpha", "random", "gamma"]
    browser.ask(f"{head}.click()")
    assert browser.ask(ENCODERS) == ["random", "alpha", "</script><b>odd", "gamma"]
    assert browser.ask("document.querySelector('th[aria-sort]').ariaSort") == "ascending"
    browser.ask("document.querySelector('input[data-task=beat]').click()")
    assert not browser.ask(f"{head} !== null")
    assert browser.ask("document.querySelector('th[data-key=\"key/d/weighted_score\"]') !== null")
    browser.ask("(filter.value = 'ALPHA', filter.oninput())")
    assert browser.ask(ENCODERS) == ["alpha"]
    assert browser.ask("document.querySelector('td.best, td .best').textContent") == "0.900"
    assert browser.problems == []


def test_in_a_browser_a_number_leads_to_its_record(browser, page):
    browser.open(page)
    browser.ask("document.querySelector('#board td a').click()")
    browser.ask("new Promise((done) => setTimeout(done, 50)) && 0")
    for _ in range(50):
        if browser.ask("record.open"):
            break
    assert '"fingerprint": "f"' in browser.ask("record.querySelector('pre').textContent")
    assert browser.problems == []


def test_in_a_browser_figures_are_drawn(browser, page):
    browser.open(page)
    assert browser.ask("bars.querySelectorAll('rect').length") == 4
    browser.ask("(column.value = 'beat/d/weighted_score', column.onchange())")
    assert browser.ask("bars.querySelectorAll('rect').length") == 3
    assert browser.ask("parallel.querySelectorAll('polyline').length") == 2
    assert browser.ask("layers.querySelectorAll('polyline').length") == 4
    assert browser.ask("published.tBodies[0].rows.length") == len(published())
    assert browser.problems == []


def test_in_a_browser_a_phone_does_not_scroll_sideways(browser, page):
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=2, mobile=True)
    browser.open(page)
    assert browser.ask("document.documentElement.scrollWidth") <= 390
