"""The command line: options from the dataclasses, files as defaults, one clear line for wrong input."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from marl_pr_common import cli
from marl_pr_common.cli import demo
from marl_pr_common.cli import findings as doctor
from marl_pr_common.reciprocity import ReciprocityConfig
from sb3_pr.cli import train
from sb3_pr.study.config import TrainConfig

HEAVY = ("torch", "stable_baselines3", "jax", "pettingzoo", "pysc2", "matplotlib", "pandas")


def run(*arguments: str) -> int:
    return cli.main(arguments)


def parse(monkeypatch, module, *arguments):
    """The command that these arguments build, not run."""
    seen = []
    monkeypatch.setattr(module.Command, "run", lambda self: seen.append(self) or 0)
    assert run(*arguments) == 0
    return seen[0]


def test_files_give_defaults_and_flags_override_them(monkeypatch, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("tau: 0.5\ngamma: 0.9\npr:\n  kappa: 0.25\n  rho: 2\n")
    command = parse(
        *(monkeypatch, train, "train", "--config", str(path), "--out", "x", "--gamma", "0.8", "--kappa", "0.75")
    )
    assert command.out == Path("x")
    assert (command.train.tau, command.train.gamma) == (0.5, 0.8)
    assert command.train.pr == ReciprocityConfig(kappa=0.75, rho=2)


def test_without_a_file_the_dataclass_gives_the_defaults(monkeypatch):
    assert parse(monkeypatch, train, "train", "--out", "x").train == TrainConfig()
    assert parse(monkeypatch, demo, "demo").seeds == tuple(range(10))


def test_help_lists_and_documents_every_option(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stop:
        run("train", "--help")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in (*dataclasses.fields(TrainConfig), *dataclasses.fields(ReciprocityConfig)):
        if field.name != "pr":
            assert f"--{field.name.replace('_', '-')}" in text
    assert "Polyak factor of the target networks" in text


def test_help_of_compare_leaves_out_what_the_arms_decide(capsys):
    with pytest.raises(SystemExit):
        run("compare", "--help")
    text = capsys.readouterr().out
    assert "--algo" not in text
    assert "--seed " not in text
    assert "--shared-replay" not in text
    assert "--kappa" in text


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_help_and_package_load_nothing_heavy(arguments):
    script = (
        "import sys, marl_pr_common, marl_pr_common.cli as cli\n"
        f"try: cli.main({arguments!r})\n"
        "except SystemExit: pass\n"
        f"sys.exit(str([name for name in {HEAVY!r} if name in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert "usage: marl-pr" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--config", "pendulun"], "Did you mean 'pendulum'"),
        (["train", "--config", "BAD"], "unknown key 'taau'"),
        (["train", "--kappa", "2.0"], "kappa=2.0"),
        (["train", "--algo", "td4"], "td3_pr"),
        (["train", "--taau", "1"], "taau"),
        (["train", "--env", "Nope-v1"], "env='Nope-v1' cannot be made"),
        (["train", "--env", "predatorprey-3"], "CooperativeNavigation-N-maptf and PredatorPrey-N"),
        (["train", "--env", "CartPole-v1"], "continuous actions"),
        (["compare", "--arms", "td4"], "'td4' is not one of"),
        (["plot", "nowhere"], "nowhere does not exist"),
    ],
)
def test_wrong_input_is_exit_code_2_and_no_stack_trace(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("MARL_PR_DEBUG", raising=False)
    bad = tmp_path / "bad.yaml"
    bad.write_text("taau: 1\n")
    out = tmp_path / "out"
    given = [str(bad) if argument == "BAD" else argument for argument in arguments]
    try:
        code = run(*given, "--out", str(out))
    except SystemExit as stop:  # tyro's own refusal
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert message in captured.err.replace("\n", " ")
    assert "Traceback" not in captured.err + captured.out
    assert not out.exists()


def test_an_existing_directory_is_one_line_and_stays(capsys, tmp_path):
    (tmp_path / "model.zip").write_text("precious")
    assert run("train", "--config", "pendulum", "--out", str(tmp_path)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "already exists" in error
    assert (tmp_path / "model.zip").read_text() == "precious"


def test_debug_shows_the_stack(tmp_path):
    with pytest.raises(FileNotFoundError):
        run("--debug", "train", "--config", "nowhere", "--out", str(tmp_path / "out"))


def test_doctor_reports_and_passes_here(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("EPYMARL_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    assert run("doctor") == 0
    text = capsys.readouterr().out
    assert "stable-baselines3" in text
    assert "not an EPyMARL checkout" in text


def test_doctor_fails_when_the_core_is_broken(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tyro", None)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["tyro"].state == "broken"
    assert findings["tyro"].advice
    assert findings["numpy"].state == "ok"


def test_doctor_finds_a_downgraded_dependency(monkeypatch):
    real = doctor._installed
    monkeypatch.setattr(doctor, "_installed", lambda name: "0.26.3" if name == "gymnasium" else real(name))
    conflicts = [finding for finding in doctor.examine() if finding.state == "conflict"]
    for name in ("stable-baselines3", "supersuit"):
        pytest.importorskip(name.replace("-", "_"))
        assert any(finding.name == name and "found 0.26.3" in finding.detail for finding in conflicts)
    assert all("gymnasium" in finding.advice for finding in conflicts if "0.26.3" in finding.detail)


def test_doctor_reports_engines_that_are_only_folders_or_have_no_metadata(tmp_path, monkeypatch):
    """Clones in the current directory are importable as namespaces; one on the path has no version."""
    (tmp_path / "smac").mkdir()
    (tmp_path / "path" / "smacv2").mkdir(parents=True)
    (tmp_path / "path" / "smacv2" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "path"), "", *sys.path])
    found = {finding.name: finding for finding in doctor.examine() if finding.group == "engine"}
    assert found["SMAC"].state == "absent"
    assert found["SMACv2"].state == "ok"
    assert "smacv2 " in found["SMACv2"].detail


def epymarl():
    """What the doctor found of EPyMARL's checkout."""
    return next(finding for finding in doctor.examine() if finding.name == "EPyMARL")


