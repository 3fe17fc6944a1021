"""The model that room 4 trains and others ask: a decoder made of parts, its counts, its folder on disk.

In          ModelShape: sizes, and the parts that fill six slots
Out         Decoder: token ids -> logits; a folder with model.safetensors and config.json
Invariants  a model is its shape and its seed; parameter names are those of a Llama checkpoint; a part that is switched
            off changes no bit; opening a model runs none of its folder's code
Add a part  one file in norms/, positions/, attentions/, feed_forwards/, depth_scalings/ or parametrizations/, one
            fidelity test in tests/model/

Beside the shelves, by what one comes here for:
made of     contract (the slots), layers and attention (what parts share), shape, transformer (the decoder)
asked       counts, weights (for optimizers), language_model (losses of texts), cross_entropy, runtime
on disk     checkpoint, tensors
"""
