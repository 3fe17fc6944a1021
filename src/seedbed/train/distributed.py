"""One run on several processes: what is exchanged, and how shards become whole tensors again.

Each process holds the rows r, r + W, r + 2W, ... of every global batch. DDP keeps the whole model in each process;
FSDP2 (`fully_shard`; Zhao et al. 2023, 2304.11277) cuts every parameter, gradient and moment into W shards along the
first axis. In both the gradients of the processes are summed, not averaged: each process divides by the weight of the
whole global batch. One process is the same code without any exchange.

What leaves this file is whole: a checkpoint knows nothing of processes, so any number of them can read it.
"""

from __future__ import annotations

import contextlib
import inspect
import weakref
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.transformer import Decoder
from seedbed.train.contract import Batch, Objective, Optimizer
from seedbed.train.processes import World, agree, first_does, join, leave, on_leaving, sum_over, together

if TYPE_CHECKING:  # seconds to import, and one process needs none of it
    from torch.distributed.fsdp import MixedPrecisionPolicy

__all__ = [
    "Losses",
    "Spread",
    "World",
    "agree",
    "check",
    "clip",
    "even",
    "first_does",
    "full_optimizer",
    "full_weights",
    "gather_rows",
    "join",
    "leave",
    "load_full_optimizer",
    "own_rows",
    "quiet",
    "spread",
    "sum_over",
    "together",
]

Spread = Literal["ddp", "fsdp"]

_torch_distributed: Any = torch.distributed

_KERNEL_CHOICES = ("fused", "foreach", "capturable", "differentiable")
"""Fields of an optimizer's group that say how it computes, not what."""


