"""Names in records that a format could take for more than text, and values that no number can be."""

import csv
import io
import json
import math
import re
from dataclasses import replace

import pytest

from mirbench.escaping import csv_cell, latex_text, markdown_cell, visible
from mirbench.results.formats import FORMATS, lay_out
from mirbench.results.html import as_html
from mirbench.results.records import RecordWriter
from tests.samples import RESULT

NAMES = {
    "a formula": "=cmd|' /C calc'!A0",
    "plus": "+1+1",
    "at": "@SUM(1)",
    "minus": "-2+3",
    "tab": "\t=1",
    "carriage return": "\r=1",
    "full width": "\uff1d1+1",
    "comment and script": "<!--<script>",
    "end of script": "</script><script>alert(1)</script>",
    "image": "![](http://example.org/a.png)",
    "link": "[x](javascript:alert(1))",
    "pipes": "a|b|c",
    "HTML": "<img src=x onerror=alert(1)>",
    "LaTeX": "\\input{/etc/passwd}$^_&%#~",
    "escape sequences": "\x1b[2J\x1b[31mred",
    "title of a terminal": "\x1b]0;pwned\x07",
    "C1 control": "\x9b2J",
    "line break": "one\ntwo",
    "from right to left": "abc\u202edcba",
    "lone surrogate": "odd\udcff",
    "NUL": "nul\0nul",
    "the mark of the page": "/*DATA*/null",
}
LAYOUTS = {"csv": "csv", "md": "md", "latex": "tex", "json": "json", "html": "html"}


def recorded(world, **fields):
    writer = RecordWriter(world.out / "records", "r")
    writer.mirbench_result(replace(RESULT, encoder="good"))
    writer.mirbench_result(replace(RESULT, **{"value": 0.25, **fields}))


def read_page(text):
    """Return what the script of the page holds, as a browser splits it."""
    assert text.count("<script>") == 1
    assert text.count("</script>") == 1
    assert "<!--" not in text.split("<script>", 1)[1]
    [line] = re.findall(r"^const data = (.*);$", text, re.MULTILINE)
    return json.loads(line)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_name_is_text_in_every_format(world, mirbench, name, kind):
    recorded(world, encoder=name)
    code, out, err = mirbench("leaderboard", "--out", world.out, "--format", kind)
    assert code == 0, err
    assert not set(out + err) & set("\x1b\x07\x9b\0\r\u202e\udcff")
    text = (world.out / f"leaderboard.{LAYOUTS[kind]}").read_bytes().decode()
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert len(rows) == 2
        assert {row["encoder"][0] for row in rows}.isdisjoint("=+-@\t\r\uff1d")
        assert {float(row["key/d/weighted_score"]) for row in rows} == {0.5, 0.25}
    elif kind == "md":
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len(rows) == len(text.splitlines()) == 4
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
        assert not re.search(r"(?<!\\)\[[^\]]*(?<!\\)\]\(|<img|<script|<!--|://", text)
    elif kind == "latex":
        assert "\\input" not in text
        assert text.count(r" \\") == 3
    elif kind == "json":
        assert {row["encoder"] for row in json.loads(text)["rows"]} == {"good", name}
    else:
        assert {row["encoder"] for row in read_page(text)["rows"]} == {"good", name}


@pytest.mark.parametrize("kind", ["csv", "md", "latex", "json", "html"])
@pytest.mark.parametrize("field", ["task", "dataset", "metric", "label", "size"])
def test_other_names_are_text_too(world, mirbench, field, kind):
    recorded(world, **{field: "=1|<!--<script>\x1b[2J\udcff"})
    code, out, err = mirbench("leaderboard", "--out", world.out, "--format", kind)
    assert code == 0, err
    assert "\x1b" not in out
    (world.out / f"leaderboard.{LAYOUTS[kind]}").read_bytes().decode()


def test_the_long_table_has_no_formulas(world, mirbench):
    recorded(world, encoder="=1+1", options={"decoder": "x"}, source="@SUM(1)", date="-1+1", value=-0.5, low=-1.0)
    assert mirbench("leaderboard", "--out", world.out, "--long")[0] == 0
    rows = list(csv.DictReader(io.StringIO((world.out / "leaderboard-long.csv").read_text())))
    [row] = [row for row in rows if row["encoder"] == "'=1+1"]
    assert (row["source"], row["date"], row["value"], row["low"]) == ("'@SUM(1)", "'-1+1", "-0.5", "-1.0")


@pytest.mark.parametrize("value", [-0.5, 3, None, "-0.5", "+1e-3", "-7", "chroma", "C# minor", ""])
def test_numbers_and_plain_words_stay_what_they_are(value):
    assert csv_cell(value) == value


@pytest.mark.parametrize("text", ["mt2@random", "key on d", "Größe", "日本語", "a_b-c.d"])
def test_plain_text_stays_what_it_is(text):
    assert visible(text) == text
    assert markdown_cell(text) == text
    assert latex_text("key on d") == "key on d"


CURVE = [["mean", 0, 1.0, 0.7], ["mean", 10**8, 1.0, 0.6], ["mean", 1, 1.0, math.nan], ["mean", 2, 1.0, math.inf]]
VALUES = {
    "NaN": {"value": math.nan},
    "infinite": {"value": math.inf, "high": math.inf},
    "negative infinity": {"value": -math.inf, "low": -math.inf},
    "an interval of NaN": {"low": math.nan, "high": math.nan},
    "huge": {"value": 1e300, "high": 1e308},
    "speed NaN": {"extraction": {"speed": math.nan}},
    "layer 1e8": {"selection": {"choices": [{"readout": "mean", "layer": 0, "setting": 1.0, "curve": CURVE}]}},
}


@pytest.mark.parametrize("fields", VALUES.values(), ids=VALUES)
def test_a_page_survives_absurd_values(fields):
    results = [replace(RESULT, encoder="good"), replace(RESULT, **fields)]
    table = lay_out(results, {}, only_headlines=True)
    data = read_page(as_html(table, results))
    assert [row["encoder"] for row in data["rows"]].count("good") == 1
    assert len(data["rows"]) == 2
    for curve in data["curves"]:
        assert all(math.isfinite(loss) for _, loss in curve["points"])
    for write in FORMATS.values():
        assert "good" in write(table, ())
