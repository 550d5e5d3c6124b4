"""Annotations that cannot be: named by file and line, never scored."""

import pytest


def _of(task, name, text):
    def inflict(world):
        world.write(name, text)
        return world.run(task)

    return inflict


CASES = [
    ("beats that are no numbers", _of("beat", "10.beats", "0.5\nhello\n"), 1, ("10.beats", "hello")),
]


@pytest.mark.parametrize(("name", "inflict", "code", "names"), CASES, ids=[case[0] for case in CASES])
def test_command_ends_with_a_line(ends, name, inflict, code, names):
    ends(inflict, code, names)


@pytest.mark.parametrize("task", ["key", "chord", "beat", "hospital", "tagging"])
def test_nothing_is_wrong_with_the_world_itself(ends, task):
    ends(lambda world: world.run(task), 0, ())
