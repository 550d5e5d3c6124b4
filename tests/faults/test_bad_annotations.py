"""Annotations that cannot be: named by file and line, never scored."""

import pytest


def _of(task, name, text):
    def inflict(world):
        world.write(name, text)
        return world.run(task)

    return inflict


def _row(task, old, new):
    """Edit the CSV file."""

    def inflict(world):
        world.edit("world.csv", old, new)
        return world.run(task)

    return inflict


def _copy(task, source, target):
    """Let one recording hold the bytes of another."""

    def inflict(world):
        (world.folder / f"{target}.wav").write_bytes((world.folder / f"{source}.wav").read_bytes())
        return world.run(task)

    return inflict


def _again(task, number, **changed):
    """Add a row like that of a clip, with some of its cells changed."""

    def inflict(world):
        lines = world.csv.read_text().splitlines()
        cells = dict(zip(lines[0].split(","), lines[1 + number].split(","), strict=True))
        world.write("world.csv", "\n".join([*lines, ",".join({**cells, **changed}.values())]) + "\n")
        return world.run(task)

    return inflict


CASES = [
    ("beats that are no numbers", _of("beat", "10.beats", "0.5\nhello\n"), 1, ("10.beats:2", "hello")),
    ("beats that are NaN", _of("beat", "10.beats", "0.5\nnan\n"), 1, ("10.beats:2", "nan", "finite")),
    ("beats that are infinite", _of("beat", "02.beats", "0.5\ninf\n"), 1, ("02.beats:2", "inf", "finite")),
    ("beats before the file", _of("beat", "10.beats", "-0.5\n0.5\n"), 1, ("10.beats:1", "-0.5", "from 0")),
    ("beats that go back", _of("beat", "10.beats", "0.5\n1.5\n1.0\n"), 1, ("10.beats:3", "line 2", "rise")),
    ("a beat twice", _of("beat", "10.beats", "0.5\n0.5\n"), 1, ("10.beats:2", "line 1", "rise")),
    ("beats after the file", _of("beat", "10.beats", "0.5\n1\n100\n101\n"), 1, ("10.beats:3", "4.00 s")),
    ("beats in milliseconds", _of("beat", "10.beats", "500\n1000\n1500\n"), 1, ("10.beats", "in seconds")),
    ("beats in minutes", _of("beat", "10.beats", "0.01\n0.02\n0.03\n"), 1, ("10.beats", "in seconds")),
    ("no beats", _of("beat", "10.beats", ""), 1, ("world.csv:12", "no beat")),
    ("beats in UTF-16", lambda w: _binary(w, "beat", "10.beats", "0.5\n1\n"), 1, ("10.beats", "UTF-8")),
    ("a file of beats that is missing", _row("beat", "10.beats", "gone.beats"), 1, ("gone.beats", "No such file")),
    ("a folder of beats", _row("beat", "10.beats", "."), 1, ("world.csv:12", "directory")),
    ("a chord that starts at NaN", _of("chord", "01.chords", "nan 2 C:maj\n2 4 G:maj\n"), 1, ("01.chords:1", "nan")),
    ("a chord that ends at NaN", _of("chord", "10.chords", "0 2 C:maj\n2 nan G:maj\n"), 1, ("10.chords:2", "nan")),
    ("a chord that never ends", _of("chord", "10.chords", "0 2 C:maj\n2 inf G:maj\n"), 1, ("10.chords:2", "inf")),
    ("a chord before the file", _of("chord", "01.chords", "-1 2 C:maj\n"), 1, ("01.chords:1", "-1")),
    ("chords that overlap", _of("chord", "01.chords", "0 3 C:maj\n2 4 G:maj\n"), 1, ("01.chords:2", "line 1")),
    ("the same chord twice", _of("chord", "01.chords", "0 3 C:maj\n0 3 C:maj\n"), 1, ("01.chords:2", "line 1")),
    ("two chords at once", _of("chord", "10.chords", "0 3 C:maj\n0 3 G:maj\n"), 1, ("10.chords:2", "line 1")),
    ("a chord far beyond the file", _of("chord", "10.chords", "0 2 C:maj\n2 300 G:maj\n"), 1, ("10.chords:2", "300")),
    ("chords after the file", _of("chord", "01.chords", "10 20 C:maj\n"), 1, ("01.chords:1", "4.00 s")),
    ("chords in milliseconds", _of("chord", "10.chords", "0 2000 C:maj\n2000 4000 G:maj\n"), 1, ("10.chords:1",)),
    ("a chord that ends before it starts", _of("chord", "10.chords", "2 1 C:maj\n"), 1, ("10.chords:1", "starts at 2")),
    ("a chord without a label", _of("chord", "10.chords", "0 2\n"), 1, ("10.chords:1", "expected start")),
    ("an odd chord", _of("chord", "10.chords", "0 2 C:maj\n2 4 H:dur\n"), 1, ("10.chords:2", "H:dur")),
    ("no chords", _of("chord", "10.chords", "# nothing\n"), 1, ("10.chords", "no chords")),
    ("chords in UTF-16", lambda w: _binary(w, "chord", "10.chords", "0 2 C:maj\n"), 1, ("10.chords", "UTF-8")),
    ("an event at NaN", _of("hospital", "10.events", "nan\t2\talarm\n"), 1, ("10.events:1", "nan")),
    ("an event that never ends", _of("hospital", "10.events", "1\tinf\talarm\n"), 1, ("10.events:1", "inf")),
    ("an event before the file", _of("hospital", "01.events", "-1\t2\talarm\n"), 1, ("01.events:1", "-1")),
    ("an event far beyond the file", _of("hospital", "10.events", "1\t300\talarm\n"), 1, ("10.events:1", "300")),
    ("events in milliseconds", _of("hospital", "10.events", "1000\t2000\talarm\n"), 1, ("10.events:1", "seconds")),
    ("an event that does not last", _of("hospital", "10.events", "1\t1\talarm\n"), 1, ("10.events:1", "ends at 1 s")),
    ("an event without a label", _of("hospital", "10.events", "1\t2\t\n"), 1, ("10.events:1", "label")),
    ("decimal commas", _of("hospital", "10.events", "1,5\t2,5\talarm\n"), 1, ("10.events:1", "1,5")),
    ("decimal commas and blanks", _of("hospital", "10.events", "1,5 2,5 alarm\n"), 1, ("10.events:1", "1,5")),
    ("events in UTF-16", lambda w: _binary(w, "hospital", "10.events", "1\t2\talarm\n"), 1, ("10.events", "UTF-8")),
    ("an odd key", _row("key", "song 10,C major", "song 10,H major"), 1, ("world.csv:12", "H")),
    ("a key that is missing", _row("key", "song 10,C major", "song 10,"), 1, ("world.csv:12", "key")),
    ("a row twice", _again("key", 10), 1, ("world.csv:14", "the same clip is there already on line 12")),
    ("a clip with two keys", _again("key", 10, key="G major"), 1, ("world.csv:14", "line 12")),
    ("a clip in two groups", _again("key", 10, group="other"), 1, ("world.csv:14", "in group 'song 10' on line 12")),
    ("a clip in two splits", _again("key", 10, group="x", split="train"), 1, ("world.csv:14", "in test on line 12")),
    ("a group in two splits", _again("key", 10, path="11.wav", split="train"), 1, ("world.csv:14", "song 10")),
    (
        "a copy of a training file in test",
        _copy("key", "01", "10"),
        1,
        ("world.csv:12", "01.wav", "in train on line 3"),
    ),
    ("a copy of a file in another group", _copy("key", "01", "02"), 1, ("world.csv:4", "01.wav", "group 'song 01'")),
    ("a part of a file in another group", _again("key", 10, start="1", end="2", group="x"), 1, ("world.csv:14",)),
    ("two columns of one name", _row("key", "split,group", "split,split"), 1, ("world.csv:1", "split")),
    ("times of an odd kind", _row("beat", "start,end", "times,end"), 0, ()),
    ("a start after the end", _again("key", 10, start="3", end="2", group="x"), 1, ("world.csv:14", "start 3")),
    ("a cell of a megabyte", _row("key", "song 10", "x" * 2**20), 1, ("world.csv:12", "field")),
    ("only chords that cannot be scored", lambda w: _unscored(w), 1, ("majmin is not defined",)),
]


