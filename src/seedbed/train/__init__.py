"""Room 4. Weights and Tokens come in, a Run goes out: logged steps and a model.

In          Tokens and Weights of one source, a training plan (model, objective, optimizer, schedule, tokens), a seed
Out         Run: a row a step; checkpoints (safetensors and a manifest); the final Model
Invariants  the data order is a pure function of (seed, source, epoch, index); a run killed anywhere resumes to the
            same bits on the same machine type, thread count and torch build, all three named in the run
Add one     one file in objectives/, optimizers/, schedules/, reweighters/ or prunings/, one fidelity test in
            tests/train/
"""
