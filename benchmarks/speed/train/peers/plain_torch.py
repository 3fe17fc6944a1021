"""Engine: nano.py's decoder in a loop like nanoGPT's; with `compile` as second argument through torch.compile."""

from __future__ import annotations

import sys

import gate
import nano
import torch


def main() -> None:
    gate.prepare()
    torch.manual_seed(0)
    model = nano.Decoder(**{name: gate.SHAPE[name] for name in gate.SHAPE if name != "batch"})
    optimizer = nano.make_optimizer(model)
    called = torch.compile(model) if sys.argv[2:] == ["compile"] else model
    door = gate.Gate()
    for tokens in gate.batches():
        door.fetched()
        ids = torch.from_numpy(tokens)
        nano.step(called, optimizer, ids[:, :-1].contiguous(), ids[:, 1:].contiguous())


if __name__ == "__main__":
    main()
