"""Surprise: fits its SVD (Funk's, with or without biases) and hands out predictions for given pairs.

Reads FOLDER: train.npy Float[N, 3] (user, item, rating), pairs.npy Long[M, 2], settings.json {config (arguments of
`SVD`), low, high, seed}. Tells {seconds}; the predictions lie in predictions.npy, Float[M], not clipped.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from _wire import FOLDER, SETTINGS, tell
from surprise import SVD, Dataset, Reader


def main() -> None:
    table = pd.DataFrame(np.load(FOLDER / "train.npy"), columns=["user", "item", "rating"])
    table = table.astype({"user": int, "item": int})
    reader = Reader(rating_scale=(SETTINGS["low"], SETTINGS["high"]))
    train = Dataset.load_from_df(table, reader).build_full_trainset()
    model = SVD(random_state=SETTINGS["seed"], **SETTINGS["config"])
    begin = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - begin
    pairs = np.load(FOLDER / "pairs.npy")
    found = [model.predict(int(user), int(item), clip=False).est for user, item in pairs]
    np.save(FOLDER / "predictions.npy", np.asarray(found, np.float64))
    tell(seconds=seconds)


if __name__ == "__main__":
    main()
