"""The control groups that this process is in: what a container or a scheduler allows it.

cgroup v2 has one tree (`/proc/self/cgroup` line `0::/path`); v1 one for each controller
(`4:memory:/path`). Limits hold for a group and everything below it, so each group from
ours up to the mounted root is asked. Sources: cgroups(7), proc_pid_mountinfo(5).
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

NO_LIMIT_FROM = 2**60
"""v1 says "no limit" with a number just below 2**63."""


@dataclass(frozen=True)
class Group:
    """One control group's folder, and the version of its files."""

    folder: Path
    version: int

    def number(self, name: str) -> int | None:
        """The number in a file; None if there is no such file, or it says "max"."""
        words = self.words(name)
        return int(words[0]) if words and words[0].lstrip("-").isdigit() else None

    def words(self, name: str) -> list[str]:
        """What stands in a file, split at white space; empty if there is no such file."""
        try:
            return (self.folder / name).read_text(encoding="ascii").split()
        except (OSError, UnicodeDecodeError):
            return []

    def quota_cores(self) -> float | None:
        """CPU time allowed per time, in cores; None without a quota."""
        if self.version == 2:
            words = self.words("cpu.max")
            if len(words) != 2 or not all(word.isdigit() for word in words):
                return None
            quota, period = int(words[0]), int(words[1])
        else:
            quota = self.number("cpu.cfs_quota_us") or -1
            period = self.number("cpu.cfs_period_us") or 0
        return quota / period if quota > 0 and period > 0 else None

    def memory_limit(self) -> int | None:
        """Bytes it may hold; None without a limit."""
        limit = self.number("memory.max" if self.version == 2 else "memory.limit_in_bytes")
        return limit if limit is not None and limit < NO_LIMIT_FROM else None

    def memory_free(self) -> int | None:
        """Bytes left to its limit; cached files that the kernel would drop count as free."""
        limit = self.memory_limit()
        used = self.number("memory.current" if self.version == 2 else "memory.usage_in_bytes")
        if limit is None or used is None:
            return limit
        stat = self.words("memory.stat")
        figures = dict(zip(stat[::2], stat[1::2], strict=False))
        # active: read more than once, as a data set's files are
        of_all = "" if self.version == 2 else "total_"
        names = (f"{of_all}inactive_file", f"{of_all}active_file")
        return max(0, limit - used + sum(int(figures.get(name, "0")) for name in names))


def groups_of(controller: str, root: Path = Path("/")) -> list[Group]:
    """The groups that bind this process for "cpu" or "memory", ours first, then its parents."""
    found: list[Group] = []
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found += _chain(root, "", path, version=2)
        elif controller in controllers.split(","):
            found += _chain(root, controller, path, version=1)
    return found


def _chain(root: Path, controller: str, path: str, version: int) -> list[Group]:
    """The folders from the group's own up to where its tree is mounted."""
    mounted_root, mount_point = _mount(root, controller)
    mount = root / mount_point.lstrip("/")
    try:
        relative = PurePosixPath(path).relative_to(mounted_root)
    except ValueError:
        # another namespace's name for it: only the mounted part can be seen
        relative = PurePosixPath()
    if ".." in relative.parts:
        relative = PurePosixPath()
    folders = [mount / parent for parent in (relative, *relative.parents)]
    return [Group(folder, version) for folder in dict.fromkeys(folders)]


def _mount(root: Path, controller: str) -> tuple[str, str]:
    """Which part of a tree is mounted, and where; an empty controller is v2's tree.

    A line: `31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw`.
    """
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if len(left) < 5 or len(right) < 3:
            continue
        is_v2 = right[0] == "cgroup2" and not controller
        is_v1 = right[0] == "cgroup" and controller in right[2].split(",")
        if is_v2 or (is_v1 and controller):
            return left[3], left[4]
    return "/", f"/sys/fs/cgroup/{controller}"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