@pytest.mark.parametrize("place", ["home", "here", "parent", "below"])
def test_doctor_finds_an_epymarl_checkout(tmp_path, monkeypatch, place):
    monkeypatch.delenv("EPYMARL_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    checkout = tmp_path / "work" / "epymarl"
    (checkout / "src" / "config" / "algs").mkdir(parents=True)
    (checkout / "src" / "main.py").touch()
    monkeypatch.chdir({"here": checkout, "parent": checkout / "src", "below": checkout.parent}.get(place, tmp_path))
    if place == "home":
        assert epymarl().state == "absent"
        monkeypatch.setenv("EPYMARL_HOME", str(checkout))
    found = epymarl()
    assert found.state == "ok"
    assert f"checkout at {checkout}, commit unknown; tested with cbc38c0" in found.detail
    assert found.advice == f"git -C {checkout} checkout cbc38c0"


def test_doctor_goes_on_without_the_parts_of_epymarl(monkeypatch):
    monkeypatch.setitem(sys.modules, "epymarl_pr", None)
    assert epymarl().state == "conflict"
    hosts = {finding.name: finding for finding in doctor.examine() if finding.group == "host"}
    assert {"sacred", "click", "imageio", "EPyMARL"} <= hosts.keys()


def test_the_command_is_installed_under_its_name():
    pyproject = Path(cli.__file__).parents[2] / "pyproject.toml"
    assert 'marl-pr = "marl_pr_common.cli:main"' in pyproject.read_text()


@pytest.mark.parametrize(
    ("name", "said"), [("stable_baselines3", 'pip install "marl-pr[sb3]"'), ("marl_pr_common.runs", "installed anew")]
)
def test_what_to_do_about_a_module_that_cannot_be_imported(name, said, monkeypatch, capsys):
    def broken(*_):
        raise ImportError("no such name", name=name)

    monkeypatch.setattr("marl_pr_common.cli._command", broken)
    assert run("list") == 2
    assert said in capsys.readouterr().err
