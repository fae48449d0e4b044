"""What the assistant beside this file can do."""

import shutil


def disk_usage(path: str = "/") -> str:
    """How full a disk is.

    Args:
        path: Any path on it.
    """
    usage = shutil.disk_usage(path)
    return f"{usage.used * 100 // usage.total} % of {usage.total // 1_000_000:,} MB used"
