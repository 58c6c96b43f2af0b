"""Any network, every layer, one table: which layer predicts the neurons best, how well, and how do networks compare?"""


def __getattr__(name):
    # the command asks for its arguments long before anything is computed
    if name in ("score", "layer_table", "best_layers"):
        from itneurons.scoring import network

        return getattr(network, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
