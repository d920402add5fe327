"""Names of folders and files that every system takes."""

import pytest

from marl_pr_common.runs.files import file_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("td3_pr-Hopper-v5-seed0", "td3_pr-Hopper-v5-seed0"),
        ("qmix-lbforaging:Foraging-8x8-2p-3f-v3-seed1", "qmix-lbforaging_Foraging-8x8-2p-3f-v3-seed1"),
        ("ALE/Pong-v5", "ALE_Pong-v5"),
        ("TD3, shared replay", "TD3_shared_replay"),
        ('a<b>c"d|e?f*g\\h', "a_b_c_d_e_f_g_h"),
        ("--help", "_--help"),
        (".hidden", "_.hidden"),
        ("..", "_"),
        ("NUL", "_NUL"),
        ("com1.txt", "_com1.txt"),
        ("dots...", "dots"),
        ("", "_"),
    ],
)
def test_what_a_name_may_not_hold_is_replaced(text, name):
    assert file_name(text) == name


def test_long_names_are_shortened_and_stay_apart():
    one, other = file_name("a" * 300 + "-seed0"), file_name("a" * 300 + "-seed1")
    assert one != other
    assert len(one) == len(other) <= 200
