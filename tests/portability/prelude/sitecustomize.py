"""Takes away what Windows or macOS lacks, before anything else is imported.

Python imports a module of this name at its start from wherever PYTHONPATH says; children inherit
that. It imports nothing of the project, and what it removes stays removed for the standard library
too: what that needs on Linux (os.pipe, fcntl's own users) is left alone.
"""

import importlib.abc
import os
import select
import signal
import sys

MODULES = {"fcntl", "resource", "pwd", "grp"}
NAMES = {
    os: (
        "set_blocking", "getuid", "geteuid", "fork", "forkpty", "fdatasync",
        "posix_fallocate", "ctermid", "O_NOFOLLOW", "O_DIRECTORY", "O_NOCTTY",
        *(name for name in dir(os) if name.startswith("sched_")),
    ),
    select: ("poll", "epoll"),
    signal: ("SIGHUP",),
}  # fmt: skip


class Missing(importlib.abc.MetaPathFinder):
    """Says of the modules that there are none."""

    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r} (taken away)", name=name)
        return


for module, names in NAMES.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
sys.stripped_of_posix = True
