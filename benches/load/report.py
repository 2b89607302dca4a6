"""Writes what the load test found as a Markdown page."""

import shlex
from statistics import median

import instructions
import machine
from field import TITLES

HEAD = """| proxy | req/s | p50 | p99 | CPU per request | RSS | CPU ÷ bare Pingora | CPU ÷ nginx | req/s ÷ bare Pingora | req/s ÷ nginx | rounds |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""

READING = """Each figure is the median over the undisturbed rounds, whose number is in the last column; a ratio is the median of
the ratios within each round. A row marked `*` had no undisturbed round, and shows all of them. In a virtual machine the speed of a core
changes from minute to minute: trust the ratios, and the counts below, more than requests per second."""


def line(row: dict) -> str:
    """One turn, for the terminal."""
    cpu = f"{row['cpu_us']:6.1f} us CPU" if row["cpu_us"] else " " * 13
    mark = "" if row["valid"] else f"  disturbed: others {row['others']}, steal {row['steal']} {row['errors']}"
    return f"round {row['round'] + 1}  c{row['concurrency']:<4} {row['name']:<26} {row['rps']:9,.0f} req/s {cpu}{mark}"


def page(day: str, arguments: list[str], options, rows: list[dict], counted: tuple[dict, dict]) -> str:
    counts, calls = counted
    parts = [
        f"# Load test, {day}",
        facts(arguments, options),
        READING,
        *(f"## {connections(n)}\n\n{load_table(rows, n, options.only)}" for n in options.concurrency),
    ]
    if counts:
        parts.append(f"## Counts, exact on any machine\n\n{instructions.table(counts, calls)}")
    return "\n\n".join(parts) + "\n"


def connections(n: int) -> str:
    return "1 connection" if n == 1 else f"{n} connections"


def facts(arguments: list[str], options) -> str:
    nginx, wrk = machine.version("nginx", "-v"), machine.version("wrk", "-v")
    return "\n".join(
        [
            f"- Command: `{shlex.join(['./scripts/bench', *arguments])}` at commit {machine.commit()}: "
            f"{options.rounds} rounds, {options.seconds} s each; the method is in [benches/load](../../benches/load/README.md)",
            f"- Machine: {machine.description()}; the proxy on one core with one thread, load and app on another",
            f"- Versions: {nginx.removeprefix('nginx version: ')}, {' '.join(wrk.split()[:2])}, "
            f"{machine.version('rustc', '--version')}, {machine.version('valgrind', '--version')}",
        ]
    )


def load_table(rows: list[dict], concurrency: int, names: list[str]) -> str:
    rounds = {(row["name"], row["round"]): row for row in rows if row["concurrency"] == concurrency}
    return "\n".join([HEAD, *(load_row(rounds, name) for name in names)])


def load_row(rounds: dict[tuple[str, int], dict], name: str) -> str:
    mine = [row for (other, _), row in rounds.items() if other == name]
    valid = [row for row in mine if row["valid"]]
    shown = valid or mine
    mark = "" if valid else " *"
    cells = [
        f"{TITLES[name]}{mark}",
        f"{median(row['rps'] for row in shown):,.0f}",
        duration(median(row["p50_us"] for row in shown)),
        duration(median(row["p99_us"] for row in shown)),
        "–" if shown[0]["cpu_us"] is None else f"{median(row['cpu_us'] for row in shown):.1f} µs",
        "–" if shown[0]["rss_kib"] is None else f"{median(row['rss_kib'] for row in shown) / 1024:.1f} MiB",
        *(ratio(rounds, shown, key, other) for key in ("cpu_us", "rps") for other in ("bare-pingora", "nginx")),
        f"{len(valid)} of {len(mine)}",
    ]
    return f"| {' | '.join(cells)} |"


def ratio(rounds: dict[tuple[str, int], dict], shown: list[dict], key: str, other: str) -> str:
    """Median, least and greatest ratio to OTHER in the same round."""
    pairs = [(row, rounds.get((other, row["round"]))) for row in shown]
    ratios = [row[key] / base[key] for row, base in pairs if base and base["valid"] >= row["valid"] and row[key] and base[key]]
    if not ratios:
        return "–"
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def duration(microseconds: float) -> str:
    return f"{microseconds:.0f} µs" if microseconds < 1000 else f"{microseconds / 1000:.2f} ms"
