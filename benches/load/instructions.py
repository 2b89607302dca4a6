"""Counts what one request costs: user-space instructions (callgrind) and system calls (strace).

A proxy serves FEW requests in one run and MANY in another, on one keep-alive connection; the difference of the two
counts, divided by the difference of the requests, is one request without start-up. It does not depend on how busy the
machine is. Run by itself it compares Gatekeep with bare Pingora and fails when their ratio exceeds instructions.limit.
"""

import argparse
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import build
import machine
from field import TITLES, Field, Proxy

HERE = Path(__file__).resolve().parent
FEW, MANY = 500, 2500
COUNTED = ["bare-pingora", "gatekeep-public", "gatekeep-signed-in"]


def instructions_per_request(name: str, directory: Path, binaries: build.Binaries, few=FEW, many=MANY) -> float:
    def run(requests: int) -> int:
        def callgrind(command: list[str], _numbers=iter(range(100))) -> list[str]:
            out = directory / f"callgrind-{requests}-{next(_numbers)}.out"
            return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command]

        counts = serve(name, directory, binaries, callgrind, requests, "callgrind-*.out")
        return sum(int(re.findall(r"^(?:summary|totals): (\d+)", text, re.M)[-1]) for text in counts)

    return (run(many) - run(few)) / (many - few)


def calls_per_request(name: str, directory: Path, binaries: build.Binaries, few=FEW, many=MANY) -> dict[str, float] | None:
    """System call -> how many of it a request makes; None where tracing is not allowed."""
    if not may_trace():
        return None

    def run(requests: int) -> Counter:
        def strace(command: list[str], _numbers=iter(range(100))) -> list[str]:
            return ["strace", "-f", "-c", "-o", str(directory / f"strace-{requests}-{next(_numbers)}.out"), *command]

        counts = serve(name, directory, binaries, strace, requests, "strace-*.out")
        row = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.M)
        return Counter({call: int(n) for text in counts for n, call in row.findall(text) if call != "total"})

    more, less = run(many), run(few)
    calls = {call: (more[call] - less[call]) / (many - few) for call in more}
    return {call: n for call, n in sorted(calls.items(), key=lambda item: -item[1]) if n > 0.03}


def serve(name, directory: Path, binaries, wrapper, requests: int, pattern: str) -> list[str]:
    """Lets a proxy under a counting tool answer REQUESTS; what the tool wrote."""
    for old in directory.glob(pattern):
        old.unlink()
    with Field(directory, binaries, wrapper, single_process=True) as field:
        proxy = field.proxy(name)
        proxy.check()
        ask_repeatedly(proxy, requests)
    written = [file.read_text() for file in directory.glob(pattern)]
    if not written or not all(written):
        raise SystemExit(f"error: no counts were written for {name}; see {directory}")
    return written


def ask_repeatedly(proxy: Proxy, requests: int) -> None:
    """Sends REQUESTS one after the other over one connection."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in proxy.headers.items())
    request = f"GET {proxy.path} HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\n{headers}\r\n".encode()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(requests):
            connection.sendall(request)
            read_answer(connection, proxy.name)


def read_answer(connection: socket.socket, name: str) -> None:
    def more(received: bytes) -> bytes:
        piece = connection.recv(65536)
        if not piece:
            raise SystemExit(f"error: {name} closed the connection in the middle")
        return received + piece

    received = b""
    while b"\r\n\r\n" not in received:
        received = more(received)
    head, body = received.split(b"\r\n\r\n", 1)
    if b" 200 " not in head[:20]:
        raise SystemExit(f"error: {name} answered {head[:200]!r}")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        body = more(body)


def may_trace() -> bool:
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL).returncode == 0


def table(instructions: dict[str, float], calls: dict[str, dict[str, float] | None] | None = None) -> str:
    """A Markdown table of what was counted."""
    bare = instructions.get("bare-pingora")
    lines = ["| proxy | instructions per request | ÷ bare Pingora |" + (" system calls per request |" if calls else "")]
    lines.append("|---|---:|---:|" + ("---|" if calls else ""))
    for name, count in instructions.items():
        line = f"| {TITLES[name]} | {count:,.0f} | {f'{count / bare:.3f}' if bare else '–'} |"
        if calls:
            each = calls[name]
            line += " not allowed here |" if each is None else f" {sum(each.values()):.1f} ({spell(each)}) |"
        lines.append(line)
    return "\n".join(lines)


def spell(calls: dict[str, float]) -> str:
    return ", ".join(f"{call} {n:.2g}" for call, n in calls.items())


def main() -> None:
    parser = argparse.ArgumentParser(description="Counts instructions per request, against a limit.")
    build.add_options(parser)
    options = parser.parse_args()
    machine.prepare()
    limit = float((HERE / "instructions.limit").read_text())
    binaries = build.binaries(options, COUNTED, "release")
    counts = {}
    for name in COUNTED:
        print(f"Counting {name} …", flush=True)
        counts[name] = instructions_per_request(name, build.TOP / "target/bench/instructions", binaries)
    print(f"\n{table(counts)}\n")
    ratio = counts["gatekeep-signed-in"] / counts["bare-pingora"]
    if ratio > limit:
        sys.exit(
            f"error: a signed-in request takes {ratio:.3f} times the instructions of bare Pingora; "
            f"the limit is {limit} (benches/load/instructions.limit)"
        )
    print(f"A signed-in request takes {ratio:.3f} times the instructions of bare Pingora, within the limit of {limit}.")


if __name__ == "__main__":
    main()
