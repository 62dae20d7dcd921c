"""The Hugging Face hub: a user's own model with a card, put there and read back. Tensors alone, never code."""

from pathlib import Path

from onward.modules.local_model import LocalModel
from onward.runs.hub import fetched, upload

FILE = "local.safetensors"
"""All that is read from the hub for a user's own model."""


def push(local: LocalModel, repo: str, *, private: bool = False, token: str | None = None) -> str:
    """Put what `local.save` writes, and a card, on the hub in one commit; return the address of the page.

    Raises ValueError for a name that is none; OSError if the hub cannot be reached or refuses.
    """

    def write(folder: Path) -> None:
        local.save(folder / FILE)
        (folder / "README.md").write_text(card(local, repo), encoding="utf-8")

    return upload(repo, write, private=private, token=token)


def fetched_file(repo: str) -> Path:
    """Return the file of a user's model that was read from the hub. Raises ValueError where there is none."""
    return fetched(repo, files=(FILE,), otherwise="a learner is read without a module, load(path)") / FILE


def card(local: LocalModel, name: str) -> str:
    """Return the card of a user's model, in Markdown behind a head of YAML."""
    from huggingface_hub import ModelCardData

    method, kind = type(local.algorithm).__name__, type(local.model).__name__
    head = ModelCardData(library_name="onward", tags=["onward", "local-learning", method]).to_yaml()
    weights = sum(weight.numel() for weight in local.model.parameters())
    cuts = ", ".join(f"`{cut}`" for cut in local.cuts) or "nowhere"
    return f"""---
{head}
---

# {name}

{kind}, {weights:,} weights, trained by {method} in {len(local.plan.parts)} blocks: no gradient crosses a cut.

- Cut behind: {cuts}
- Task: {local.plan.task}, {local.plan.outputs} outputs; {local.steps:,} steps so far

The file holds tensors alone: weights, heads of the blocks and optimizer state. The code of {kind} is not in it:

```python
import onward  # pip install 'onward[hub]'

local = onward.load("{name}", model={kind}(...))  # a module of the same kind
model = local.module()  # to use it as it is; local.step(batch) continues the training
```
"""
