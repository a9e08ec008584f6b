"""Where something ran: machine, versions and commit."""

import os
import platform
import shutil
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from shlex import quote

PACKAGES = ("sparring", "torch", "torchvision", "lightning-fabric", "kornia", "timm", "numpy")


def environment(*others: str) -> dict[str, str | int]:
    """Machine, versions (of `others` too) and commit."""
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "processor": _processor(),
        "cores": core_count(),
        **_gpus(),
        "python": platform.python_version(),
        **{package: version(package) for package in (*PACKAGES, *others)},
        "commit": _commit(),
    }


def _gpus() -> dict[str, str]:
    """Names of the GPUs that torch sees, if it sees any."""
    import torch

    names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    return {"gpus": ", ".join(names)} if names else {}


def command() -> str:
    """How a shell finds the `sparring` command: by its name, or by the path it was called by."""
    called = Path(sys.argv[0])
    return quote(str(called)) if called.name == "sparring" and not shutil.which("sparring") else "sparring"


def core_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    """Its name, and family and model where Linux tells them: clouds give machines of unequal speed one name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    first = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    if "model name" not in first:
        return platform.processor()
    numbers = f" (family {first['cpu family']}, model {first['model']})" if "cpu family" in first else ""
    return first["model name"] + numbers


def _commit() -> str:
    """The commit of the source tree this package is run from, with a plus where it was changed; empty elsewhere."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # it is ours, not a project of its user
        return _git(*["describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"])
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*words: str) -> str:
    """What git says of the folder this package lies in."""
    command = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
