"""The front of the command line: help at once, names that were nearly right, numbers, lists, completion, loudness."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from marl_pr_common import __version__, cli
from marl_pr_common.cli.completion import SCRIPTS, candidates
from marl_pr_common.cli.names import NAMES
from marl_pr_common.cli.options import key_values
from marl_pr_common.config.convert import whole
from sb3_pr.cli import train
from sb3_pr.study.config import TrainConfig
from sb3_pr.study.host import plan
from tests import warm
from tests.study.studies import TABULAR, write

TINY = ("--timesteps-per-agent", "6", "--learning-starts", "2", "--eval-episodes", "1", "--net-arch", "4")


def run(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as stop:  # argparse's and tyro's own refusals
        return int(stop.code or 0)


def test_without_a_command_the_help_is_shown(capsys):
    assert run() == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: marl-pr")
    assert all(f"\n  {name} " in text for name in cli.COMMANDS)


def test_the_version_is_shown(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"marl-pr {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["trian"], "train"),
        (["--debgu", "train"], "--debug"),
        (["train", "--timesteps-per-agnt", "5"], "--timesteps-per-agent"),
        (["train", "--algo", "td3pr"], "td3_pr"),
        (["train", "--algo=td3pr"], "td3_pr"),
        (["train", "--env", "Hoper-v5"], "Hopper"),
        (["train", "--env", "predatorprey-3"], "PredatorPrey-3"),
        (["train", "--adjacency", "sam"], "same"),
        (["compare", "--arms", "td3pr"], "td3_pr"),
        (["study", "quik"], "quick"),
        (["study", "quick", "--scale", "papr"], "paper"),
        (["study", "quick", "--engine", "locl"], "local"),
    ],
)
def test_a_name_that_is_nearly_right_is_suggested(arguments, meant, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments, *(["--out", "out"] if len(arguments) > 2 else [])) == 2
    error = capsys.readouterr().err
    assert "Did you mean" in error
    assert meant in error.split("Did you mean")[1]
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["train", "--env", "Hoper-v5", "--out", "x"], ["study", "quik"]])
def test_a_typo_is_answered_before_anything_heavy_is_imported(arguments, tmp_path):
    heavy = ("torch", "stable_baselines3", "pandas", "matplotlib", "scipy")
    script = (
        f"import sys, marl_pr_common.cli as cli\ncode = cli.main({arguments!r})\n"
        f"sys.exit(str((code, [name for name in {heavy!r} if name in sys.modules])))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "(2, [])"


@pytest.mark.parametrize(
    ("text", "number"),
    [("100000", 10**5), ("1e5", 10**5), ("100k", 10**5), ("0.1M", 10**5), ("100_000", 10**5), ("-3", -3), ("0k", 0)],
)
def test_whole_numbers_may_be_short(text, number):
    assert whole(text, "steps") == number


@pytest.mark.parametrize("text", ["1.5", "k", "", "1e400", "1e999999999", "nan", "inf", "1/2", "1g", "0x10"])
def test_what_is_no_whole_number_is_refused(text):
    with pytest.raises(ValueError, match="whole number, such as"):
        whole(text, "steps")


def test_options_and_files_take_short_numbers(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(train.Command, "run", lambda self: seen.append(self.train) or 0)
    (tmp_path / "own.yaml").write_text("buffer_size: 2e4\nlearning_starts: 1k\n")
    given = ("--timesteps_per_agent=100k", "--net-arch", "1e1", "20", "--gamma", "1e-1")
    assert run("train", "--config", str(tmp_path / "own.yaml"), "--out", "x", *given) == 0
    found = seen[0]
    assert (found.timesteps_per_agent, found.buffer_size, found.learning_starts) == (100_000, 20_000, 1_000)
    assert (found.net_arch, found.gamma) == ((10, 20), 0.1)


def test_arguments_of_an_environment_are_read_as_yaml():
    expected = {"frame_skip": 4, "rate": 1e-3, "flat": False, "name": "a:b"}
    assert key_values(["frame_skip:4", "rate:1.0e-3", "flat:false", "name:'a:b'"]) == expected
    assert key_values(["{frame_skip: 4, rate: 1.0e-3}", "{flat: false, name: 'a:b'}"]) == expected
    for wrong in (["frame_skip"], ["a:1", "a:2"], ["4:a"], ["a:!!python/object:os.system x"]):
        with pytest.raises(ValueError, match=r"expected KEY:VALUE|comes twice|not valid YAML"):
            key_values(wrong)


def test_arguments_of_an_environment_reach_it_and_the_record(tmp_path, capsys):
    """Gravity makes the pendulum's rewards; without any, resting is as good as swinging."""
    returns = {}
    for gravity in ("10.0", "0.0"):
        out = tmp_path / gravity
        command = ("train", "--env", "Pendulum-v1", "--algo", "td3", "--env-kwargs", f"g:{gravity}", *TINY)
        assert run(*command, "--out", str(out)) == 0
        assert json.loads((out / "run.json").read_text())["config"]["env_kwargs"] == {"g": float(gravity)}
        returns[gravity] = capsys.readouterr().err.split("return ")[1].split()[0]
    assert returns["10.0"] != returns["0.0"]


