"""RecTools: trains SASRec epoch by epoch and hands out its scores for the validation users after each.

Reads FOLDER/settings.json: model (arguments of `SASRecModel`), threads, seed, device, users, items, scores; and
FOLDER/train.csv (user_id, item_id, datetime as whole days). Tells {setup_s, pairs (null), device, threads, parameters},
then per epoch {epoch, seconds, cpu_s}: between the start and the end of Lightning's training epoch. If `scores`, the
scores lie in FOLDER/scores.npy, Float[users, items], -inf for an item that RecTools does not know (none of whose events
lies in the window of its user). Each epoch waits for {"go": bool}.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from _wire import FOLDER, SETTINGS, asked, tell, threads
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.callbacks import Callback
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel


class Clock(Callback):
    """Seconds of the last training epoch, by the wall and of the processor."""

    def __init__(self) -> None:
        self.start = self.cpu = 0.0
        self.spent: dict[str, float] = {}

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.start, self.cpu = time.perf_counter(), time.process_time()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self.spent = {"seconds": time.perf_counter() - self.start, "cpu_s": time.process_time() - self.cpu}


def trainer() -> Trainer:
    return Trainer(
        max_epochs=1,
        accelerator="gpu" if SETTINGS["device"] == "cuda" else "cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[Clock()],
    )


def scores(model: SASRecModel, dataset: Dataset) -> np.ndarray:
    """Float[users, items]: all scores for the users with training events."""
    found = model.recommend(np.arange(SETTINGS["users"]), dataset, k=SETTINGS["items"], filter_viewed=False)
    out = np.full((SETTINGS["users"], SETTINGS["items"]), -np.inf, np.float32)
    out[found[Columns.User].to_numpy(), found[Columns.Item].to_numpy()] = found[Columns.Score].to_numpy()
    return out


def main() -> None:
    warnings.filterwarnings("ignore")
    start = time.perf_counter()
    threads()
    seed_everything(SETTINGS["seed"])
    table = pd.read_csv(FOLDER / "train.csv")
    table[Columns.Datetime] = pd.Timestamp("2000-01-01") + pd.to_timedelta(table[Columns.Datetime], unit="D")
    dataset = Dataset.construct(table.assign(**{Columns.Weight: 1.0}))
    model = SASRecModel(**SETTINGS["model"], get_trainer_func=trainer)
    first = True
    for epoch in range(1, 10**6):
        model.fit_partial(dataset, min_epochs=1, max_epochs=1)
        clock = next(one for one in model.fit_trainer.callbacks if isinstance(one, Clock))
        if first:
            tell(
                setup_s=time.perf_counter() - start - clock.spent["seconds"],
                pairs=None,
                device=model.lightning_model.device.type,
                threads=torch.get_num_threads(),
                parameters=sum(weight.numel() for weight in model.torch_model.parameters()),
            )
            first = False
        if SETTINGS["scores"]:
            np.save(FOLDER / "scores.npy", scores(model, dataset))
        tell(epoch=epoch, **clock.spent)
        if not asked()["go"]:
            tell(done=True)
            return


if __name__ == "__main__":
    main()
