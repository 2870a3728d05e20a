"""What every benchmark does to the machine it runs on, and how it says so."""

import contextlib
import os
import resource
import sys
from pathlib import Path


def note(text):
    """Says something beside the results."""
    print(f"# {text}", file=sys.stderr, flush=True)


def take_weight(arguments):
    """Raises the weight of this process on a busy machine, and the limit on files.

    With autogroup scheduling a nice value counts only within its session, so
    this becomes a session of its own and gives that one weight.
    """
    with contextlib.suppress(OSError):
        os.setsid()
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(arguments.autogroup_nice, encoding="ascii")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
