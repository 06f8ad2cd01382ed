"""The networks of haa_jax/models once more, in PyTorch, for `benchmarks/against_torch.py` alone.

The layers have the shapes, strides and paddings of ours and the modules have the names of ours, so that
tests/benchmarks/test_torch_networks.py can copy weights and compare the outputs. Every file has

    build(config, classes)    the module of `config.model`, with one head of `classes` classes, "atomic"
    arrange(clips)            clips as our networks take them, as a tensor that this one takes

and a module maps its input to a tuple: logits (batch, classes), and in training those of its auxiliary heads. The
convolutions are those that a PyTorch user would write: 2-D ones over single frames in TSN, 3-D ones elsewhere.
"""