def _binary(world, task, name, text):
    (world.folder / name).write_bytes(text.encode("utf-16"))
    return world.run(task)


def _unscored(world):
    for number in (9, 10, 11):
        world.write(f"{number:02d}.chords", "0 4 X\n")
    return world.run("chord")


@pytest.mark.parametrize(("name", "inflict", "code", "names"), CASES, ids=[case[0] for case in CASES])
def test_command_ends_with_a_line(ends, name, inflict, code, names):
    ends(inflict, code, names)


@pytest.mark.parametrize("task", ["key", "chord", "beat", "hospital", "tagging"])
def test_nothing_is_wrong_with_the_world_itself(ends, task):
    ends(lambda world: world.run(task), 0, ())


# What is allowed: rules that the documentation states, and what comes of them.

CHORDS = "0 2 C:maj\n2 4 A:min\n"
RULES = [
    ("comments", "chord", "10.chords", "# start end label\n" + CHORDS, CHORDS),
    ("empty lines and blanks", "chord", "10.chords", "\n  0   2  C:maj \r\n\n2\t4\tA:min\n", CHORDS),
    ("commas", "chord", "10.chords", "0, 2, C:maj\n2, 4, A:min\n", CHORDS),
    ("a byte order mark", "chord", "10.chords", "\ufeff" + CHORDS, CHORDS),
    ("an end that is rounded up", "chord", "10.chords", "0 2 C:maj\n2 4.6 A:min\n", CHORDS),
    ("a gap", "chord", "10.chords", "0 1.5 C:maj\n2 4 A:min\n", "0 1.5 C:maj\n1.5 2 X\n2 4 A:min\n"),
    ("lines in any order", "chord", "10.chords", "2 4 A:min\n0 2 C:maj\n", CHORDS),
    ("what follows a beat", "beat", "10.beats", "0.3 1\n0.8,2\n1.3\tx\n", "0.3\n0.8\n1.3\n"),
    ("a beat just after the end", "beat", "10.beats", "0.3\n0.8\n4.5\n", "0.3\n0.8\n"),
    ("comments among beats", "beat", "10.beats", "# t\n0.3\n#0.5\n0.8\n", "0.3\n0.8\n"),
    ("events of one label that overlap", "hospital", "10.events", "1\t2\talarm\n1.5\t3\talarm\n", "1\t3\talarm\n"),
    ("an event twice", "hospital", "10.events", "1\t2\talarm\n1\t2\talarm\n", "1\t2\talarm\n"),
    ("an event that fades after the end", "hospital", "10.events", "3\t4.5\talarm\n", "3\t4\talarm\n"),
    ("Audacity's frequency lines", "hospital", "10.events", "1\t2\talarm\n\\\t300\t400\n", "1\t2\talarm\n"),
]


