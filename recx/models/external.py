"""A model of your own, registered by whoever runs recx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from recx.core import device as devices
from recx.core import registered
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import Heldout, Interactions

if TYPE_CHECKING:
    from recx.models._external_blackbox import BlackBox
    from recx.models._external_matrices import ItemVectors, PersonVectors
    from recx.models.ease import ItemWeights


@dataclass(frozen=True)
class External:
    """External: a model of your own, registered by whoever runs recx.

    A Python function, an HTTP endpoint, embedding matrices or an item-item matrix, registered with `python -m recx
    models add NAME ...` (docs/external-models.md). NAME is then a model like the built-in ones. Nothing is learnt here:
    `fit` reads the matrices, or asks the function or endpoint for a first answer, so that what does not fit the data is
    said at once. Its result is keyed by a stamp of the registration and of the files behind it.
    """

    name: str = param("", "The name it was registered under")
    paper: ClassVar[str] = "your own"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> BlackBox | ItemVectors | PersonVectors | ItemWeights:
        """The registered model as a scorer of this data. Raises BadInput when it does not fit the data."""
        place, entry = devices.resolve(device), registered.find(self.name)
        progress(0.0, f"asking {self.name} for a first answer")
        if entry.kind in ("python", "http"):
            from recx.models._external_blackbox import black_box

            return black_box(entry, data, place)
        from recx.models import _external_matrices as matrices

        read = matrices.embeddings if entry.kind == "embeddings" else matrices.item_item
        return read(entry, data, place)
