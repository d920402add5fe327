"""Any content of a configuration file: a configuration, or an error that names the key. Never a stack trace."""

import dataclasses
import string
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marl_pr_common.cli import main
from marl_pr_common.config.shipped import load_config
from marl_pr_common.reciprocity import ReciprocityConfig
from sb3_pr.study.config import TrainConfig

KEYS = [field.name for field in dataclasses.fields(TrainConfig)]
PR_KEYS = [field.name for field in dataclasses.fields(ReciprocityConfig)]
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), 2**63, 1e308, -0.0, float("nan")])
TEXTS = st.text(max_size=8) | st.sampled_from(["1e-3", "nan", "inf", "-1", "1_0", "td3", "true", "٣", "1e999", "0x10"])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | st.dates()
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXTS, v, max_size=2), max_leaves=5)
LINES = st.text(alphabet=string.printable + "äß\u2028\x00\ufeff", max_size=60)


def outcome(text):
    """None for a valid file, else the error's message; anything but a ValueError fails the test."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fuzz.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        try:
            load_config(TrainConfig, str(path))
        except ValueError as error:
            return str(error)
    return None


SETTINGS = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_of_any_key(key, value):
    message = outcome(yaml.safe_dump({key: value}, allow_unicode=True))
    assert message is None or key in message


@SETTINGS
@given(st.sampled_from(PR_KEYS), VALUES)
def test_any_value_of_any_option_of_pr(key, value):
    message = outcome(yaml.safe_dump({"pr": {key: value}}, allow_unicode=True))
    assert message is None or key in message


@SETTINGS
@given(TEXTS, VALUES)
def test_any_key(key, value):
    message = outcome(yaml.safe_dump({key: value}, allow_unicode=True))
    assert message is not None or key in KEYS
    assert message is None or repr(key)[1:-1] in message or key in message or "key" in message


@SETTINGS
@given(st.sampled_from([*KEYS, "pr"]), LINES)
def test_any_text_behind_a_key(key, text):
    message = outcome(f"{key}: {text}\n")
    assert message is None or message.strip()


@SETTINGS
@given(st.binary(max_size=80))
def test_any_bytes(content):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fuzz.yaml"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"fuzz\.yaml"):
            load_config(TrainConfig, str(path))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from([key for key in KEYS if key != "env"]), value=VALUES)
def test_the_command_line_says_it_in_one_line(key, value, tmp_path, capsys):
    path = tmp_path / "fuzz.yaml"
    path.write_text(yaml.safe_dump({key: value}))
    if outcome(path.read_text()) is None:
        return
    assert main(["train", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert key in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
