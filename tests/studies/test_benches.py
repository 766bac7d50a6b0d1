"""The benches in small: their clocks and their sums by hand, exchanged files, and the peers where there are any."""

from __future__ import annotations

import ast
import dataclasses
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.data.interactions import Split
from recx.data.sources.planted import Planted
from recx.data.splits.leave_one_out import LeaveOneOut
from recx.engine import benches
from recx.studies import _bench_edited, _bench_rank, _bench_rules, _bench_scale, _bench_train, _peers
from recx.studies._bench_train import Case, Run, Stopwatch

needs_peers = pytest.mark.skipif(not _peers.here(), reason="no peers in .venv-bench: run `make install-bench`")


def small_split() -> Split:
    return LeaveOneOut().split(Planted(users=60, items=120).load(), 0)


def test_the_benches_are_found() -> None:
    assert {"train", "rank", "edited", "rules", "scale"} <= set(benches.names())


# -- clocks and sums


def test_a_stopwatch_leaves_out_what_lies_between_the_last_batch_and_the_end_of_an_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two epochs of 2 and 3 s with checks of 3 and 0.5 s; the processor's clock runs at half the speed."""
    times = iter([0.0, 1.0, 2.0, 5.0, 5.0, 6.0, 8.0, 8.5, 8.5])
    monkeypatch.setattr(Stopwatch, "_now", staticmethod(lambda: (now := next(times), now / 2)))
    told: list[str] = []
    watch = Stopwatch(lambda fraction, message="": told.append(message))
    for message in ("epoch 1: batch 1", "epoch 1: batch 2", "epoch 1: loss 1", "epoch 2: batch 1", "epoch 2: batch 2"):
        watch(0.0, message)
    watch(1.0, "epoch 2: loss 1")
    assert watch.epochs == [(2.0, 1.0), (3.0, 1.5)]
    assert len(told) == 6


def made(quality: list[float], seconds: float, pairs: int = 1000) -> Run:
    run = Run(pairs)
    for value in quality:
        run.add(seconds, seconds / 2, value)
    return run


def test_seconds_to_a_target_are_those_of_all_epochs_up_to_the_first_that_reaches_it() -> None:
    run = made([0.1, 0.3, 0.2, 0.4], 2.0)
    assert [run.seconds_to(target) for target in (0.05, 0.1, 0.25, 0.4, 0.5)] == [2.0, 2.0, 4.0, 8.0, math.inf]
    assert run.per_million(run.seconds) == 2.0 * 1000


@pytest.mark.parametrize(
    ("quality", "limits", "goes_on"),
    [
        ([0.1, 0.2, 0.2], (10, 2, 100.0), True),
        ([0.1, 0.2, 0.2, 0.1], (10, 2, 100.0), False),
        ([0.1, 0.2], (2, 5, 100.0), False),
        ([0.1, 0.2], (10, 5, 4.0), False),
    ],
)
def test_a_peer_goes_on_until_patience_epochs_or_seconds_are_used_up(
    quality: list[float], limits: tuple[int, int, float], goes_on: bool
) -> None:
    assert made(quality, 2.0).goes_on(*limits) is goes_on


def test_a_row_compares_times_to_95_percent_of_the_lower_best() -> None:
    """Bests .40 and .20: the target is .19, reached by ours after 2 s (median of 1, 2, 3), by theirs after 8 s."""
    case = Case("sasrec", {}, "recbole", {}, "ml-100k", 2.0)
    ours = [made([0.1] * before + [0.4], 1.0) for before in (0, 1, 2)]
    theirs = [made([0.1, 0.2], 4.0, pairs=500)]
    row = _bench_train.compared(case, ours, theirs)
    assert row["target"] == pytest.approx(0.19)
    assert (row["ours_s"], row["baseline_s"], row["ratio"]) == (2.0, 8.0, 4.0)
    assert (row["ours_s_per_million"], row["baseline_s_per_million"], row["ratio_per_million"]) == (1000.0, 8000.0, 8.0)


def test_each_case_gives_both_sides_the_same_sizes() -> None:
    same = {"dim": "n_factors", "blocks": "n_blocks", "heads": "n_heads", "max_len": "session_max_len"}
    same |= {"dropout": "dropout_rate", "batch": "batch_size", "lr": "lr"}
    recbole = {"dim": "hidden_size", "blocks": "n_layers", "heads": "n_heads", "max_len": "MAX_ITEM_LIST_LENGTH"}
    recbole |= {"layers": "num_layers", "lr": "learning_rate", "factors": "embedding_size"}
    for case in _bench_train.cases():
        names = same if case.peer == "rectools" else recbole
        shared = {name: theirs for name, theirs in names.items() if name in case.settings}
        assert len(shared) >= (1 if case.model == "bpr" else 4)
        assert {n: case.settings[n] for n in shared} == {n: case.config[theirs] for n, theirs in shared.items()}


# -- exchanged files


