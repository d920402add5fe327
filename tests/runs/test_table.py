"""The results table: whole or absent, kept when a run goes on, refused when it is another's."""

from __future__ import annotations

from dataclasses import asdict, replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marl_pr_common.results.comparable import comparable
from marl_pr_common.runs import table as runs
from marl_pr_common.runs.table import COLUMNS, RESULTS, SCHEMA, TEAM, Clock, ResultsWriter, RunIdentity, read_results

IDENTITY = RunIdentity("td3-seed0", "td3", "Pendulum-v1", "stable-baselines3 2.9.2", 0)


EVALUATION = "10 episodes per agent, deterministic, seed 10000 + seed"


def clock(steps: int) -> Clock:
    return Clock(steps, 3 * steps, steps // 2, 1.5, 1.25)


def test_rows_come_back_with_every_column(tmp_path):
    writer = ResultsWriter(tmp_path, IDENTITY)
    writer.append(clock(100), {"eval/return": -3.5, "eval/length": 200}, agent=2)
    writer.append(clock(100), {"train/critic_loss": 0.25})
    writer.flush()
    table = read_results([tmp_path])
    assert tuple(table.columns) == COLUMNS
    first = table.iloc[0]
    assert (first["arm"], first["agent"], first["total_env_steps"], first["updates"]) == ("td3", 2, 300, 50)
    assert list(table["value"]) == [-3.5, 200.0, 0.25]
    assert list(table["agent"]) == [2, 2, TEAM]


def test_a_second_writer_keeps_the_first_ones_rows(tmp_path):
    for steps in (100, 200):
        writer = ResultsWriter(tmp_path, IDENTITY)
        writer.append(clock(steps), {"eval/return": float(steps)}, agent=0)
        writer.flush()
    assert list(read_results([tmp_path])["value"]) == [100.0, 200.0]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    writer = ResultsWriter(tmp_path, IDENTITY)
    writer.append(clock(100), {"eval/return": 1.0}, agent=0)
    writer.flush()
    before = (tmp_path / RESULTS).read_bytes()

    def half_written(table, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(runs.pq, "write_table", half_written)
    writer.append(clock(200), {"eval/return": 2.0}, agent=0)
    with pytest.raises(OSError, match="disk full"):
        writer.flush()
    assert (tmp_path / RESULTS).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [RESULTS]


def test_runs_below_a_directory_are_concatenated(tmp_path):
    for seed in (0, 1):
        directory = tmp_path / f"seed{seed}"
        writer = ResultsWriter(directory, RunIdentity(f"td3-seed{seed}", "td3", "Pendulum-v1", "sb3", seed))
        writer.append(clock(100), {"eval/return": float(seed)}, agent=0)
        writer.flush()
    assert list(read_results([tmp_path])["seed"]) == [0, 1]
    assert len(read_results([tmp_path / "seed0", tmp_path / "seed0" / RESULTS])) == 1


def test_what_an_interrupted_run_left_counts_only_by_name(tmp_path):
    for name, value in (("td3-seed0", 1.0), ("td3-seed0.incomplete-1", 2.0), ("td3-seed0.incomplete-2", 3.0)):
        writer = ResultsWriter(tmp_path / "cells" / name, IDENTITY)
        writer.append(clock(100), {"eval/return": value}, agent=0)
        writer.flush()
    assert list(read_results([tmp_path])["value"]) == [1.0]
    assert list(read_results([tmp_path / "cells" / "td3-seed0.incomplete-2"])["value"]) == [3.0]


def test_the_same_run_from_two_places_is_refused(tmp_path):
    for name in ("a", "b"):
        writer = ResultsWriter(tmp_path / name, IDENTITY)
        writer.append(clock(100), {"eval/return": 1.0}, agent=0)
        writer.flush()
    with pytest.raises(ValueError, match=r"two files.*td3-seed0"):
        read_results([tmp_path])


def version_1(path, values=(1.0,)):
    """A file as releases before the column ``evaluation`` wrote it."""
    schema = SCHEMA.remove(SCHEMA.get_field_index("evaluation"))
    schema = schema.with_metadata({b"schema": runs.SCHEMA_NAME, b"version": b"1"})
    row = asdict(IDENTITY) | {"agent": 0} | asdict(clock(100)) | {"metric": "eval/return"}
    del row["evaluation"]
    pq.write_table(pa.Table.from_pylist([row | {"value": value} for value in values], schema=schema), path)


def test_files_of_version_1_are_read_and_their_evaluation_is_unknown(tmp_path):
    version_1(tmp_path / RESULTS)
    table = read_results([tmp_path])
    assert tuple(table.columns) == COLUMNS
    assert list(table["evaluation"]) == [""]


def test_a_run_that_goes_on_has_one_evaluation(tmp_path):
    version_1(tmp_path / RESULTS)
    writer = ResultsWriter(tmp_path, replace(IDENTITY, evaluation=EVALUATION))
    writer.append(clock(200), {"eval/return": 2.0}, agent=0)
    writer.flush()
    assert list(read_results([tmp_path])["evaluation"]) == [EVALUATION] * 2


def test_half_a_file_is_an_error_by_name_or_a_note_where_many_are_read(tmp_path):
    for seed in (0, 1, 2):
        identity = replace(IDENTITY, run=f"td3-seed{seed}", seed=seed)
        writer = ResultsWriter(tmp_path / f"seed{seed}", identity)
        writer.append(clock(100), {"eval/return": float(seed)}, agent=0)
        writer.flush()
    broken = tmp_path / "seed1" / RESULTS
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"seed1.results\.parquet is not a readable Parquet file.*in part"):
        read_results([tmp_path])
    skipped = []
    assert list(read_results([tmp_path], skipped)["seed"]) == [0, 2]
    assert len(skipped) == 1
    assert str(broken) in skipped[0]
    with pytest.raises(ValueError, match="seed1"):  # named, not found: an error all the same
        read_results([broken], [])
    for seed in (0, 2):
        (tmp_path / f"seed{seed}" / RESULTS).write_bytes(b"")
    with pytest.raises(ValueError, match="None of 3 files"):
        read_results([tmp_path], [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["agent"]), r"missing columns \['agent'\]"),
        (lambda table: table.append_column("reward", table["value"]), r"unknown columns \['reward'\]"),
        (lambda table: table.replace_schema_metadata({"version": "9"}), "schema version b'9'"),
    ],
)
def test_another_schema_is_refused_by_name(tmp_path, change, message):
    row = {name: ["x"] if SCHEMA.field(name).type == pa.string() else [0] for name in COLUMNS}
    pq.write_table(change(pa.table(row, schema=SCHEMA)), tmp_path / RESULTS)
    with pytest.raises(ValueError, match=message):
        read_results([tmp_path])


def test_a_column_of_another_type_is_refused(tmp_path):
    frame = pd.DataFrame([dict.fromkeys(COLUMNS, "text")])
    with pytest.raises(ValueError, match="results schema"):
        runs.write_results(tmp_path / RESULTS, frame)
    assert not (tmp_path / RESULTS).exists()


def test_missing_results_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_results([tmp_path / "nowhere"])
    with pytest.raises(FileNotFoundError, match="no run has written results"):
        read_results([tmp_path])
    (tmp_path / RESULTS).write_text("not parquet")
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        read_results([tmp_path])


@pytest.mark.parametrize("column", ["task", "seed", "arm", "evaluation"])
def test_an_empty_cell_is_named_and_a_table_of_other_programs_is_read(tmp_path, make_results, column):
    results = make_results(lambda arm, seed, agent, steps: 1.0, 3)
    results.to_parquet(tmp_path / RESULTS)
    pd.testing.assert_frame_equal(read_results([tmp_path]), results)
    with pytest.raises(ValueError, match=rf"\d+ of \d+ rows of results have nothing in the column {column}"):
        comparable(results.assign(**{column: results[column].where(results["seed"] != 1)}))
