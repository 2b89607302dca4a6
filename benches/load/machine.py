"""What this machine says about itself: CPU time, memory, free ports, versions. Reads Linux's /proc."""

import os
import platform
import re
import resource
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE = CORES[0]
LOAD_CORE = CORES[1 % len(CORES)]


def prepare() -> None:
    """Many open connections, and an orderly end (which stops what was started) on SIGTERM too."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: exit("stopped"))


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on; all held until all are found, so they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def family(pid: int) -> list[int]:
    """A process and its descendants. Threads and processes may end while they are listed."""
    pids = [pid]
    for task in glob(f"/proc/{pid}/task/*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in Path(task).read_text().split():
                pids += family(int(child))
    return pids


def cpu_seconds(pids: list[int]) -> float:
    """User and system time that processes have used so far."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(f[11]) + int(f[12]) for f in fields) / TICKS


def resident_kib(pids: list[int]) -> int:
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(re.search(r"VmRSS:\s+(\d+)", s)[1]) for s in statuses)


@dataclass(frozen=True)
class Moment:
    """CPU seconds of the whole machine, and of the children that have ended."""

    busy: float
    steal: float
    ended: float

    @classmethod
    def now(cls) -> "Moment":
        user, nice, system, _, _, irq, softirq, steal = [
            int(field) / TICKS for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        ]
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(user + nice + system + irq + softirq, steal, children.ru_utime + children.ru_stime)

    def __sub__(self, earlier: "Moment") -> "Moment":
        return Moment(self.busy - earlier.busy, self.steal - earlier.steal, self.ended - earlier.ended)


def description() -> str:
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else platform.machine()
    return f"{name}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"


def version(*command: str) -> str:
    """The first line a program prints about its version, to whichever stream."""
    try:
        said = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return f"{command[0]} not found"
    return (said.stdout + said.stderr).strip().split("\n")[0]


def commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown"
