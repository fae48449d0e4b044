"""A sandbox around one command, made by bubblewrap: what it cannot reach, it cannot touch.

The file system is read-only but for the folders in `write`; `/tmp`, `/var/tmp`, `/run` and `/dev/shm` are empty and
its own, so that the sockets of services there are out of reach too; it sees no process but its own and, unless asked
for, no network, not even this machine's. It does see every file elsewhere that the user can read, and a socket there
still answers. What asks about this machine (`ps`, `systemctl`, `docker`) is answered about the sandbox.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gemmagraph.tools.errors import ToolDefinitionError

_EMPTY: Final = ("/tmp", "/var/tmp", "/run", "/dev/shm")
_NAME_SERVICE: Final = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/nscd")
"""Where the files that resolve names may stand."""
_SOFTWARE: Final = ("/run/current-system", "/run/wrappers")
"""Where NixOS has its programs."""
_KNOBS: Final = {
    "/proc/sys/user/max_user_namespaces": "0",
    "/proc/sys/kernel/unprivileged_userns_clone": "0",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
}
"""Settings that keep bubblewrap from running where it is not set up by root, with the value that does."""
_PROBE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a command may do beyond reading files and computing."""

    network: bool = False
    """Reach the network, and the services of this machine that listen there."""
    write: tuple[str, ...] = ()
    """Folders and files in which it may write, by their whole paths. They must exist when it runs."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "write", tuple(os.fspath(path) for path in self.write))
        for path in self.write:
            if not os.path.isabs(path) or "\0" in path or os.path.normpath(path) in ("/", "//"):
                raise ToolDefinitionError(
                    f"A sandbox cannot have {path!r} to write in.", hint="Give the whole path of a folder below /."
                )

    def missing(self) -> str | None:
        """Why there can be no sandbox here, as far as it shows without starting anything."""
        if sys.platform != "linux":
            return "the sandbox is bubblewrap, which runs on Linux only"
        if _bubblewrap() is None:
            return "bubblewrap is not installed (the program bwrap is not on the PATH)"
        return None

    def refusal(self) -> str | None:
        """Why a command cannot run in it here; None if it can. Tried once, which takes some milliseconds."""
        return self.missing() or _tried(str(_bubblewrap()), self.network)

    def around(self, argv: Sequence[str], cwd: str) -> list[str]:
        """The command that runs `argv`, whose program is an absolute path, in this sandbox."""
        own = [part for path in _EMPTY if os.path.isdir(path) for part in ("--tmpfs", path)]
        if self.network:
            own += _bound("--ro-bind-try", *_NAME_SERVICE)
        own += _bound("--ro-bind-try", *_SOFTWARE)
        # What lies below an emptied folder, the program or where it starts, is there all the same.
        needed = (cwd, os.path.realpath(cwd), argv[0], os.path.realpath(argv[0]))
        own += _bound("--ro-bind", *(path for path in needed if _emptied(path)))
        return [
            str(_bubblewrap()),
            *_walls(self.network),
            *own,
            *_bound("--bind", *map(os.path.realpath, self.write)),
            *("--chdir", cwd, "--", *argv),
        ]


def _walls(network: bool) -> list[str]:
    walls = ["--die-with-parent", "--unshare-user-try", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    # Root would keep the right to mount everything anew, writable.
    walls += ["--unshare-cgroup-try", "--cap-drop", "ALL", *([] if network else ["--unshare-net"])]
    return [*walls, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]


def _bound(how: str, *paths: str) -> list[str]:
    return [part for path in paths for part in (how, path, path)]


def _emptied(path: str) -> bool:
    return any(Path(os.path.normpath(path)).is_relative_to(top) for top in _EMPTY) and path not in _EMPTY


def _bubblewrap() -> str | None:
    return shutil.which("bwrap")


@functools.cache
def _tried(bubblewrap: str, network: bool) -> str | None:
    command = [bubblewrap, *_walls(network), "--", bubblewrap, "--version"]
    try:
        ran = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROBE_SECONDS, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"bubblewrap cannot run here: {exc}"
    if ran.returncode == 0:
        return None
    said = ran.stderr.decode(errors="replace").strip().removeprefix("bwrap: ") or f"exit code {ran.returncode}"
    knobs = [name.removeprefix("/proc/sys/") for name, off in _KNOBS.items() if _setting(name) == off]
    because = f" (as set here in {' and '.join(knobs)})" if knobs else ""
    return f"bubblewrap cannot run here: {said}{because}"


def _setting(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except OSError:
        return ""
