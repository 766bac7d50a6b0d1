"""RecBole: trains a model epoch by epoch and hands out its scores for the validation users after each.

Reads FOLDER/settings.json: model, dataset (a folder below FOLDER with `<dataset>.inter`), config (RecBole's own words),
threads, seed, device, users, items, scores. Tells {setup_s, pairs, device, threads, parameters}, then per epoch {epoch,
seconds, cpu_s}: of the epoch alone. targets.npy holds the validation item of each user; if `scores`, scores.npy holds
Float[users, items] after each epoch; both by the codes that were given. Each epoch waits for {"go": bool}.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from _wire import FOLDER, SETTINGS, asked, tell, threads
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer
from recbole.utils import get_model, init_seed


class Stopped(Exception):
    """Nobody wants a further epoch."""


class Timed(Trainer):
    """RecBole's trainer with a clock around its epoch; its evaluation is replaced by handing out scores."""

    def _train_epoch(self, train_data: Any, epoch_idx: int, *args: Any, **kwargs: Any) -> Any:
        start, cpu = time.perf_counter(), time.process_time()
        loss = super()._train_epoch(train_data, epoch_idx, *args, **kwargs)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.spent = {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
        return loss

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, dict[str, float]]:
        self.epoch = getattr(self, "epoch", 0) + 1
        if SETTINGS["scores"]:
            np.save(FOLDER / "scores.npy", scores(self.model, valid_data))
        tell(epoch=self.epoch, **self.spent)
        if not asked()["go"]:
            raise Stopped
        return float(self.epoch), {"epoch": float(self.epoch)}


@torch.no_grad()
def scores(model: Any, valid_data: Any) -> np.ndarray:
    """Float[users, items]: the scores for the validation users by the codes that were given."""
    model.eval()
    dataset = valid_data.dataset
    items = dataset.token2id(dataset.iid_field, [str(code) for code in range(SETTINGS["items"])])
    out = np.full((SETTINGS["users"], SETTINGS["items"]), np.nan, np.float32)
    for interaction, *_ in valid_data:
        found = model.full_sort_predict(interaction.to(model.device)).view(len(interaction), -1)
        users = dataset.id2token(dataset.uid_field, interaction[dataset.uid_field].cpu()).astype(np.int64)
        out[users] = found.cpu().numpy()[:, items]
    return out


def targets(dataset: Any) -> np.ndarray:
    """Long[users]: the item held out for validation, by the codes that were given; -1 for none."""
    users, items = (
        dataset.id2token(name, dataset.inter_feat[name]).astype(np.int64)
        for name in (dataset.uid_field, dataset.iid_field)
    )
    out = np.full(SETTINGS["users"], -1, np.int64)
    out[users] = items
    return out


def config() -> Config:
    """Leave-one-out by the given order, everything in the file, nothing written but the log."""
    fixed = {
        "data_path": str(FOLDER),
        "checkpoint_dir": str(FOLDER),
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "TIME_FIELD": "timestamp",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full", "group_by": "user"},
        "seed": SETTINGS["seed"],
        "use_gpu": SETTINGS["device"] == "cuda",
        "reproducibility": False,
        "show_progress": False,
        "state": "ERROR",
        "stopping_step": 10**6,
        "epochs": 10**6,
    }
    return Config(model=SETTINGS["model"], dataset=SETTINGS["dataset"], config_dict=fixed | SETTINGS["config"])


def main() -> None:
    start = time.perf_counter()
    threads()
    made = config()
    init_seed(made["seed"], made["reproducibility"])
    dataset = create_dataset(made)
    train_data, valid_data, _ = data_preparation(made, dataset)
    model = get_model(made["model"])(made, train_data.dataset).to(made["device"])
    np.save(FOLDER / "targets.npy", targets(valid_data.dataset))
    tell(
        setup_s=time.perf_counter() - start,
        pairs=len(train_data.dataset),
        device=made["device"].type,
        threads=torch.get_num_threads(),
        parameters=sum(weight.numel() for weight in model.parameters()),
    )
    try:
        Timed(made, model).fit(train_data, valid_data, verbose=False, saved=False)
    except Stopped:
        tell(done=True)


if __name__ == "__main__":
    main()
