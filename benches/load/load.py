"""The load test: every proxy under the same load, in turn, round after round. See README.md beside this file."""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import build
import instructions
import machine
import report
from field import TITLES, Field, Proxy

DISTURBANCE = 0.08  # cores that others, or the hypervisor, may take before a row no longer counts


def main() -> None:
    options = parse()
    if len(machine.CORES) < 2:
        raise SystemExit("error: the load test needs two cores: one for the proxy, one for the load")
    machine.prepare()
    binaries = build.binaries(options, options.only, "dist")
    day = datetime.date.today().isoformat()
    directory = build.TOP / "target/bench"
    directory.mkdir(parents=True, exist_ok=True)
    raw = directory / f"{day}-load.jsonl"
    rows = measure(options, binaries, directory, raw)
    counted = count(options, binaries, directory / "instructions")
    results = options.output or build.TOP / f"docs/results/{day}-load.md"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(report.page(day, sys.argv[1:], options, rows, counted))
    print(f"\n{results.read_text()}\nWritten to {results}; every row is in {raw}.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures Gatekeep beside nginx and bare Pingora.")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each proxy has its turn (8)")
    parser.add_argument("--seconds", type=int, metavar="S", help="how long a turn lasts (3)")
    parser.add_argument("--concurrency", type=numbers, metavar="1,64", help="connections open at once (1,64)")
    parser.add_argument("--only", type=names, metavar="A,B", default=list(TITLES), help=f"of {', '.join(TITLES)}")
    parser.add_argument("--quick", action="store_true", help="a look in a minute: one round of 2 s at 64, few requests counted")
    parser.add_argument("--output", type=Path, metavar="FILE", help="instead of docs/results/DATE-load.md")
    build.add_options(parser)
    options = parser.parse_args()
    rounds, seconds, concurrency = (1, 2, [64]) if options.quick else (8, 3, [1, 64])
    options.rounds = options.rounds or rounds
    options.seconds = options.seconds or seconds
    options.concurrency = options.concurrency or concurrency
    return options


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def names(text: str) -> list[str]:
    asked = text.split(",")
    unknown = [name for name in asked if name not in TITLES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(TITLES)}")
    return [name for name in TITLES if name in asked]


def measure(options, binaries, directory: Path, raw: Path) -> list[dict]:
    """All rows. Within a round the proxies follow each other closely, each round beginning with another one."""
    turns = options.rounds * len(options.concurrency) * len(options.only)
    print(f"{turns} turns of {options.seconds} s: about {turns * (options.seconds + 0.3) / 60:.0f} min", flush=True)
    rows = []
    with Field(directory / "field", binaries) as field, raw.open("w") as file:
        proxies = [field.proxy(name) for name in options.only]
        for proxy in proxies:
            proxy.check()
            wrk(proxy, 64, 1)  # warms up
        for number in range(options.rounds):
            first = number % len(proxies)
            for concurrency in options.concurrency:
                for proxy in proxies[first:] + proxies[:first]:
                    row = {"round": number, "concurrency": concurrency} | turn(field, proxy, concurrency, options.seconds)
                    rows.append(row)
                    file.write(json.dumps(row) + "\n")
                    print(report.line(row), flush=True)
    return rows


def turn(field: Field, proxy: Proxy, concurrency: int, seconds: int) -> dict:
    """One proxy under load, and who else used the CPU meanwhile."""
    pids, app = proxy.pids(), machine.family(field.app.pid)
    machine_before, proxy_before, app_before = machine.Moment.now(), machine.cpu_seconds(pids), machine.cpu_seconds(app)
    began = time.monotonic()
    load = wrk(proxy, concurrency, seconds)
    wall = time.monotonic() - began
    used, cpu, app_cpu = machine.Moment.now() - machine_before, machine.cpu_seconds(pids), machine.cpu_seconds(app)
    cpu, app_cpu = cpu - proxy_before, app_cpu - app_before
    others = (used.busy - used.ended - cpu - app_cpu) / wall
    steal = used.steal / wall
    return load | {
        "name": proxy.name,
        "cpu_us": cpu / load["requests"] * 1e6 if pids else None,
        "rss_kib": machine.resident_kib(pids) if pids else None,
        "others": round(others, 3),
        "steal": round(steal, 3),
        "valid": others < DISTURBANCE and steal < DISTURBANCE and not load["errors"],
    }


def wrk(proxy: Proxy, concurrency: int, seconds: int) -> dict:
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "--timeout", "5s"]
    for name, value in proxy.headers.items():
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://127.0.0.1:{proxy.port}{proxy.path}")
    pin = partial(os.sched_setaffinity, 0, {machine.LOAD_CORE})
    run = subprocess.run(command, preexec_fn=pin, capture_output=True, text=True, timeout=seconds + 60, check=True)
    said = run.stdout
    latency = dict(re.findall(r"^\s+(50|99)%\s+(\S+)", said, re.M))
    return {
        "requests": int(re.search(r"(\d+) requests in", said)[1]),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        "p50_us": microseconds(latency["50"]),
        "p99_us": microseconds(latency["99"]),
        "errors": " ".join(re.findall(r"(?:Socket errors|Non-2xx or 3xx responses): .*", said)),
    }


def microseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def count(options, binaries, directory: Path) -> tuple[dict, dict]:
    """Instructions and system calls per request of all proxies (`direct` is none)."""
    size = {"few": 100, "many": 500} if options.quick else {}
    counts, calls = {}, {}
    for name in [name for name in options.only if name != "direct"]:
        print(f"Counting {name} …", flush=True)
        counts[name] = instructions.instructions_per_request(name, directory, binaries, **size)
        calls[name] = instructions.calls_per_request(name, directory, binaries, **size)
    return counts, calls


if __name__ == "__main__":
    main()
