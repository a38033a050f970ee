"""Every kind of measure gives the same bytes in a process of its own as in this one."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import grokprobe

MEASURES = {
    "probes": ["fourier", "weights@null", "hessian", "progress"],
    "compressors": ["magnitude", "fisher@by_layer"],
    "geometry": ["euclidean", "fisher@stiff"],
}
SMALL = ["task.p=5", "model.hidden=6"]
CHEAP = ["hessian.num_iterations=5", "weights@null.num_draws=2"]


def read_files(store: Path) -> dict[str, bytes]:
    files = (path for path in sorted(store.rglob("*")) if path.is_file() and ".grokprobe" not in path.parts)
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def test_a_process_of_its_own_writes_the_same_bytes(tmp_path: Path) -> None:
    grokprobe.train(
        "modular_addition/demo",
        out=tmp_path / "runs",
        init_scales=[1.0],
        epochs=4,
        settings=[*SMALL, 'schedule.checkpoints=["every 2"]'],
    )
    options = {**MEASURES, "settings": CHEAP}
    here = grokprobe.analyze(tmp_path / "runs", out=tmp_path / "here.zarr", **options)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = grokprobe.analyze(tmp_path / "runs", out=tmp_path / "there.zarr", executor=pool, **options)
    assert (here.failures, there.failures) == ((), ())
    measured = here.experiments[0].measured
    assert {f"{kind}/{label}" for kind, labels in MEASURES.items() for label in labels} <= set(measured)
    assert read_files(tmp_path / "here.zarr") == read_files(tmp_path / "there.zarr")