def test_recbole_is_given_training_validation_and_test_items_in_order(tmp_path: Path) -> None:
    split = small_split()
    _peers.write_recbole(split, tmp_path, "data")
    head, *lines = (tmp_path / "data" / "data.inter").read_text().splitlines()
    assert head == "user_id:token\titem_id:token\ttimestamp:float"
    rows = sorted((int(user), int(place), int(item)) for user, item, place in (line.split("\t") for line in lines))
    user = int(split.test.users[7])
    expected = [*split.train.history(user), split.valid.targets[7, 0], split.test.targets[7, 0]]
    assert [(place, item) for one, place, item in rows if one == user] == list(enumerate(expected))
    assert len(rows) == len(split.train) + len(split.valid) + len(split.test)


def test_absent_peers_are_named_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_peers, "PYTHON", tmp_path / "bin" / "python")
    with pytest.raises(BadInput, match="make install-bench"), _peers.running("implicit_rank", tmp_path, {}, threads=1):
        pass


def test_a_peer_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by our own Python, which has no `implicit`."""
    monkeypatch.setattr(_peers, "PYTHON", Path(sys.executable))
    with (
        _peers.running("implicit_rank", tmp_path, {}, threads=1) as peer,
        pytest.raises(RuntimeError, match=r"(?s)implicit_rank ended.*No module named 'implicit'"),
    ):
        peer.hear()
    assert peer.process.poll() is not None


def test_a_peer_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """A runner that would sleep for a minute; whoever started it ends at once without a word."""
    runner = f"import sys; sys.path.insert(0, {str(_peers.ROOT / 'peers')!r}); import _wire, time; time.sleep(60)"
    start = f"""if True:
        import json, os, pathlib, subprocess
        pathlib.Path({str(tmp_path / "settings.json")!r}).write_text(json.dumps({{"parent": os.getpid()}}))
        command = [{sys.executable!r}, "-c", {runner!r}, {str(tmp_path)!r}]
        print(subprocess.Popen(command, stdout=subprocess.DEVNULL).pid)"""
    done = subprocess.run([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True, check=True, timeout=30)
    assert _gone(int(done.stdout.split()[0]), 20.0)


def _gone(pid: int, seconds: float) -> bool:
    """Whether a process ends within some seconds."""
    try:
        psutil.Process(pid).wait(seconds)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        psutil.Process(pid).kill()
        return False
    return True


def test_peers_import_what_is_pinned_and_never_recx() -> None:
    lines = (_peers.ROOT / "requirements-bench.txt").read_text("utf-8").splitlines()
    pinned = {match[1].lower() for line in lines if (match := re.match(r"([\w-]+)(?:\[\w+\])?==", line))}
    pinned |= {"surprise", "pytorch_lightning"}  # modules of scikit-surprise and of rectools[torch]
    found = set()
    for file in sorted((_peers.ROOT / "peers").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found |= {n.split(".")[0] for n in [*names, *([node.module] if isinstance(node, ast.ImportFrom) else [])]}
    assert {"recbole", "rectools", "implicit", "surprise"} <= found
    assert found - set(sys.stdlib_module_names) - {"_wire"} <= pinned


# -- edited histories


def small_get(recipe: Any) -> Any:
    return small_split()


def test_the_slow_form_of_edited_histories_gives_the_same_scores() -> None:
    found = _bench_edited.run(
        get=small_get,
        dataset="planted",
        edits=40,
        slow_edits=30,
        settings={"epochs": 1, "max_seconds": 1.0, "max_len": 12, "dim": 8},
        device="cpu",
    )
    assert found["max_abs_diff"] < 1e-5  # float32 sums of 8 to 12 terms in another order
    assert found["ours_s"] > 0
    assert "40 edited histories" in found["work"]


def test_rules_are_those_of_both_miners() -> None:
    found = _bench_rules.run(get=lambda recipe: small_split().train, dataset="planted", min_support=0.1, rounds=2)
    assert found["rules"] > 50
    assert found["max_abs_diff"] < 1e-6  # counts are whole numbers; mlxtend divides supports, we divide counts
    assert set(found["miners"]) == {"fpgrowth", "apriori"}
    assert found["baseline_s"] == min(found["miners"].values())


def test_a_rule_that_only_one_side_has_fails_the_bench() -> None:
    measures = {"support": 0.1, "confidence": 0.5, "lift": 2.0, "leverage": 0.05}
    one, other = ({"item": 1, "target": target} | measures for target in (2, 3))
    assert _bench_rules.difference(pd.DataFrame([one]), pd.DataFrame([one])) == 0
    with pytest.raises(RuntimeError, match="not the same rules"):
        _bench_rules.difference(pd.DataFrame([one]), pd.DataFrame([other]))


def test_edits_delete_one_to_twenty_items_of_the_window() -> None:
    keep = _bench_edited._edits(500, 300, 200)
    gone = (~keep).sum(1)
    assert (int(gone.min()), int(gone.max())) == (1, 20)
    assert keep[:, :100].all()
    assert len(keep.unique(dim=0)) > 490


# -- with the peers


@needs_peers
@pytest.mark.slow
def test_recbole_and_rectools_learn_from_our_split() -> None:
    """Both sides of every case, two epochs on a small world; the runner checks pairs and held-out items itself."""
    quick = [dataclasses.replace(case, dataset="planted", epochs=2) for case in _bench_train.cases(10)]
    found = _bench_train.run(get=small_get, only=tuple(quick), repeats=1, device="cpu")
    assert [row["baseline_epochs"] for row in found["cases"]] == [[2]] * len(quick)
    train = small_split().train
    n = np.diff(train.offsets)
    pairs = [np.minimum(n - 1, 10).sum(), (n - 1).sum(), (n - 1).sum(), len(train)]
    assert [row["baseline_pairs"] for row in found["cases"]] == pairs
    assert found["ratio"] == min(found["cases"], key=lambda row: row["ratio"] / row["wanted"])["ratio"]


@needs_peers
@pytest.mark.slow
def test_another_split_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation targets are the test items on our side only."""
    split = small_split()
    other = dataclasses.replace(split, valid=dataclasses.replace(split.valid, targets=split.test.targets))
    case = dataclasses.replace(_bench_train.cases(10)[1], epochs=1)
    write = _peers.write_recbole
    monkeypatch.setattr(_peers, "write_recbole", lambda _, folder, name: write(split, folder, name))
    with pytest.raises(RuntimeError, match="other validation items"):
        _bench_train._theirs(case, other, torch.device("cpu"), 0, (1, 1, 60.0), quiet)


