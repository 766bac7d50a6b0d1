"""How each kind of result is written to a folder and read back; never pickle. Only a scorer and what an explainer
learnt need torch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Codec:
    """One kind of result: is it mine, write it into an existing folder, read it back (onto a device)."""

    fits: Callable[[Any], bool]
    write: Callable[[Any, Path], None]
    read: Callable[[Path, str], Any]


def _plain(value: Any) -> Any:
    """What `json` does not know by itself: numpy numbers."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    raise TypeError(f"a result holds plain values only, not {type(value).__name__}")


def to_json(value: Any) -> str:
    """Plain values as text; tuples become lists, numpy numbers plain numbers; not-a-number and infinity are kept."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _write_json(value: Any, folder: Path) -> None:
    (folder / "result.json").write_text(to_json(value), encoding="utf-8")


def _read_json(folder: Path, device: str) -> Any:
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def _write_table(table: Any, folder: Path) -> None:
    table.to_parquet(folder / "table.parquet")


def _read_table(folder: Path, device: str) -> Any:
    from pyarrow.parquet import ParquetFile  # pandas.read_parquet would load all of pyarrow.dataset: 10 MB

    with ParquetFile(folder / "table.parquet") as file:
        return file.read(use_threads=False).to_pandas(use_threads=False)


def _write_explanations(result: list[Any], folder: Path) -> None:
    _write_json([one.as_dict() for one in result], folder)


def _read_explanations(folder: Path, device: str) -> list[Any]:
    from recx.explainers._explanation import Explanation

    return [Explanation.from_dict(values) for values in _read_json(folder, device)]


def _write_scorer(scorer: Any, folder: Path) -> None:
    from recx.models._scorer import save_scorer

    save_scorer(scorer, folder)


def _read_scorer(folder: Path, device: str) -> Any:
    from recx.models._scorer import load_scorer

    return load_scorer(folder, device)


def _write_learnt(learnt: Any, folder: Path) -> None:
    from recx.explainers._learnt import save

    save(learnt, folder)


def _read_learnt(folder: Path, device: str) -> Any:
    from recx.explainers._learnt import load

    return load(folder, device)


def _is_explanations(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(one).__name__ == "Explanation" for one in value)


def _is_table(value: Any) -> bool:
    return type(value).__name__ == "DataFrame" and hasattr(value, "to_parquet")


def _is_scorer(value: Any) -> bool:
    return hasattr(value, "score") and hasattr(value, "tensors")


def _is_learnt(value: Any) -> bool:
    return hasattr(value, "tensors") and not hasattr(value, "score")


def _is_plain(value: Any) -> bool:
    return isinstance(value, (dict, list, tuple, str, int, float, bool))


CODECS = {
    "scorer": Codec(_is_scorer, _write_scorer, _read_scorer),
    "learnt": Codec(_is_learnt, _write_learnt, _read_learnt),
    "table": Codec(_is_table, _write_table, _read_table),
    "explanations": Codec(_is_explanations, _write_explanations, _read_explanations),
    "json": Codec(_is_plain, _write_json, _read_json),
}


def codec_of(result: Any) -> str:
    """The name of the codec for a result. Raises TypeError for a kind that cannot be stored."""
    for name, codec in CODECS.items():
        if codec.fits(result):
            return name
    raise TypeError(f"a {type(result).__name__} cannot be stored: return a table, plain values or a scorer")


def pack(result: Any) -> tuple[str, dict[str, bytes]]:
    """A result as the files that would be written: for sending it to another process."""
    name = codec_of(result)
    with tempfile.TemporaryDirectory() as folder:
        CODECS[name].write(result, Path(folder))
        return name, {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def unpack(name: str, files: dict[str, bytes], device: str = "auto") -> Any:
    """The inverse of `pack`."""
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            (Path(folder) / file).write_bytes(content)
        return CODECS[name].read(Path(folder), device)
