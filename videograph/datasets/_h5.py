"""Reading h5 groups of unknown origin: every surprise becomes a sentence with file, group and key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from videograph.errors import VideographError


@contextmanager
def open_h5(path: Path) -> Iterator[Any]:
    """The file for reading.

    Raises:
        VideographError: it is missing, unreadable, or no HDF5.
    """
    if not path.is_file():
        raise VideographError(f"{path} is not there.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise VideographError(
            f"{path} is not a readable HDF5 file ({str(error).splitlines()[0]}). "
            "Was the download cut off, or saved as a web page?"
        ) from error
    with file:
        yield file


@contextmanager
def naming(path: Path, key: str) -> Iterator[None]:
    """Put file and video before whatever a record finds wrong."""
    try:
        yield
    except ValueError as error:
        raise VideographError(f"{path.name}, {key}: {error}.") from error


def array(group: Any, key: str, dtype: type[np.generic] | None = None) -> np.ndarray | None:
    """A dataset of numbers as an array of a type, whatever type it is stored in; None when absent.

    Raises:
        ValueError: it is a group, holds text, or whole numbers are asked for and it has others.
    """
    if key not in group:
        return None
    value = group[key]
    if not hasattr(value, "shape"):
        raise ValueError(f"{key} is a group; an array is needed")
    if value.dtype.kind not in "biuf":
        raise ValueError(f"{key} holds {value.dtype}; numbers are needed")
    value = value[()]
    if dtype is not None and np.issubdtype(dtype, np.integer) and value.dtype.kind == "f":
        whole = np.nan_to_num(value, nan=0.5)
        if (whole != np.floor(whole)).any():
            raise ValueError(f"{key} holds values that are not whole numbers")
    return np.asarray(value if dtype is None else np.asarray(value).astype(dtype))


def scalar(group: Any, key: str) -> int | float | None:
    """A single number; None when absent.

    Raises:
        ValueError: it holds more or less than one number.
    """
    value = array(group, key)
    if value is None:
        return None
    if value.size != 1:
        raise ValueError(f"{key} has shape {value.shape}; a single number is needed")
    return value.reshape(-1)[0].item()


def text(group: Any, key: str) -> str:
    """A string, "" when absent."""
    if key not in group:
        return ""
    value = group[key][()]
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else b""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
