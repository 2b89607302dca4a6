"""The field: the app, and every proxy that is measured in front of it, each on a free port of loopback.

Ends only the processes it started.
"""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import machine
from build import Binaries
from sign_in import sign_in

TEMPLATES = Path(__file__).resolve().parent / "templates"
BODY = "x" * 1024

# Every proxy that can be measured, in the order of the tables.
TITLES = {
    "direct": "the app itself",
    "nginx": "nginx `proxy_pass`",
    "nginx-auth-request": "nginx + `auth_request`",
    "bare-pingora": "bare Pingora",
    "gatekeep-public": "**Gatekeep**, public path",
    "gatekeep-signed-in": "**Gatekeep**, signed in",
    "gatekeep-public-no-log": "Gatekeep, public path, no access log",
    "gatekeep-signed-in-no-log": "Gatekeep, signed in, no access log",
    "gatekeep-github-blob": "**Gatekeep**, GitHub's API, a fresh blob",
    "gatekeep-github-commit": "**Gatekeep**, GitHub's API, a fresh commit",
}

# What is asked of GitHub's API, below a repository: named by its own hash, so that it stays fresh. A blob
# has one URL to turn towards the gateway, a commit of 3.5 kB fifty.
OBJECTS = {"blob": "git/blobs", "commit": "commits"}
REPOSITORY = "/github/repos/octocat/hello-world"


# As long as a session's cookie: every proxy gets a request of the same size.
OTHER_COOKIE = "gatekeep=" + "x" * 43