class Losses(nn.Module):
    """An objective's losses of a model, as one module: what is spread must be entered by its `forward`."""

    def __init__(self, model: Decoder, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.averaged_over = 1
        """Processes over which gradients will be averaged: losses pass back as many times what they are given, so the
        average is the sum; to the bit where it is a power of two."""

    def forward(
        self,
        inputs_BT: Tensor,
        targets_BT: Tensor,
        weight_BT: Tensor,
        document_BT: Tensor | None = None,
        lesson: Tensor | None = None,
    ) -> Tensor:
        """loss_BT in nats; a copy, since FSDP hangs its hooks on what comes out and warns of views."""
        batch = Batch(inputs_BT, targets_BT, weight_BT, document_BT, lesson)
        loss_BT = self.objective.losses(self.model, batch).clone()
        if self.averaged_over > 1 and loss_BT.requires_grad:
            cast(Any, loss_BT).register_hook(self._restored)
        return loss_BT

    def _restored(self, grad_BT: Tensor) -> Tensor:
        return grad_BT * self.averaged_over


def check(optimizer: Optimizer, world: World, how: Spread, sequences: int) -> None:
    """Raises RecipeError where an optimizer needs whole matrices and FSDP would cut them, or where a batch of so many
    sequences does not give every process one."""
    if world.size > 1 and how == "fsdp" and not optimizer.sharded:
        what = f"{optimizer.name()} needs whole matrices, and fsdp cuts them into shards"
        raise RecipeError(optimizer.path(), what, "Use ddp, or an optimizer that works element by element.")
    if sequences < world.size:
        what = f"{sequences} sequences a step do not feed {world.size} processes"
        raise RecipeError("train.plan.batch_sequences", what, "Use larger batches, or fewer processes.")


def spread(losses: Losses, world: World, how: Spread) -> nn.Module:
    """Spread a module that already is on its device. Build the optimizer afterwards: FSDP replaces the parameters."""
    if world.size == 1:
        return losses
    if how == "fsdp":
        return _in_shards(losses, world)
    device = next(losses.parameters()).device
    bound = [device.index] if device.type == "cuda" else None
    copied: Any = DistributedDataParallel
    named = "forward_sync_buffers"  # torch 2.13's name for it
    constant = named if named in inspect.signature(copied).parameters else "broadcast_buffers"
    copies = copied(losses, device_ids=bound, gradient_as_bucket_view=True, **{constant: False})
    losses.averaged_over = world.size
    reference = weakref.ref(copies)
    on_leaving(lambda: _let_go(reference()))
    _settle(copies, losses)
    return cast(nn.Module, copies)


def _let_go(copies: Any) -> None:
    """DDP's C++ part must not be the last to hold the process group: it would wait for the group's threads while it has
    Python's lock, and one of them may wait for that lock to free a tensor."""
    if copies is not None:
        copies.logger = copies.reducer = copies.process_group = None


def _settle(copies: nn.Module, losses: Losses) -> None:
    """Go through the model once, with weights of 0: after its first backward pass DDP lays what it exchanges in another
    order, on which a sum of three or more depends, so a resumed run would part from a straight one by rounding."""
    model, device = losses.model, next(copies.parameters()).device
    ids_BT = torch.zeros((1, min(2, model.shape.context)), dtype=torch.long, device=device)
    weight_BT = torch.zeros_like(ids_BT, dtype=torch.float32)
    lesson = None
    if losses.objective.needs_teacher:  # the model is its own: what it says has no weight here
        with torch.no_grad():
            lesson = losses.objective.lesson(model, Batch(ids_BT, ids_BT, weight_BT))
    torch.autograd.backward((copies(ids_BT, ids_BT, weight_BT, None, lesson) * weight_BT).sum())
    copies.zero_grad(set_to_none=True)


def _in_shards(losses: Losses, world: World) -> nn.Module:
    """Block by block; what lies outside the blocks (embedding, last norm, head) is the root's."""
    from torch.distributed.fsdp import fully_shard

    device = next(losses.parameters()).device
    mesh = _torch_distributed.init_device_mesh(device.type, (world.size,))
    for module in [*losses.model.model.layers, losses]:
        sharded = fully_shard(module, mesh=mesh, mp_policy=precision(device, is_block=module is not losses))
        sharded.set_force_sum_reduction_for_comms(True)  # gloo knows no other, and the sum is what is wanted
        sharded.set_gradient_divide_factor(1.0)
    return losses


def precision(device: torch.device, *, is_block: bool) -> MixedPrecisionPolicy:
    """On GPUs blocks are gathered in bfloat16, which their products use anyway; gradients are summed in float32.

    Embedding, last norm and head stay float32, and inputs are not cast, so the residual stream is float32 as under DDP.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy

    narrow = torch.bfloat16 if device.type == "cuda" and is_block else None
    return MixedPrecisionPolicy(param_dtype=narrow, reduce_dtype=torch.float32, cast_forward_inputs=False)


@contextlib.contextmanager
def quiet(module: nn.Module, last: bool) -> Generator[None]:
    """Forward and backward in here exchange gradients for the last micro-batch only; the others add up at home."""
    if hasattr(module, "set_requires_gradient_sync"):  # FSDP's
        cast(Any, module).set_requires_gradient_sync(last)
    if isinstance(module, DistributedDataParallel) and not last:
        with module.no_sync():
            yield
    else:
        yield


def even(world: World, batch: Batch, count: int) -> Batch:
    """This process's rows of a global batch of `count`, and one more of weight 0 where other processes hold more.

    Sharded processes gather parameters in every forward pass, so all must make the same number of them.
    """
    rows = -(-count // world.size)
    if len(batch.inputs_BT) == rows:
        return batch

    def longer(tensor: Tensor) -> Tensor:
        return torch.cat((tensor, tensor[:1]))

    document = None if batch.document_BT is None else longer(batch.document_BT)
    weight = torch.cat((batch.weight_BT, torch.zeros_like(batch.weight_BT[:1])))
    return Batch(longer(batch.inputs_BT), longer(batch.targets_BT), weight, document)


def gather_rows(world: World, rows: Tensor, count: int) -> Tensor:
    """Rows of each process -> all `count` rows of the global batch, in its order, on every process."""
    if world.size == 1:
        return rows
    most = -(-count // world.size)
    padding = rows.new_zeros((most - len(rows), *rows.shape[1:]))
    mine = torch.cat((rows.detach(), padding)).contiguous()
    parts = [torch.empty_like(mine) for _ in range(world.size)]
    _torch_distributed.all_gather(parts, mine)
    return torch.stack(parts, 1).flatten(0, 1)[:count]


def own_rows(world: World, whole: Tensor) -> Tensor:
    """The inverse of `gather_rows`: this process's rows, and a row of zeros where other processes hold more."""
    if world.size == 1:
        return whole
    mine = whole[world.rank :: world.size]
    return torch.cat((mine, mine.new_zeros((-(-len(whole) // world.size) - len(mine), *mine.shape[1:]))))


def clip(parameters: Iterable[nn.Parameter], limit: float) -> float:
    """Scale the gradients down to a global norm of `limit`; returns the norm before. For one process and for DDP this
    is torch.nn.utils.clip_grad_norm_; shards add up the squares of all processes."""
    held = list(parameters)
    gradients = [parameter.grad for parameter in held if parameter.grad is not None]
    if not any(_is_shard(gradient) for gradient in gradients):
        return float(torch.nn.utils.clip_grad_norm_(held, limit))
    norm = _whole(torch.nn.utils.get_total_norm(gradients))
    torch.nn.utils.clip_grads_with_norm_(held, limit, norm)
    return float(norm)


def full_weights(module: nn.Module) -> dict[str, Tensor]:
    """The Decoder's weights under its own names, whole and on the CPU; not copied where they are both already.

    Every process must call it, and each gets them all.
    """
    inner = cast(nn.Module, cast(Any, module).module) if isinstance(module, DistributedDataParallel) else module
    weights: dict[str, Tensor] = inner.state_dict()  # of the root, whose hook puts what is gathered back into shards
    prefix = "model." if isinstance(inner, Losses) else ""
    return {name.removeprefix(prefix): _whole_on_cpu(tensor) for name, tensor in weights.items()}


def full_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimizer's state_dict as one process would hold it, whole and on the CPU; not copied where it is both.

    Every process must call it, and each gets it all.
    """
    state = optimizer.state_dict()
    entries = {
        index: {key: _whole_on_cpu(value) if isinstance(value, Tensor) else value for key, value in entry.items()}
        for index, entry in cast("dict[int, dict[str, Any]]", state["state"]).items()
    }
    return {"state": entries, "param_groups": [dict(group) for group in state["param_groups"]]}


def load_full_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """The inverse of `full_optimizer`; each process keeps its shards. How the optimizer computes stays its own."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    groups = [dict(group) for group in cast("list[dict[str, Any]]", state["param_groups"])]
    if [len(group["params"]) for group in groups] != [len(group["params"]) for group in optimizer.param_groups]:
        raise SeedbedError("optimizer", "the checkpoint's groups of parameters are not this run's")
    for group, own in zip(groups, optimizer.param_groups, strict=True):
        group.update({key: own[key] for key in _KERNEL_CHOICES if key in own})
    places = [index for group in groups for index in group["params"]]
    owner = dict(zip(places, parameters, strict=True))
    entries = {
        index: {key: _like(owner[index], value) for key, value in entry.items()}
        for index, entry in cast("dict[int, dict[str, Any]]", state["state"]).items()
    }
    optimizer.load_state_dict({"state": entries, "param_groups": groups})


def _like(parameter: nn.Parameter, value: Any) -> Any:
    """A value of the state, cut as its parameter is cut where it has the parameter's shape."""
    if not (_is_shard(parameter) and isinstance(value, Tensor) and value.shape == parameter.shape):
        return value
    from torch.distributed.tensor import distribute_tensor

    held = cast(Any, parameter)
    return distribute_tensor(value.to(held.device, held.dtype), held.device_mesh, held.placements, src_data_rank=None)


def _is_shard(tensor: Tensor) -> bool:
    """Whether this is torch's DTensor; asked this way, since its import takes seconds."""
    return hasattr(tensor, "full_tensor")


def _whole(tensor: Tensor) -> Tensor:
    return cast(Tensor, cast(Any, tensor).full_tensor()) if _is_shard(tensor) else tensor


def _whole_on_cpu(tensor: Tensor) -> Tensor:
    return _whole(tensor.detach()).cpu()
