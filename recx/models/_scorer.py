"""What a fitted model is: scores for histories; and how one is written to files and read back."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors.torch import load_file, save_file

from recx.core import device as devices
from recx.data.interactions import PAD


@runtime_checkable
class Scorer(Protocol):
    """A fitted recommender. There is no unfitted one.

    `n_items`: size of the catalogue. `device`: where its tensors live. `exact_scores`: False when scores are only minus
    ranks. `edited_history`: one sentence, what an edited history means for this model. `report`: plain JSON values of
    the training: `seconds`, `epochs`, `converged`, `device`, `curve` (list of dicts), as they apply.
    """

    n_items: int
    device: torch.device
    report: dict[str, Any]

    @property
    def exact_scores(self) -> bool: ...

    @property
    def edited_history(self) -> str: ...

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Unmasked scores Float[B, n_items], or Float[B, T] for `items` Long[B, T].

        `histories` Long[B, L]: item codes, oldest first, PAD anywhere is skipped; an empty history is legal and finite.
        """
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """What must be stored; with `settings` enough for `from_tensors`."""
        ...

    def settings(self) -> dict[str, Any]:
        """Plain JSON values needed beside the tensors."""
        ...


# A differentiable scorer also has
#   soft_score(histories: Long[B, L], keep: Float[B, S, L], targets: Long[B, S]) -> Float[B, S]
# which equals `score` of the edited history wherever keep is 0 or 1; and may have, when much can be gathered once,
#   soft(groups: list of (histories, targets)) -> function(list of keep) -> list of scores
#   which takes `straight=True` when its plain scores jump at the empty history
# one that attends to the items of a history
#   attention(histories: Long[B, L], users, layers: last, mean or rollout) -> Float[B, L], rows sum to at most 1
# and any scorer that has a vector for each item
#   item_vectors() -> Float[n_items, d], those that score an item where input and output vectors differ


def compact(histories: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
    """Long[B, L]: the kept items moved to the right in their order, PAD on the left: deleting closes the gap."""
    here = histories != PAD if keep is None else (histories != PAD) & keep
    order = torch.argsort(here.to(torch.int8), dim=1, stable=True)
    return histories.masked_fill(~here, PAD).gather(1, order)


def counts(histories: torch.Tensor, n_items: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Float[B, n_items]: 1 where an item is in the history (repeats count once), 0 elsewhere."""
    out = torch.zeros(len(histories), n_items + 1, dtype=dtype, device=histories.device)
    out.scatter_(1, torch.where(histories == PAD, n_items, histories), 1.0)
    return out[:, :n_items]


def save_scorer(scorer: Scorer, folder: Path) -> None:
    """Write a scorer as `scorer.safetensors` and `scorer.json` into an existing folder."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in scorer.tensors().items()}
    save_file(tensors, folder / "scorer.safetensors")
    head = {
        "module": type(scorer).__module__,
        "class": type(scorer).__name__,
        "settings": scorer.settings(),
        "report": scorer.report,
    }
    (folder / "scorer.json").write_text(json.dumps(head, indent=1, sort_keys=True), encoding="utf-8")


def load_scorer(folder: Path, device: str = "auto") -> Scorer:
    """Read what `save_scorer` wrote, onto a device. Only classes of `recx.models` are ever built."""
    head = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
    if not head["module"].startswith("recx.models."):
        raise ValueError(f"{folder / 'scorer.json'} names a class outside recx.models: {head['module']}")
    cls = getattr(importlib.import_module(head["module"]), head["class"])
    place = devices.resolve(device)
    scorer = cls.from_tensors(load_file(folder / "scorer.safetensors", device=str(place)), head["settings"])
    scorer.report = head["report"]
    return scorer
