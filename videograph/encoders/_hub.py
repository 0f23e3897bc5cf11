"""Models of the Hugging Face Hub, and the manners with which they are fetched.

For members of this workshop:

    PRESETS = {"clip": Preset("openai/clip-vit-base-patch32", "c237dc49...")}
    transformers = needs("transformers")                      # or one sentence: how to install it
    folder = fetch("clip", PRESETS, instead='the encoder "embedded"')
    model, missing = load_model(transformers.AutoModel, folder)   # float32, eval, strict, quiet
    name = f"mine-{fingerprint(folder)}"                      # other weights, another name

`fetch` takes a preset's name, a folder, or a hub id ("owner/name" or "owner/name@revision"), and gives a
folder whose weights are safetensors. A folder is used as it is. What the hub's cache holds is used without
asking the network, so that the same command gives the same features tomorrow; "@main" looks for newer ones.
Everything is refused in one sentence: a missing network, `HF_HUB_OFFLINE`, pickled weights, a wrong id.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from videograph.errors import UsageError, VideographError

TIMEOUT_SECONDS = 10
"""How long the hub may take to answer: a machine without a network is told so at once."""
_ASIDE = ("*.json", "*.txt", "*.model", "*.jinja")
"""What is fetched beside the weights: configs, vocabularies, templates; never code."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_FLEETING = {"_name_or_path", "transformers_version", "torch_dtype", "dtype", "architectures"}
"""Entries of a config.json that do not change what the model computes."""


@dataclass(frozen=True)
class Preset:
    """A model that has a short name."""

    repo: str
    """Hub id, "owner/name"."""
    revision: str
    """The commit that was chosen, 40 hexadecimal digits: what is fetched never changes by itself."""


# -- from a name to a folder -----------------------------------------------------------------------


def needs(module: str, extra: str = "models") -> ModuleType:
    """A library of an extra, imported.

    Raises:
        VideographError: it is not installed, or broken.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        root = module.partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == root:
            state = "is not installed"
        else:
            state = f"cannot be imported ({_line(error)})"
        raise VideographError(
            f"{root} {state}, which this model needs. Try: pip install 'videograph[{extra}]'"
        ) from error


def fetch(what: str, presets: Mapping[str, Preset], *, instead: str | None = None) -> Path:
    """The folder of a model: its own, or the one in the hub's cache, filled first if need be.

    A download is announced on standard error with its size and place, and shows its progress.

    Args:
        what: a preset's name, a folder, or a hub id.
        presets: the member's, by name.
        instead: what works without this model, in words ('the encoder "embedded"'), for the message
            when there is no network.

    Raises:
        UsageError: `what` is none of the three.
        VideographError: it cannot be had, or has no weights as safetensors.
    """
    if what in presets:
        return _from_hub(presets[what].repo, presets[what].revision, what, instead)
    folder = Path(what).expanduser()
    if folder.is_dir():
        return _checked(folder)
    if _HUB_ID.fullmatch(what) and not what.startswith((".", "/")):
        repo, _, revision = what.partition("@")
        return _from_hub(repo, revision or None, what, instead)
    names = ", ".join(presets)
    if folder.exists():
        raise UsageError(f"{what} is a file. Allowed: the folder of a model, a hub id, {names}.")
    raise UsageError(
        f'no model "{what}". Allowed: {names}; a hub id, as openai/clip-vit-base-patch32; '
        "a folder with config.json and model.safetensors."
    )


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise VideographError(
            f"{folder} holds no config.json. Try the folder that save_pretrained wrote."
        )
    if (folder / "config.json").is_file():
        read_json(folder / "config.json")
    if not weight_files(folder):
        kinds = (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.h5"))
        has = f"weights only as {kinds[0].name}" if kinds else "no weights"
        raise VideographError(f"{folder} holds {has}. {_ONLY_SAFETENSORS}")
    return folder


def read_json(file: Path) -> Any:
    """What a file of a model's folder says.

    Raises:
        VideographError: it is damaged, or no JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VideographError(
            f"{file} cannot be read as JSON ({_line(error)}). Try the folder that save_pretrained wrote."
        ) from error


_ONLY_SAFETENSORS = (
    "Allowed: safetensors, which cannot run code when they are read. Try: load the model with "
    "transformers where you trust it, and save_pretrained it to a folder."
)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a model's folder, in order of name."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*/*.safetensors"))


# -- the hub ---------------------------------------------------------------------------------------


def _from_hub(repo: str, revision: str | None, what: str, instead: str | None) -> Path:
    from huggingface_hub import constants

    cached = None if revision == "main" else _cached(repo, revision)
    if cached is not None:
        return _checked(cached)
    place = Path(constants.HF_HUB_CACHE)
    otherwise = f"Try: a folder with the model in place of {what}"
    otherwise += f", or {instead}, which needs no download." if instead else "."
    try:
        if constants.HF_HUB_OFFLINE:
            raise VideographError(
                f"{repo} is not in the cache ({place}), and HF_HUB_OFFLINE forbids to download it. "
                f"{otherwise}"
            )
        return _download(repo, revision, place)
    except Exception as error:  # of the hub, its transport, the disk: too many to name
        if revision == "main" and (older := _cached(repo, revision)) is not None:
            return _checked(older)
        if isinstance(error, VideographError):
            raise
        raise _refusal(error, repo, revision, place, otherwise) from error


