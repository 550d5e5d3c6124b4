"""The command line: what it prints, how it ends, how quickly it answers."""

import json
import subprocess
import sys

import pytest

PRETRAIN = ("pretrain", "--out", "a.safetensors")


def test_list_names_everything(mirbench):
    code, out, _ = mirbench("list")
    assert code == 0
    for name in ("chroma", "NOT TRAINED", "key", "rendered-scores"):
        assert name in out


def test_list_takes_one_kind(mirbench):
    _, out, _ = mirbench("list", "tasks")
    assert "key" in out
    assert "chroma" not in out


def test_list_of_encoders_says_what_they_are_and_what_is_here(mirbench):
    _, out, _ = mirbench("list", "encoders")
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert rows["mt2"].split() == ["mt2", "1,862,524", "16000", "31.25", "192", "MIT", "MIT", "yes"]
    assert rows["semitone"].split()[-1] == rows["hf"].split()[-1] == "no"
    assert "CC-BY-NC-4.0" in rows["mert-95m"]


def test_info_says_what_is_missing_instead_of_fetching_it(mirbench):
    code, out, _ = mirbench("info", "semitone")
    assert code == 0
    assert "missing: no weights of it ship; give some: --encoder semitone@FILE" in out
    code, out, _ = mirbench("info", "mt2")
    assert "licence of the weights: MIT" in out
    assert "parameters: 1862524" in out


def test_list_names_a_broken_plugin_and_ends_well(mirbench, monkeypatch):
    from importlib.metadata import EntryPoint

    from mirbench import plugins

    real = plugins.entry_points
    broken = EntryPoint(name="mine", value="no_such_module", group="mirbench")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [*real(group=group), broken])
    code, out, err = mirbench("list")
    assert code == 0
    assert "chroma" in out
    assert "plugin 'mine': ModuleNotFoundError: No module named 'no_such_module'" in err


def test_run_prints_a_table_and_writes_records_and_leaderboard(mirbench, recordings, tmp_path):
    out = tmp_path / "results"
    code, table, err = mirbench("run", "--encoder", "chroma,mfcc", "--task", "key", "--data", recordings, "--out", out)
    assert code == 0, err
    assert "1.000 [1.000, 1.000]" in table
    assert "chroma: 36 of 36 clips" in err
    code, table, _ = mirbench("leaderboard", "--out", out)
    assert code == 0
    first = (out / "leaderboard.csv").read_bytes()
    mirbench("leaderboard", "--out", out)
    assert (out / "leaderboard.csv").read_bytes() == first
    assert first.count(b"\n") == 1 + 2
    assert mirbench("leaderboard", "--out", out, "--long")[0] == 0
    assert (out / "leaderboard-long.csv").read_bytes().count(b"\n") == 1 + 2 * 8


@pytest.mark.parametrize("kind", ["md", "latex", "json", "html"])
def test_from_a_finished_run_to_a_table_a_page_and_a_sentence(mirbench, recordings, tmp_path, kind):
    out = tmp_path / "results"
    mirbench("run", "--encoder", "chroma,mfcc", "--task", "key", "--data", recordings, "--out", out)
    code, shown, err = mirbench("leaderboard", "--out", out, "--format", kind, "--published")
    assert code == 0, err
    [path] = out.glob("leaderboard.*")
    assert f"written: {path}" in shown
    assert "S-KEY, 1M songs" in path.read_text().replace("\\", "")
    code, said, err = mirbench("compare", "chroma", "mfcc", "--out", out)
    assert code == 0, err
    assert "chroma is better than mfcc on key on triads" in said
    assert "there are chroma, mfcc" not in said
    assert "those of chroma, mfcc" in mirbench("compare", "chroma", "gone", "--out", out)[2]
    assert "no record has task 'gone'; there are key" in mirbench("leaderboard", "--task", "gone", "--out", out)[2]
    code, said, _ = mirbench("compare", "chroma", "mfcc", "--out", out, "--format", "json")
    assert json.loads(said)["differences"][0]["one"] == 1.0


def test_published_results_have_no_place_in_csv(mirbench, recordings, tmp_path):
    out = tmp_path / "results"
    assert mirbench("run", "--encoder", "mfcc", "--task", "key", "--data", recordings, "--out", out)[0] == 0
    code, _, err = mirbench("leaderboard", "--out", out, "--published")
    assert code == 2
    assert "--published has no place in --format csv; take md, latex, json or html" in err
    assert not (out / "leaderboard.csv").exists()