def _clips(world, task):
    from mirbench.data.csv import CsvDataset
    from mirbench.plugins import Plugins

    dataset = CsvDataset(world.csv, Plugins().tasks[task].load())
    return {clip.path.stem: clip for split in ("train", "valid", "test") for clip in dataset.clips(split)}, dataset


@pytest.mark.parametrize(("name", "task", "file", "text", "plain"), RULES, ids=[rule[0] for rule in RULES])
def test_what_is_allowed_means_what_the_documentation_says(world, name, task, file, text, plain):
    from mirbench.data.reference_hash import as_bytes

    (world.folder / file).write_text(text, encoding="utf-8")
    found = _clips(world, task)[0]["10"].reference
    world.write(file, plain)
    assert as_bytes(found) == as_bytes(_clips(world, task)[0]["10"].reference)


@pytest.mark.parametrize("task", ["chord", "beat", "hospital"])
def test_the_annotation_of_a_recording_is_cut_and_shifted_for_a_part_of_it(world, task):
    world.edit("world.csv", "10.wav,,", "10.wav,1.0,3.5")
    clip = _clips(world, task)[0]["10"]
    reference = clip.reference
    if task == "beat":
        assert reference.tolist() == pytest.approx([0.3, 0.8, 1.3, 1.8, 2.3])  # from 0.3 every half second
    elif task == "chord":
        assert reference.intervals.tolist() == [[0, 1], [1, 2.5]]
        assert reference.labels == ("C:maj", "A:min")
    else:
        assert reference.intervals.tolist() == pytest.approx(__import__("numpy").array([[0.5, 1.5]]))


def test_a_column_declares_times_from_the_beginning_of_the_clip(world):
    world.edit("world.csv", "10.wav,,", "10.wav,1.0,3.5")
    rows = world.csv.read_text().splitlines()
    world.write("world.csv", "\n".join([rows[0] + ",times", *(f"{row},clip" for row in rows[1:])]) + "\n")
    world.write("10.beats", "0.3\n0.8\n1.3\n")
    assert _clips(world, "beat")[0]["10"].reference.tolist() == [0.3, 0.8, 1.3]
    world.write("10.chords", "0 1 C:maj\n1 4 A:min\n")
    with pytest.raises(Exception, match=r"10\.chords:2: a time of 4 s, in audio of 2\.50 s"):
        _clips(world, "chord")


def test_an_odd_word_in_that_column_is_refused(ends):
    def inflict(world):
        rows = world.csv.read_text().splitlines()
        world.write("world.csv", "\n".join([rows[0] + ",times", *(f"{row},bars" for row in rows[1:])]) + "\n")
        return world.run("beat")

    ends(inflict, 1, ("world.csv:2", "bars", "file", "clip"))


EDITS = [
    ("chord", "A:min", "A:maj"),
    ("beat", ".250", ".350"),
    ("hospital", "alarm", "door"),
    ("key", "A minor", "A major"),
]


@pytest.mark.parametrize(("task", "old", "new"), EDITS)
def test_an_edited_reference_is_never_answered_by_an_old_result(world, mirbench, task, old, new):
    """Version and result follow the content of every reference, though the CSV file stays as it is."""
    code, _, err = mirbench(*world.run(task))
    assert code == 0, err
    version, table = _clips(world, task)[1].version, _values(world)
    suffix = {"chord": "chords", "beat": "beats", "hospital": "events", "key": "csv"}[task]
    for path in world.folder.glob(f"*.{suffix}"):
        path.write_text(path.read_text().replace(old, new))
    assert _clips(world, task)[1].version != version
    code, _, err = mirbench(*world.run(task))
    assert code == 0, err
    edited = _values(world)
    code, _, err = mirbench(*world.run(task, "mfcc", "--fresh"))
    assert (code, _values(world)) == (0, edited), err
    assert {each.references for each in edited} != {each.references for each in table}


class _Number(tuple):
    references: str


def _values(world):
    """Read the values of the newest run, each with the hash of its references."""
    from mirbench.results.records import read_records

    newest = sorted((world.out / "records").glob("*.jsonl"))[-1]
    found = set()
    for result in read_records(newest):
        number = _Number((result.metric, result.label, result.value, result.low, result.high, result.dataset_version))
        number.references = result.references
        found.add(number)
    return found