@needs_peers
@pytest.mark.slow
def test_ranking_equals_implicit() -> None:
    found = _bench_rank.run(get=small_get, dataset="planted", rounds=2, models=())
    assert found["max_abs_diff"] < 1e-4  # float32 products of 64 terms, another order of summation
    assert found["different_items"] == 0


@pytest.mark.slow
@pytest.mark.data("ml-1m")
def test_a_full_evaluation_of_ml_1m_stays_below_two_gigabytes() -> None:
    found = _bench_rank._peak("ml-1m", "sasrec")
    assert found["users"] > 6000
    assert 200 < found["peak_mb"] < _bench_rank.MOST_MB  # torch alone is 200 MB: less would be no measurement


@pytest.mark.data("ml-100k")
def test_bench_minimal_compares_the_same_search_and_a_better_answer() -> None:
    from recx.studies import _bench_minimal

    told = _bench_minimal.run(users=4, slow_pairs=1, steps=100, slow_steps=10, max_calls=100, settings={"epochs": 8})
    assert told["ratio"] == pytest.approx(told["baseline_s"] / told["ours_s"], rel=0.2)
    assert told["f_ns"] >= told["lcer_f_ns"]
    assert told["max_abs_diff"] < 1e-4


def test_slopes_are_powers_of_the_size() -> None:
    """Through three points at equal steps least squares has the slope of the outer two."""
    cases = [
        {"axis": "items", "size": size, "explainer": "one", "ms_per_pair": ms}
        for size, ms in ((10, 2.0), (100, 16.0), (1000, 250.0))
    ]
    assert _bench_scale.slope(cases, "one", "items") == pytest.approx(math.log10(250 / 2) / 2)
    assert _bench_scale.slope(cases, "one", "items", 2) == pytest.approx(math.log10(250 / 16))


def test_the_most_memory_is_that_held_above_the_start() -> None:
    with _bench_scale.peak() as most:
        held = torch.ones(20 * 2**20)
        time.sleep(0.05)
        del held
    assert 70 * 2**20 < most[0] < 200 * 2**20


def test_bench_scale_says_what_each_size_costs() -> None:
    found = _bench_scale.run(catalogues=(200, 2_000), people=(2, 6), pairs=2, at=200, max_calls=30, rounds=1)
    assert [(case["axis"], case["size"]) for case in found["cases"][::2]] == [
        *(("items", 200), ("items", 2_000), ("people", 2), ("people", 6)),
    ]
    alone = [case for case in found["cases"] if case["explainer"] == "leave-one-out"]
    assert {case["runs"] for case in alone} == {2.0 * _bench_scale.LENGTH + 1}
    assert all(case["ms_per_run"] == pytest.approx(case["ms_per_pair"] / case["runs"], rel=0.05) for case in alone)
    slopes = [_bench_scale.slope(found["cases"], name, "people") for name in ("minimal-necessary", "leave-one-out")]
    assert found["slope_people"] == pytest.approx(max(slopes), abs=0.001)
    assert found["most_mb"] == max(case["work_mb"] for case in found["cases"])


def test_generated_histories_do_not_repeat_an_item() -> None:
    world, _, target = _bench_scale.generated(1_000, 50)
    assert all(len(set(history)) == _bench_scale.LENGTH for history in world.histories.tolist())
    assert not (world.histories == target[:, None]).any()
    assert int(world.histories.max()) < 1_000