@pytest.mark.parametrize("kind", ["confusion", "calibration", "labels", "layers"])
def test_a_clip_goes_with_a_timeline_only(mirbench, tmp_path, kind):
    words = ("--encoder", "mfcc", "--clip", "one", "--out", tmp_path / "a.png", "--results", tmp_path)
    code, _, err = mirbench("plot", kind, *words)
    assert code == 2
    assert f"--clip goes with plot timeline; {kind} shows all clips" in err


def test_a_dry_run_computes_nothing(mirbench, recordings, home):
    code, out, _ = mirbench("run", "--encoder", "all", "--task", "all", "--data", recordings, "--dry-run")
    assert code == 0
    assert "chroma on key (triads): 36 clips, 0.01 h" in out
    assert not home.exists()


def test_a_mistake_in_the_data_is_one_line_and_exit_1(mirbench, recordings, tmp_path):
    bad = recordings.with_name("bad.csv")
    text = recordings.read_text()
    assert "A minor\n" in text
    bad.write_text(text.replace("A minor\n", "A mirror\n", 1))
    code, out, err = mirbench("run", "--encoder", "chroma", "--task", "key", "--data", bad, "--out", tmp_path / "out")
    assert code == 1
    assert "bad.csv" in err
    assert "'A mirror'" in err
    assert "no such file" not in err
    assert "Traceback" not in out + err
    assert len([line for line in err.splitlines() if "mirror" in line]) == 1


