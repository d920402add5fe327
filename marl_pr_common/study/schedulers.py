"""Where cells run: on this machine, or on a cluster through an engine that is there already. No scheduler of ours.

local   joblib threads, each waiting for one cell's process at a time
ray     joblib's backend for Ray: a cluster that `ray start` made, else one on this machine
dask    joblib's backend for Dask: the scheduler that MARL_PR_DASK names, else one on this machine
slurm   submitit: a job array with one cell per task; its sbatch options come from MARL_PR_SLURM

A cell is a process of its own everywhere, so that joblib's process pool would add a second one that only waits. Only
the local engine runs short cells that may share a process one after the other, in one process for each job.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from marl_pr_common.study.processes import Ended, Running, run_cell

Engine = Literal["local", "slurm", "ray", "dask"]
DASK_ADDRESS = "MARL_PR_DASK"
"""Environment variable: address of a Dask scheduler, such as tcp://host:8786."""
SLURM_OPTIONS = "MARL_PR_SLURM"
"""Environment variable: options of submitit's executor, such as "slurm_partition=cpu timeout_min=600 mem_gb=4";
"cluster=local" runs the same jobs on this machine."""


def run_cells(
    engine: Engine, directories: Sequence[str], jobs: int, folder: Path, shared: Collection[str] = ()
) -> Generator[Ended, None, None]:
    """Run the cells, at most ``jobs`` at a time, and yield each when it has ended.

    Interrupted (or its generator closed), all cells are asked to save and end.

    :param folder: for the engine's own files
    :param shared: those that may share processes, see :meth:`marl_pr_common.study.hosts.Host.may_share`
    :raises ImportError: if the engine is not installed; the message says how to install it
    """
    if engine == "local":
        return _local(directories, jobs, shared)
    return _ENGINES[engine](directories, jobs, folder)


def require(engine: str) -> None:
    """Raise, before anything is written, if there is no such engine or it is not installed.

    :raises ValueError: for an unknown engine
    :raises ImportError: if its package is missing
    """
    if engine not in get_args(Engine):
        raise ValueError(f"engine={engine!r} is not one of {', '.join(get_args(Engine))}.")
    packages = {"ray": "ray", "dask": "distributed", "slurm": "submitit"}
    if engine in packages:
        _import(packages[engine], engine)


def _local(directories: Sequence[str], jobs: int, shared: Collection[str]) -> Generator[Ended, None, None]:
    from joblib import Parallel, delayed

    running = Running()
    parallel = Parallel(n_jobs=jobs, backend="threading", batch_size=1, return_as="generator_unordered")
    try:
        yield from parallel(delayed(running.run)(directory, share=directory in shared) for directory in directories)
        running.close()
    except BaseException:
        running.stop()
        raise


def _ray(directories: Sequence[str], jobs: int, folder: Path) -> Generator[Ended, None, None]:
    ray = _import("ray", "ray")
    from joblib import Parallel, delayed, parallel_config
    from ray.util.joblib import register_ray

    register_ray()
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        limits = {} if address else {"num_cpus": jobs, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level="warning", **limits)
    with parallel_config(backend="ray", n_jobs=jobs):
        yield from Parallel(batch_size=1)(delayed(run_cell)(directory) for directory in directories)


def _dask(directories: Sequence[str], jobs: int, folder: Path) -> Generator[Ended, None, None]:
    distributed = _import("distributed", "dask")
    address = os.environ.get(DASK_ADDRESS)
    here = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None, "local_directory": str(folder)}
    with distributed.Client(address) if address else distributed.Client(**here) as client:
        futures = client.map(run_cell, list(directories), pure=False, retries=0)
        try:
            for future in distributed.as_completed(futures):
                yield future.result()
        finally:
            client.cancel(futures)


def _slurm(directories: Sequence[str], jobs: int, folder: Path) -> Generator[Ended, None, None]:
    submitit = _import("submitit", "slurm")
    options = dict(item.split("=", 1) for item in shlex.split(os.environ.get(SLURM_OPTIONS, "")))
    executor = submitit.AutoExecutor(folder=str(folder / "submitit" / "%j"), cluster=options.pop("cluster", None))
    given = {key: int(value) if value.isdigit() else value for key, value in options.items()}
    limits = {"cpus_per_task": 1, "timeout_min": 24 * 60, "slurm_array_parallelism": jobs}
    executor.update_parameters(**{**limits, **given})
    submitted = executor.map_array(run_cell, list(directories))
    try:
        for job in submitit.helpers.as_completed(submitted):
            yield _result(job, directories[submitted.index(job)])
    except BaseException:
        for job in submitted:
            with contextlib.suppress(Exception):
                job.cancel()
        raise


def _result(job: Any, directory: str) -> Ended:
    """What a job of submitit's returned; one that the cluster ended is a failed cell with the cluster's words."""
    try:
        result: Ended = job.result()
    except Exception as error:  # submitit raises what it likes; the study goes on
        return Ended(directory, "failed", 0.0, f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}")
    return result


def _import(package: str, engine: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f'engine {engine} needs {package}, which is not installed: pip install "marl-pr[{engine}]".'
        ) from error


_ENGINES: dict[str, Callable[[Sequence[str], int, Path], Generator[Ended, None, None]]] = {
    "slurm": _slurm,
    "ray": _ray,
    "dask": _dask,
}