@pytest.mark.parametrize(
    ("env", "given", "message"),
    [
        ("Pendulum-v1", "gg:5", "env_kwargs {'gg': 5}"),
        ("CooperativeNavigation-2", "nonsense:1", "env_kwargs {'nonsense': 1}"),
        ("tests.cli.odd_environments:Fine", "size:1", "functools.partial"),
        ("Pendulum-v1", "g", "KEY:VALUE"),
    ],
)
def test_wrong_arguments_of_an_environment_are_one_line(env, given, message, tmp_path, capsys):
    assert run("train", "--env", env, "--env-kwargs", given, "--out", str(tmp_path / "out")) == 2
    captured = capsys.readouterr()
    assert message in " ".join((captured.out + captured.err).replace("│", " ").split())
    assert "Traceback" not in captured.err
    assert not (tmp_path / "out").exists()


def test_runs_in_environments_with_other_arguments_are_not_comparable():
    plain, other = plan("Pendulum-v1", 0, {}), plan("Pendulum-v1", 0, {"env_kwargs": {"g": 5.0}})
    assert plain.evaluation != other.evaluation
    assert TrainConfig(env_kwargs={"g": 5.0}).evaluation_protocol == other.evaluation


def test_list_gives_names_that_commands_take(capsys):
    assert run("list") == 0
    text = capsys.readouterr().out
    for kind, names in NAMES.items():
        assert f"{kind}:" in text
        assert run("list", kind) == 0
        assert capsys.readouterr().out.split() == list(dict.fromkeys(name for _, name in names()))
    assert run("list", "envs") == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], ["train"]),
        (["--vers"], ["--version"]),
        (["study", "fig6_"], ["fig6_3m", "fig6_starcraft"]),
        (["study", "fig5", "--scale", ""], ["paper", "overnight", "small"]),
        (["train", "--timesteps"], ["--timesteps-per-agent"]),
        (["train", "--algo", "sac_"], ["sac_pr"]),
        (["train", "--config", "pend"], ["pendulum"]),
        (["train", "--env", "Hop"], ["Hopper-v5"]),
        (["compare", "--arms", "td3", "td3_no"], ["td3_noise"]),
        (["nothing", ""], []),
    ],
)
def test_completion_knows_commands_options_and_names(words, expected):
    assert candidates(words) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(tmp_path):
    command = tmp_path / "marl-pr"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m marl_pr_common.cli "$@"\n')
    command.chmod(0o755)
    line = "COMP_WORDS=(marl-pr stu); COMP_CWORD=1; _marl_pr"
    script = f'{SCRIPTS["bash"]}\nPATH={tmp_path}:$PATH; {line}; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "study\n"


@pytest.mark.slow
def test_quiet_says_nothing_and_verbose_more(tmp_path, capsys, in_process):
    file = write(tmp_path / "own.yaml", {**TABULAR, "seeds": 1, "tasks": {"Landmarks-2": {}}})
    said = {}
    for how in ([], ["-q"]):
        assert run("study", str(file), "--out", str(tmp_path / "out"), *how) == 0
        said["".join(how) or "plain"] = capsys.readouterr().err
    program = [
        sys.executable,
        "-m",
        "marl_pr_common.cli",
        "study",
        str(file),
        "--out",
        str(tmp_path / "out"),
        "--verbose",
    ]
    said["--verbose"] = warm.run(program).stderr
    assert said["-q"] == ""
    assert "Plan: 2 cells" in said["plain"]
    assert "steps_per_agent" not in said["plain"]
    assert "own.yaml" in said["--verbose"].split("Plan")[0]
    assert run("-q", "train", "--verbose") == 2


@pytest.mark.parametrize(
    "words",
    [
        ("study", "--jobs", "2", "quick", "--dry-run"),
        ("study", "--engine", "local", "quick", "--dry-run"),
        ("train", "--algo", "td3_pr", "-h"),
        ("study", "quick", "--jobs", "2", "-h"),
    ],
)
def test_a_word_after_an_options_value_is_no_value(words):
    assert run(*words) == 0


def test_a_dry_run_writes_no_report(capsys):
    assert run("study", "quick", "--report-only", "--dry-run") == 2
    assert "--dry-run with --report-only" in capsys.readouterr().err


def test_numbers_that_yaml_takes_for_text_are_told(capsys):
    assert run("train", "--env", "Pendulum-v1", "--env-kwargs", "g:1e-3") == 2
    assert "env_kwargs: g=1e-3 is text in YAML" in capsys.readouterr().err