def _cached(repo: str, revision: str | None) -> Path | None:
    """The folder of a whole earlier download, or None."""
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            repo, revision=revision, local_files_only=True, allow_patterns=list(_ASIDE)
        )
    except Exception:  # not there, or not whole: the same to us
        return None
    folder = Path(found)
    return folder if (folder / "config.json").is_file() and _has_all_weights(folder) else None


def _has_all_weights(folder: Path) -> bool:
    """Whether no file of the weights is missing, of those in several files too."""
    index = folder / "model.safetensors.index.json"
    if index.is_file() and not (folder / "model.safetensors").is_file():
        parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return all((folder / part).is_file() for part in parts)
    return bool(weight_files(folder))


def _download(repo: str, revision: str | None, place: Path) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    wanted = _wanted(sizes)
    if not any(name.endswith(".safetensors") for name in wanted):
        raise VideographError(f"{repo} has no weights as safetensors. {_ONLY_SAFETENSORS}")
    size = sum(sizes[name] for name in wanted)
    print(f"Downloading {repo} ({size / 1e6:.0f} MB) to {place}", file=sys.stderr, flush=True)
    return _checked(Path(snapshot_download(repo, revision=revision, allow_patterns=wanted)))


def _wanted(names: Mapping[str, int]) -> list[str]:
    """What a model needs of all that its repository holds: one set of weights, and what is beside."""
    aside = [name for name in names if any(Path(name).match(p) for p in _ASIDE)]
    for whole in ("model.safetensors", "0_Transformer/model.safetensors"):
        if whole in names:
            return [*aside, whole]
    return aside + [name for name in names if re.fullmatch(r"model-\d+-of-\d+\.safetensors", name)]


def _refusal(
    error: Exception, repo: str, revision: str | None, place: Path, otherwise: str
) -> VideographError:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        why = f"{repo} is given only to those who accepted its terms: log in with `hf auth login`"
    elif isinstance(error, errors.RevisionNotFoundError):
        why = f"{repo} has no revision {revision}"
    elif isinstance(error, errors.RepositoryNotFoundError):
        why = f"the Hugging Face Hub has no model {repo}, or shows it only to its owner"
    elif isinstance(error, OSError) and error.errno:
        why = f"{repo} cannot be kept in the cache ({place}): {error.strerror or error}"
    else:
        why = (
            f"{repo} is not in the cache ({place}), and the Hugging Face Hub cannot be reached "
            f"({_line(error)})"
        )
    return VideographError(f"{why}. {otherwise}")


def _line(error: BaseException) -> str:
    """The first line of a foreign message, without its final stop."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")[:200]


# -- from a folder to a model ----------------------------------------------------------------------


def load_model(
    maker: Any, folder: Path, *, optional: tuple[str, ...] = (), **options: Any
) -> tuple[Any, list[str]]:
    """A model in float32, in eval mode and on the CPU, and the names of the weights it lacks.

    Args:
        maker: a class of transformers with `from_pretrained`, such as `AutoModel`.
        folder: from `fetch`.
        optional: beginnings of the names of weights that may be missing; they are random then, and
            the caller must not use what they make. Of all others, none may be missing.
        options: handed on to `from_pretrained`.

    Raises:
        VideographError: it cannot be read as this kind of model, or lacks weights.
    """
    import torch

    # float32 is said aloud: transformers would take the precision of the file, also on a CPU.
    options = {"dtype": torch.float32, **options}
    with quiet():
        model, info = _pretrained(
            maker, folder, use_safetensors=True, output_loading_info=True, **options
        )
    missing = sorted(info["missing_keys"])
    lost = [name for name in missing if not name.startswith(optional)] if optional else missing
    lost += [str(name) for name in info["mismatched_keys"]]
    if lost:
        raise VideographError(
            f"{folder} lacks {len(lost)} weights of a {type(model).__name__}, {lost[0]} among them. "
            "Try the whole model, or another kind of it."
        )
    return model.eval(), missing


def load_part(maker: Any, folder: Path, **options: Any) -> Any:
    """A tokenizer or processor from a model's folder.

    Raises:
        VideographError: the folder has none.
    """
    with quiet():
        return _pretrained(maker, folder, **options)


def _pretrained(maker: Any, folder: Path, **options: Any) -> Any:
    try:
        return maker.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, **options
        )
    except Exception as error:  # transformers raises many kinds for a folder it cannot use
        kind = getattr(maker, "__name__", str(maker)).removeprefix("Auto")
        raise VideographError(
            f"{folder} cannot be read as a {kind} of transformers ({_line(error)}). "
            "Try the folder that save_pretrained wrote."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Within, transformers draws no bars and logs only errors."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def fingerprint(folder: Path) -> str:
    """Eight hexadecimal digits of a model's weights and config, the same wherever they lie."""
    whole = hashlib.sha256()
    for file in weight_files(folder):
        whole.update(_digest(file).encode())
    config = folder / "config.json"
    if config.is_file():
        entries = read_json(config)
        lasting = {name: value for name, value in entries.items() if name not in _FLEETING}
        whole.update(json.dumps(lasting, sort_keys=True).encode())
    return whole.hexdigest()[:8]


def _digest(file: Path) -> str:
    """SHA-256 of a file; the hub's cache names large files by it, which spares reading them."""
    name = file.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", name):
        return name
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