def test_a_bug_in_a_plugin_keeps_its_traceback_and_exits_1(mirbench, recordings, tmp_path):
    plugin = tmp_path / "buggy.py"
    plugin.write_text(
        "from mirbench import EncoderSpec, hookimpl\n@hookimpl\ndef mirbench_encoders():\n"
        "    yield EncoderSpec(name='buggy', load=lambda device: 1 / 0)\n"
    )
    code, out, err = mirbench(
        "run", "--encoder", "buggy,chroma", "--task", "key", "--data", recordings, "--plugin", plugin,
        "--out", tmp_path / "results",
    )  # fmt: skip
    assert code == 1
    assert "failed: buggy on key (triads): ZeroDivisionError" in err
    assert "Traceback" in err
    assert "1 of 2 done, 1 failed" in err
    assert "chroma" in out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "--encoder", "chrma", "--task", "key"), 2, "did you mean 'chroma'?"),
        (("run", "--encoder", "chroma"), 2, "name tasks with --task"),
        (("run", "--encoder", "chroma", "--task", "key", "--device", "cuda"), 2, "use --device cpu"),
        (("run", "--encoder", "chroma", "--task", "key", "--decoder", "dbn"), 2, "has an option 'decoder'"),
        (("run", "--encoder", "chroma", "--task", "beat", "-o", "dbn"), 2, "expected NAME=VALUE"),
        (("list", "things"), 2, "is not one of"),
        (("info", "chrma"), 2, "did you mean 'chroma'?"),
        (("data", "prepare", "rendered"), 2, "did you mean 'rendered-scores'?"),
        (("list", "--plugin", "gone.py"), 1, "no plugin file"),
        (("leaderboard", "--out", "gone"), 2, "'mirbench run' writes them"),
        (("compare", "a", "b", "--out", "gone"), 2, "'mirbench run' writes them"),
        (("run", "--encoder", "chroma,mt2", "--task", "key", "--checkpoint", "a.pt"), 2, "goes with one encoder"),
        (("run", "--encoder", "mt2", "--task", "key", "--checkpoint", "a.pt"), 2, "no such file or folder 'a.pt'"),
        (("info", "mt2@a.pt"), 2, "no such file or folder 'a.pt'"),
        (("kez",), 2, "No such command 'kez'"),
        (("key", "a.wav", "--checkpoint", "a.pt"), 1, "no such file or folder: a.pt"),
        ((*PRETRAIN, "chroma", "--audio", "."), 2, "cannot train 'chroma'; it can train mix2, mt2, "),
        ((*PRETRAIN, "mt2"), 2, "nothing to train on"),
        ((*PRETRAIN, "mt2", "--audio", "gone"), 2, "--audio gone: no such folder"),
        ((*PRETRAIN, "mt2", "--audio", "."), 1, "no audio"),
        ((*PRETRAIN, "mt2", "--audio", ".", "--steps", "5", "--hours", "1"), 2, "exclude each other"),
        (("pretrain", "mt2", "--audio", ".", "--out", "a.pt"), 2, "ends in .safetensors"),
        ((*PRETRAIN, "mt2", "--dataset", "rendered"), 2, "did you mean 'rendered-scores'?"),
        ((*PRETRAIN, "semitone", "--dataset", "anuran-synth"), 2, "semitone needs references of task 'key'"),
        ((*PRETRAIN, "mt2", "--data", "mine.csv"), 2, "needs no references"),
    ],
)
def test_wrong_usage_is_one_line_and_its_exit_code(mirbench, words, code, message, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    found, _, err = mirbench(*words)
    assert found == code
    assert message in err
    assert "Traceback" not in err


def test_info_shows_licence_citation_parameters_and_fingerprint(mirbench):
    _, out, _ = mirbench("info", "random")
    for text in ("licence: MIT", "NOT TRAINED", "parameters: 1", "fingerprint: "):
        assert text in out
    assert "ISMIR 2014" in mirbench("info", "key")[1]
    assert "some for non-commercial use" in mirbench("info", "rendered-scores")[1]


def test_info_says_that_an_untrained_network_is_not_trained(mirbench):
    code, out, _ = mirbench("info", "skey@random")
    assert code == 0
    assert "NOT TRAINED" in out
    assert "parameters: 47284" in out


def test_all_leaves_out_encoders_without_weights_and_says_so(mirbench, recordings):
    words = ("run", "--encoder", "all", "--task", "key", "--data", recordings, "--dry-run")
    code, out, err = mirbench(*words)
    assert code == 0
    assert "left out: semitone: no weights of it ship; give some: --encoder semitone@FILE" in err
    assert "semitone" not in out


def test_other_weights_are_a_row_of_their_own(mirbench, recordings, tmp_path):
    out = tmp_path / "results"
    code, table, err = mirbench("run", "--encoder", "skey@random", "--task", "key", "--data", recordings, "--out", out)
    assert code == 0, err
    assert "skey@random" in table
    assert "skey@random" in (out / "records").glob("*.jsonl").__next__().read_text()


def test_a_plugin_adds_a_command_but_replaces_none(mirbench, tmp_path, monkeypatch):
    plugin = tmp_path / "extra.py"
    plugin.write_text(
        "import click\nfrom mirbench import hookimpl\n@click.command('shout')\ndef shout():\n    click.echo('LOUD')\n"
        "@click.command('run')\ndef replaced():\n    click.echo('mine')\n"
        "@hookimpl\ndef mirbench_commands():\n    yield shout\n    yield replaced\n"
    )
    monkeypatch.setenv("MIRBENCH_PLUGINS", str(plugin))
    code, out, err = mirbench("shout")
    assert (code, out) == (0, "LOUD\n")
    assert "its command 'run' is there already" in err
    assert "frozen" in mirbench("--help")[1]
    assert "Missing option" in mirbench("run")[2]


def test_check_passes_the_built_in_and_fails_the_broken(mirbench, tmp_path):
    code, out, _ = mirbench("check", "key")
    assert code == 0
    assert "FAIL" not in out
    plugin = tmp_path / "late.py"
    plugin.write_text(
        "import numpy as np\nfrom mirbench import Encoder, EncoderSpec, Features, hookimpl\n"
        "class Late(Encoder):\n    sample_rate = 8000\n    fingerprint = 'late'\n"
        "    def encode(self, audio):\n"
        "        frames = np.abs(audio[: len(audio) // 400 * 400]).reshape(-1, 400).mean(1)\n"
        "        return Features(frames[None, :, None], np.arange(len(frames)) * 0.05 * 0.5)\n"
        "@hookimpl\ndef mirbench_encoders():\n    yield EncoderSpec(name='late', load=lambda device: Late())\n"
    )
    code, out, _ = mirbench("check", "late", "--plugin", plugin)
    assert code == 1
    assert "FAIL  check_alignment" in out


def test_data_commands_say_where_and_whether(mirbench, home):
    assert mirbench("data", "path")[1].strip() == str(home / "data")
    assert mirbench("data", "path", "rendered-scores")[1].strip() == str(home / "data" / "rendered-scores")
    assert "small: not here" in mirbench("data", "list")[1]


@pytest.mark.parametrize("words", [["--help"], ["list"], ["run", "--help"]])
def test_quick_answers_import_nothing_heavy(words, home):
    code = (
        "import sys\nfrom mirbench.cli.main import main\nsys.argv = ['mirbench', *%r]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'torch', 'scipy', 'sklearn', 'music21', 'soundfile', 'mir_eval'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code % words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
