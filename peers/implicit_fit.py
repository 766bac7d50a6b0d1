"""implicit: fits BPR or ALS and hands out its scores for all users.

Reads FOLDER: the training events as indptr.npy and indices.npy, settings.json {model ("bpr" or "als"), config (its
arguments), items, threads, seed}. Tells {seconds}; the scores lie in scores.npy, Float[users, items].
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from _wire import FOLDER, SETTINGS, tell, threads
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix

MODELS = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking}


def main() -> None:
    warnings.filterwarnings("ignore")
    start, columns = np.load(FOLDER / "indptr.npy"), np.load(FOLDER / "indices.npy")
    shape = (len(start) - 1, SETTINGS["items"])
    seen = csr_matrix((np.ones(len(columns), np.float32), columns, start), shape=shape)
    common = {"use_gpu": False, "num_threads": threads(), "random_state": SETTINGS["seed"]}
    model = MODELS[SETTINGS["model"]](**common, **SETTINGS["config"])
    begin = time.perf_counter()
    model.fit(seen, show_progress=False)
    seconds = time.perf_counter() - begin
    np.save(FOLDER / "scores.npy", np.asarray(model.user_factors @ model.item_factors.T, np.float32))
    tell(seconds=seconds)


if __name__ == "__main__":
    main()
