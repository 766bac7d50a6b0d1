"""implicit: the best k unseen items of all users from given vectors, timed anew whenever asked.

Reads FOLDER: users.npy Float[B, d], items.npy Float[n, d], the seen items as indptr.npy and indices.npy, settings.json
{k, threads}. Tells {ready}, then for each {"go": true} {seconds}; the last lists lie in ids.npy and scores.npy.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from _wire import FOLDER, SETTINGS, asked, tell, threads
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix


def main() -> None:
    warnings.filterwarnings("ignore")
    users, items, start, columns = (np.load(FOLDER / f"{n}.npy") for n in ("users", "items", "indptr", "indices"))
    seen = csr_matrix((np.ones(len(columns), np.float32), columns, start), shape=(len(users), len(items)))
    model = AlternatingLeastSquares(factors=users.shape[1], use_gpu=False, num_threads=threads())
    model.user_factors, model.item_factors = users, items
    everyone = np.arange(len(users))
    tell(ready=True)
    while asked()["go"]:
        begin = time.perf_counter()
        ids, scores = model.recommend(everyone, seen, N=SETTINGS["k"], filter_already_liked_items=True)
        seconds = time.perf_counter() - begin
        np.save(FOLDER / "ids.npy", ids)
        np.save(FOLDER / "scores.npy", scores)
        tell(seconds=seconds)


if __name__ == "__main__":
    main()
