"""``X_pr`` is the checkout's own ``X.yaml`` with a reciprocal learner and the ``pr_*`` keys, whatever it says."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from epymarl_pr.launch import derive, options
from epymarl_pr.launch.errors import UsageError
from epymarl_pr.launch.locate import Checkout
from epymarl_pr.transfer import table as transfer
from marl_pr_common import __version__
from tests.epymarl.hosts import ALGORITHMS


@pytest.fixture
def edited(checkout: Checkout, tmp_path: Path) -> Checkout:
    """A copy whose configurations may be edited."""
    shutil.copytree(checkout.src / "config", tmp_path / "src" / "config")
    return Checkout(tmp_path, checkout.commit)


def algs(checkout: Checkout) -> Path:
    return checkout.src / "config" / "algs"


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm(checkout: Checkout, name: str) -> None:
    own = derive.read(algs(checkout) / f"{name}.yaml")
    derived = derive.algorithm(checkout, f"{name}_pr", {})
    assert derived == {**own, **options.defaults(), "name": f"{name}_pr", "learner": "pr_" + own["learner"]}
    assert derived["pr_version"] == __version__
    assert derive.algorithm(checkout, name, {"lr": 0.1}) is None


def test_an_edit_of_the_users_is_followed(edited: Checkout) -> None:
    file = algs(edited) / "qmix_ns.yaml"
    file.write_text(file.read_text() + "\nlr: 0.123\nmy_own_key: [1, 2]\n")
    derived = derive.algorithm(edited, "qmix_ns_pr", {})
    assert derived is not None
    assert (derived["lr"], derived["my_own_key"]) == (0.123, [1, 2])


def test_a_new_algorithm_of_the_users_has_its_pr_too(edited: Checkout) -> None:
    (algs(edited) / "mine.yaml").write_text((algs(edited) / "vdn.yaml").read_text())
    derived = derive.algorithm(edited, "mine_pr", {})
    assert derived is not None
    assert (derived["name"], derived["learner"]) == ("mine_pr", "pr_q_learner")


def test_a_file_of_the_users_may_hold_the_keys(edited: Checkout) -> None:
    text = (algs(edited) / "mappo.yaml").read_text()
    (algs(edited) / "mine.yaml").write_text(text + "\npr_kappa: 0.25\npr_adjacency: resample\n")
    derived = derive.algorithm(edited, "mine", {"pr_rho": 3})
    assert derived is not None
    assert (derived["pr_kappa"], derived["pr_adjacency"], derived["pr_peers"]) == (0.25, "resample", "complete")
    assert derived["learner"] == "pr_ppo_learner"
    (algs(edited) / "wrong.yaml").write_text(text + "\npr_kappa: 2\n")
    with pytest.raises(UsageError, match="pr_kappa=2"):
        derive.algorithm(edited, "wrong", {})


@pytest.mark.parametrize("learner", ["pr_q_learner", "q_learner"])
def test_a_file_named_x_pr_wins_over_the_derived_one(edited: Checkout, learner: str) -> None:
    config = {**derive.read(algs(edited) / "qmix.yaml"), "learner": learner, "pr_kappa": 0.75, "lr": 0.5}
    (algs(edited) / "qmix_pr.yaml").write_text(yaml.safe_dump(config))
    derived = derive.algorithm(edited, "qmix_pr", {})
    assert derived is not None
    assert (derived["pr_kappa"], derived["lr"], derived["learner"]) == (0.75, 0.5, "pr_q_learner")


@pytest.mark.parametrize("suffix", ["", "_pr"])
@pytest.mark.parametrize("name", transfer.ALGORITHMS)
def test_transfer(edited: Checkout, name: str, suffix: str) -> None:
    found = transfer.ALGORITHMS[name]
    file = algs(edited) / f"{found.base}.yaml"
    file.write_text(file.read_text() + "\nlr: 0.123\n")
    derived = derive.algorithm(
        edited, name + suffix, {f"{found.kind}_batch_size": 7, "lr": 0.1} if name == "dvm" else {}
    )
    off = {} if suffix else {"pr_kappa": 0.0}
    added = {**options.defaults(), **off, **transfer.defaults(found.kind)}
    assert derived == {**derive.read(file), **added, "name": name + suffix, "learner": found.learner}
    assert derived["lr"] == 0.123


def test_transfer_keys_are_those_of_the_dataclasses_and_parse_to_themselves() -> None:
    for kind, config in transfer.CONFIGS.items():
        assert transfer.parse(yaml.safe_load(yaml.safe_dump(transfer.defaults(kind))), kind) == config()
        assert set(transfer.defaults(kind)) == {f"{kind}_{field.name}" for field in dataclasses.fields(config)}


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("qmx_pr", {}, "--config=qmx_pr: no such file.*Known: .*qmix_pr.*Did you mean qmix_pr"),
    ("qmx", {}, "Did you mean qmix"),
    ("coma_pr", {}, "coma.yaml uses learner 'coma_learner', which has no reciprocity"),
    ("qmix", {"pr_kappa": 0.5}, "pr_kappa with --config=qmix: .* Use --config=qmix_pr"),
    ("qmix_pr", {"pr_kappa": 1.5}, r"pr_kappa=1.5: expected a number in \[0, 1\]"),
    ("qmix_pr", {"pr_kapa": 0.5}, "unknown key pr_kapa.*Did you mean pr_kappa"),
    ("maddpg_pr", {"standardise_returns": True}, "standardise_returns=True with maddpg_learner"),
    ("mappo_ns_pr", {"pr_z": "Q"}, "pr_z=Q with ppo_learner"),
    ("matpf", {}, "Did you mean maptf"),
    ("/", {}, "--config=/: no such file"),
    ("x" * 300, {}, "no such file"),
    ("maptf", {"maptf_c4": 1}, "unknown key maptf_c4. Known keys: maptf_options, .*Did you mean maptf_c"),
    ("maptf_pr", {"maptf_xi": -1}, "maptf_xi=-1.0: expected a finite number >= 0"),
    ("maptf", {"pr_kappa": 0.5}, "pr_kappa with --config=maptf: .* Use --config=maptf_pr"),
    ("maptf_pr", {"pr_kapa": 0.5}, "unknown key pr_kapa.*Did you mean pr_kappa"),
    ("dvm", {"maptf_c1": 1.0}, "maptf_c1 with --config=dvm: it belongs to --config=maptf and maptf_pr"),
    ("maddpg_ns", {"dvm_episodes": 1}, "dvm_episodes with --config=maddpg_ns: it belongs to --config=dvm"),
    ("dvm", {"dvm_episodes": 0}, "dvm_episodes=0: expected an integer >= 1"),
    ("dvm", {"use_rnn": True}, "use_rnn=True with dvm: it needs use_rnn=False"),
    ("maptf_mappo", {"agent": "rnn"}, "agent=rnn with maptf: it needs agent=rnn_ns. .*nothing to transfer"),
    ("dvm_pr", {"standardise_returns": True}, "standardise_returns=True with maddpg_learner"),
    (
        "dvm_pr",
        {"pr_own_critics": True, "pr_adjacency": "same"},
        "pr_own_critics=True with dvm: .* pr_own_critics=False",
    ),
    ("maptf_mappo_pr", {"pr_z": "Q"}, "pr_z=Q with ppo_learner"),
]


@pytest.mark.parametrize("name, given, message", MISTAKES)
def test_mistakes(checkout: Checkout, name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        derive.algorithm(checkout, name, given)


@pytest.mark.parametrize("text, message", [("a: [", "is not valid YAML"), ("- 1", "holds list, expected")])
def test_a_broken_file_is_named(edited: Checkout, text: str, message: str) -> None:
    (algs(edited) / "mine.yaml").write_text(text)
    with pytest.raises(UsageError, match=f"mine.yaml {message}"):
        derive.algorithm(edited, "mine_pr", {})


def test_environments_of_ours_get_their_options_and_the_users_limit(checkout: Checkout) -> None:
    assert derive.environment(checkout, "gymma", {"env_args.key": "lbforaging:Foraging-8x8-2p-3f-v3"}) is None
    given = {"env_args.key": "epymarl_pr:pp-6-v0", "env_args.time_limit": 40}
    derived = derive.environment(checkout, "gymma", given)
    assert derived is not None
    assert derived["env_args"]["prey"] == "flee"
    assert derived["env_args"]["max_cycles"] == 40
    assert derived["test_nepisode"] == 100
    with pytest.raises(UsageError, match="--env-config=gyma.*Did you mean gymma"):
        derive.environment(checkout, "gyma", {})


def test_what_main_reads_is_what_was_derived(checkout: Checkout, tmp_path: Path) -> None:
    derived = derive.algorithm(checkout, "mappo_ns_pr", {"pr_kappa": 0.25})
    assert derived is not None
    name = derive.write(derived, tmp_path, "mappo_ns_pr")
    joined = checkout.src / "config" / "algs" / f"{name}.yaml"
    assert joined.parent == tmp_path
    assert yaml.load(joined.read_text(), Loader=yaml.FullLoader) == derived


def test_layers_lie_over_one_another_as_in_main() -> None:
    default, env = {"a": 1, "env_args": {}}, {"env_args": {"key": None, "time_limit": 100}, "a": 2}
    given = {"env_args.key": "pp", "a": 4}
    expected = {"a": 4, "env_args": {"key": "pp", "time_limit": 100}}
    assert derive.merged(default, env, {"a": 3}, given) == expected
    derive.merged(default, given)
    assert default == {"a": 1, "env_args": {}}


@pytest.mark.parametrize("by", ["path", "folder"])
def test_a_file_elsewhere_or_in_a_folder_of_the_checkout_stays_as_it_is(edited: Checkout, by: str) -> None:
    folder = algs(edited) / "sub" if by == "folder" else edited.root / "elsewhere"
    folder.mkdir()
    mine = folder / "mine.yaml"
    mine.write_text(text := f"# my notes\n{(algs(edited) / 'vdn.yaml').read_text()}")
    name = "sub/mine_pr" if by == "folder" else str(folder / "mine_pr")
    (written := edited.root / "derived").mkdir()
    for lr in (0.5, 0.25):  # edits are followed
        mine.write_text(edit := f"{text}\nlr: {lr}\n")
        derived = derive.algorithm(edited, name, {})
        assert derived is not None
        assert (derived["name"], derived["lr"]) == ("mine_pr", lr)
        file = Path(derive.write(derived, written, name) + ".yaml")
        assert derive.read(file) == derived
        assert file.parent == written
        assert mine.read_text() == edit
        assert [one.name for one in folder.iterdir()] == ["mine.yaml"]


def test_a_file_without_a_name_is_refused(edited: Checkout) -> None:
    (algs(edited) / "noname.yaml").write_text("learner: q_learner\n")
    with pytest.raises(UsageError, match="noname.yaml has no name"):
        derive.algorithm(edited, "noname", {})
