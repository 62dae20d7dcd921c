"""The Hugging Face hub: learners are pushed with a model card, and loaded. Weights and JSON alone, never code."""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onward.core import Learner
from onward.runs.hub_card import card
from onward.runs.model import ModelSpec, save_model

FILES = ("model.json", "model.safetensors")
"""The files that are read from the hub for a learner."""

OWN_MODEL = "what onward.local trained is read into a module, load(path, model=...)"

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_INSTALL = "needs huggingface_hub: pip install 'onward[hub]'"


def push(learner: Learner, spec: ModelSpec, repo: str, *, private: bool = False, token: str | None = None) -> str:
    """Push weights, description and card of a learner to the hub, in one commit; return the address of its page.

    The repository is created if it does not exist; an existing card is kept. Raises ValueError, before anything is
    sent, for an invalid name and for a learner that cannot be saved; OSError if the hub cannot be reached or refuses.
    """
    return upload(repo, lambda folder: publish(learner, spec, folder, name=repo), private=private, token=token)


def upload(repo: str, write: Callable[[Path], None], *, private: bool, token: str | None) -> str:
    """Push the files that `write` puts into a folder, card included, to the hub in one commit; see `push`."""
    if not isinstance(repo, str) or _NAME.fullmatch(repo) is None:
        raise ValueError(f"repo is {repo!r}: give the name of a model on the hub, such as 'user/model'")
    api = _hub().HfApi(token=token)
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        write(folder)
        with _asking(f"{repo} cannot be put on the hub"):
            address = str(api.create_repo(repo, private=private, exist_ok=True))
            if api.file_exists(repo, "README.md"):
                (folder / "README.md").unlink()
            api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Model trained by onward")
    return address


def publish(learner: Learner, spec: ModelSpec, folder: Path, *, name: str) -> None:
    """Write the files for the hub into a folder: `model.safetensors`, `model.json` and the card, `README.md`."""
    save_model(folder, learner, spec)
    (folder / "README.md").write_text(card(learner, spec, folder, name=name), encoding="utf-8")


def is_hub_name(path: object) -> bool:
    """Whether a path is the name of a model on the hub: "user/model", unless there is a folder `user`."""
    if not isinstance(path, str) or _NAME.fullmatch(path) is None:
        return False
    return not Path(path).exists() and not Path(path).parent.exists()


def fetched(
    repo: str, *, revision: str | None = None, files: Sequence[str] = FILES, otherwise: str = OWN_MODEL
) -> Path:
    """Return the folder that the named files of a model on the hub were read into; nothing else is read.

    Raises ValueError if there is no such model, or if the hub cannot be reached and it was not read before.
    """
    hub = _hub()
    try:
        with _asking(f"{repo} is no folder here, and cannot be read from the hub"):
            folder = Path(hub.snapshot_download(repo, revision=revision, allow_patterns=list(files)))
    except OSError as error:
        raise ValueError(str(error)) from error
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{repo} on the hub is no model of onward: it has no {missing[0]}; {otherwise}")
    return folder


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Turn the hub's many errors into OSError of one line."""
    try:
        yield
    except Exception as error:  # its own, and those of whatever client its version uses
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        advice = "look at the name, the network, and `hf auth whoami`"
        raise OSError(f"{what} ({reason}): {advice}") from error


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(f"the Hugging Face hub {_INSTALL}") from error
    return huggingface_hub
