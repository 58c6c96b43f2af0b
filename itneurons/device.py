"""What a run stands on: the versions of its libraries, the device it computes on, and its seeds."""

import contextlib
import importlib.metadata
import platform
import random

import numpy as np
import torch


def show_versions(*packages):
    """Print the versions of Python and of installed packages, a line each.

    Parameters
    ----------
    *packages : str
        Names as pip knows them; the ones that every notebook stands on when left out.
    """
    print(f"{'Python':13s} {platform.python_version()}")
    for name in packages or ("numpy", "scikit-learn", "torch", "torchvision", "himalaya", "h5py"):
        print(f"{name:13s} {importlib.metadata.version(name)}")


def get_device():
    """The fastest device here: cuda, mps or cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_bfloat16(device="cpu"):
    """Whether the processor multiplies bfloat16 in hardware, so that it is faster than float32."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported()
    if torch.device(device).type != "cpu":
        return False
    # older versions of torch cannot tell: then the safe answer is no
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def autocast(device, bfloat16):
    """Compute in bfloat16 inside the block, where that is safe and asked for."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=bfloat16)


def seed_everything(seed):
    """Seed Python, numpy, torch and CUDA, and ask cuDNN for deterministic algorithms."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


@contextlib.contextmanager
def seeded(seed):
    """Draw all that torch draws inside the block from a seed, and leave the session's generators as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
