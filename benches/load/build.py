"""Builds the two Rust programs the load test runs: Gatekeep and bare Pingora."""

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Binaries:
    """Where the programs are; None for one that no proxy needs."""

    gatekeep: str | None
    bare: str | None


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gatekeep", metavar="FILE", help="measure this binary instead of building one")
    parser.add_argument("--bare", metavar="FILE", help="the same for bare Pingora")


def binaries(options: argparse.Namespace, names: list[str], profile: str) -> Binaries:
    """The binaries that the proxies of these NAMES need: those given, and the others built, in one go."""
    targets = []
    if any(name.startswith("gatekeep") for name in names) and not options.gatekeep:
        targets += ["--bin", "gatekeep"]
    if "bare-pingora" in names and not options.bare:
        targets += ["--bench", "bare"]
    built = cargo_build(profile, targets) if targets else {}
    return Binaries(options.gatekeep or built.get("gatekeep"), options.bare or built.get("bare"))


def cargo_build(profile: str, targets: list[str]) -> dict[str, str]:
    """Target name -> executable. One command for both, so that they share one build of the dependencies."""
    command = ["cargo", "build", "--profile", profile, "--locked", *targets]
    print("Building:", " ".join(command), flush=True)
    command.append("--message-format=json-render-diagnostics")
    cargo = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, text=True)
    if cargo.returncode != 0:
        raise SystemExit("error: the build failed")
    messages = [json.loads(line) for line in cargo.stdout.splitlines() if line.startswith("{")]
    return {m["target"]["name"]: m["executable"] for m in messages if m.get("executable")}