@dataclass(frozen=True)
class Proxy:
    """What to ask, and whose CPU time and memory the answer costs."""

    name: str
    port: int
    processes: tuple[subprocess.Popen, ...] = ()
    path: str = "/k"
    headers: dict[str, str] = field(default_factory=lambda: {"Cookie": OTHER_COOKIE})
    body: str | None = BODY  # None: GitHub's

    def pids(self) -> list[int]:
        return [pid for process in self.processes for pid in machine.family(process.pid)]

    def check(self) -> None:
        """Fails unless the app's answer comes through: nobody wants the speed of an error page."""
        status, _, body = self.ask(self.path)
        if status != 200 or body != (self.body or body):
            raise SystemExit(f"error: {self.name} answered {status} instead of the app's page:\n{body[:600]}")
        if self.body is None and "; hit" not in (said := self.ask(self.path)[1]):
            raise SystemExit(f"error: {self.name} answered what is not fresh: {said}")

    def ask(self, path: str) -> tuple[int, str, str]:
        """Status, `Cache-Status`, and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers=self.headers)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, answer.getheader("Cache-Status", ""), body


class Field:
    """Starts proxies by name. WRAPPER, where given, is put in front of the command of each measured process."""

    def __init__(self, directory: Path, binaries: Binaries, wrapper=lambda command: command, single_process=False):
        self.directory = directory
        self.binaries = binaries
        self.wrapper = wrapper
        self.single_process = single_process
        self.started: list[subprocess.Popen] = []
        self.gatekeep = cache(self.start_gatekeep)  # one process serves the signed-in and the public path
        directory.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Field":
        try:
            (self.app_port,) = machine.free_ports(1)
            self.app = self.nginx("upstream", self.app_port, measured=False, BODY=BODY)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        """Interrupts all at once, and waits for each: callgrind and strace write their counts at the end."""
        for process in reversed(self.started):
            if process.poll() is None:
                interrupt(machine.family(process.pid))
        deadline = time.monotonic() + 30
        for process in self.started:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                print(f"warning: {process.args[0]} did not stop when interrupted; killed", flush=True)
                process.kill()
                process.wait()
        self.started.clear()

    # === the proxies ===

    def proxy(self, name: str) -> Proxy:
        if name == "direct":
            return Proxy(name, self.app_port)
        if name == "nginx":
            (port,) = machine.free_ports(1)
            return Proxy(name, port, (self.nginx("proxy", port),))
        if name == "nginx-auth-request":
            port, auth = machine.free_ports(2)
            processes = self.nginx("auth", auth), self.nginx("auth_request", port, AUTH=auth)
            return Proxy(name, port, processes)
        if name == "bare-pingora":
            (port,) = machine.free_ports(1)
            command = [self.binaries.bare, f"127.0.0.1:{port}", f"127.0.0.1:{self.app_port}", "1"]
            return Proxy(name, port, (self.start(name, command, port),))
        return self.gatekeep_proxy(name)

    def gatekeep_proxy(self, name: str) -> Proxy:
        process, port = self.gatekeep("false" if name.endswith("no-log") else "true")
        if "public" in name:
            return Proxy(name, port, (process,), path="/public/k")
        headers = {"Cookie": sign_in(f"http://127.0.0.1:{port}/k", person="octocat")}
        if "github" in name:
            return github_proxy(Proxy(name, port, (process,), headers=headers, body=None))
        return Proxy(name, port, (process,), headers=headers)

    def start_gatekeep(self, access_log: str) -> tuple[subprocess.Popen, int]:
        github = self.github()
        port, admin = machine.free_ports(2)
        configuration = self.write(
            f"gatekeep-log-{access_log}.yaml",
            fill(
                "gatekeep.yaml",
                PORT=port,
                ADMIN=admin,
                UPSTREAM=self.app_port,
                SECRET=secrets.token_urlsafe(48),
                CLIENT_ID=github["client_id"],
                CLIENT_SECRET=github["client_secret"],
                GITHUB=github["url"].rstrip("/"),
                ACCESS_LOG=access_log,
            ),
        )
        process = self.start(f"gatekeep-log-{access_log}", [self.binaries.gatekeep, "run", str(configuration)], port)
        return process, port

    def github(self) -> dict[str, str]:
        """A simulated GitHub of its own for each Gatekeep: where it is, and the OAuth app registered there."""
        (port,) = machine.free_ports(1)
        command = [self.binaries.gatekeep, "simulate", "--listen", f"127.0.0.1:{port}"]
        process = self.start("github", command, port, measured=False, stdout=subprocess.PIPE)
        return json.loads(process.stdout.readline())

    def nginx(self, servers: str, port: int, measured: bool = True, **values) -> subprocess.Popen:
        directory = self.directory / f"nginx-{servers}"
        directory.mkdir(parents=True, exist_ok=True)
        configuration = fill(
            "nginx.conf",
            MASTER="off" if self.single_process else "on",
            DIRECTORY=directory,
            SERVERS=fill(f"{servers}.conf", PORT=port, UPSTREAM=getattr(self, "app_port", ""), **values),
        )
        file = self.write(f"nginx-{servers}/nginx.conf", configuration)
        command = ["nginx", "-e", str(directory / "error.log"), "-p", str(directory), "-c", str(file)]
        return self.start(f"nginx-{servers}", command, port, measured)

    # === processes and files ===

    def start(self, name: str, command: list[str], port: int, measured=True, stdout=subprocess.DEVNULL):
        """Runs COMMAND, measured ones on the proxies' core, and waits until it listens on PORT."""
        core = machine.PROXY_CORE if measured else machine.LOAD_CORE
        errors = self.directory / f"{name}.stderr"
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                self.wrapper(command) if measured else command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                preexec_fn=partial(os.sched_setaffinity, 0, {core}),
            )
        self.started.append(process)
        deadline = time.monotonic() + 60
        while not listening(port):
            if process.poll() is not None:
                raise SystemExit(f"error: {name} ended at once: {' '.join(process.args)}\n{errors.read_text()[-2000:]}")
            if time.monotonic() > deadline:
                raise SystemExit(f"error: {name} does not listen on port {port}; what it said is in {errors}")
            time.sleep(0.05)
        return process

    def write(self, name: str, text: str) -> Path:
        file = self.directory / name
        file.write_text(text)
        return file


def github_proxy(proxy: Proxy) -> Proxy:
    """Asks for the youngest object of its kind in a repository of the simulated GitHub."""
    kind = proxy.name.rsplit("-", 1)[1]
    where = {"blob": "contents/README.md", "commit": "commits/main"}[kind]
    status, _, body = proxy.ask(f"{REPOSITORY}/{where}")
    if status != 200:
        raise SystemExit(f"error: {proxy.name} answered {status}:\n{body[:600]}")
    return replace(proxy, path=f"{REPOSITORY}/{OBJECTS[kind]}/{json.loads(body)['sha']}")


def fill(template: str, **values) -> str:
    text = (TEMPLATES / template).read_text()
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", str(value))
    return text


def interrupt(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)


def listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False
