#!/usr/bin/env python3
"""Runs signaling servers one after another under the load generator, in turn and
several times over, and writes one line of JSON for each measurement.

`run` builds what this measures and calls it; README.md says what the numbers mean.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import note, take_weight  # noqa: E402 (the folder above has to be found first)

# The generator's options and what it does.
WORK = {
    "idle": "--sessions {idle} --window 32 --seconds 10 idle",
    "relay": "--sessions 2000 --rate 10 --seconds {seconds} relay",
    "joins": "--sessions 2000 --window 64 --seconds {seconds} joins",
    "connects": "--window 32 --seconds {seconds} connects",
}

# For each server: what it speaks, its command, and what it cannot be asked for.
SERVERS = {
    "floor": ("floor", "{signalingbench} floor --cert {dir}/cert.pem --key {dir}/key.pem", {"joins"}),
    "turnstone": ("turnstone", "{turnstone} run --config {dir}/turnstone.toml", set()),
    "turnstone-peerjs": ("peerjs", "{turnstone} run --config {dir}/turnstone.toml", {"joins"}),
    "peerjs-server": (
        "peerjs",
        "node {node}/node_modules/.bin/peerjs --port {port} --host 127.0.0.1 --concurrent_limit 100000"
        " --sslkey {dir}/key.pem --sslcert {dir}/cert.pem",
        {"joins"},
    ),
}
STANDARD_SERVERS = "floor,turnstone,peerjs-server"

# Limits are off: one generator plays everybody.
TURNSTONE_TOML = """\
[server]
domain = "localhost"
public_ips = ["127.0.0.1"]
workers = 1
state_dir = "{dir}/state"

[listen]
udp = ["127.0.0.1:0"]
tcp = []
tls = ["127.0.0.1:0"]
http = []
admin = ""

[tls]
mode = "files"
cert = "{dir}/cert.pem"
key = "{dir}/key.pem"

[turn]
relay_ips = ["127.0.0.1"]

[limits]
connections_per_ip = 0
requests_per_ip = 0
sessions = 100000

[signaling]
guests = true

[log]
format = "json"
level = "{level}"
"""


class Server:
    """A server process, once it listens."""

    def __init__(self, bench, name, work):
        self.bench, self.name = bench, name
        self.protocol, command, _ = bench.arguments.commands[name]
        self.port = free_port()
        self.log = []
        self.ready = threading.Event()
        command = shlex.split(command.format(**bench.places, port=self.port))
        self.process = subprocess.Popen(
            [*bench.with_weight(work), "taskset", "-c", bench.arguments.server_cpus, *command],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def __enter__(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.ready.wait(0.1) or ("{port}" in self.bench.arguments.commands[self.name][1] and self._answers()):
                return self
        self.__exit__()
        raise SystemExit(f"{self.name} did not start:\n" + "".join(self.log[-20:]))

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        loud = [line for line in self.log if '"WARN"' in line or '"ERROR"' in line or "panicked" in line]
        for line in loud[:3]:
            note(f"{self.name}: {line.strip()}")

    def _read(self):
        """Reads the log: our servers say there where they listen, and when they are ready."""
        for line in self.process.stderr:
            if len(self.log) < 1000:
                self.log.append(line)
            with contextlib.suppress(ValueError, KeyError, TypeError):
                fields = json.loads(line)["fields"]
                if fields["message"] == "listening" and fields["transport"] == "tls":
                    self.port = int(fields["address"].rsplit(":", 1)[1])
                if fields["message"] == "ready":
                    self.ready.set()

    def _answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class Bench:
    """What all measurements of one run share."""

    def __init__(self, arguments, directory):
        self.arguments = arguments
        self.places = {
            "dir": directory, "signalingbench": arguments.signalingbench, "turnstone": arguments.turnstone,
            "node": arguments.node, "level": arguments.log_level,
        }
        Path(directory, "turnstone.toml").write_text(TURNSTONE_TOML.format(**self.places), encoding="ascii")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", f"{directory}/key.pem", "-out", f"{directory}/cert.pem", "-days", "30",
             "-subj", "/CN=localhost"],
            check=True, capture_output=True,
        )

    def with_weight(self, work):
        """Puts a command before others; where delays count, also at the moment it wakes."""
        if work == "relay" and self.arguments.real_time == "on":
            return ["chrt", "-f", "1"]
        return ["nice", "-n", self.arguments.nice]

    def measure(self, name, work):
        """Starts a server, lets the generator act, and returns its lines."""
        options = WORK[work].format(idle=self.arguments.idle_sessions, seconds=self.arguments.seconds)
        with Server(self, name, work) as server:
            command = [
                *self.with_weight(work), self.arguments.signalingbench, "generate", "--label", name,
                "--protocol", server.protocol, "--cpu", self.arguments.generator_cpu,
                "--server", f"127.0.0.1:{server.port}", "--server-process", str(server.process.pid),
                *options.split(),
            ]
            try:
                result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
            except subprocess.TimeoutExpired:
                note(f"{name} {work}: the generator did not end")
                return []
            if result.returncode or result.stderr:
                note(f"{name} {work}: {result.stderr.strip()[-600:]}")
            return [json.loads(line) for line in result.stdout.splitlines()]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--signalingbench", required=True, help="the built generator")
    parser.add_argument("--turnstone", default="turnstone", help="the built server")
    parser.add_argument("--node", default="", help="folder with the node_modules of the PeerJS server")
    parser.add_argument("--out", required=True, help="file the results are added to")
    parser.add_argument("--servers", default=STANDARD_SERVERS, help=f"of {','.join(SERVERS)}")
    parser.add_argument("--server", action="append", default=[], metavar="NAME=PROTOCOL:COMMAND",
                        help="one more server, which logs as turnstone does or takes {port}")
    parser.add_argument("--work", default=",".join(WORK), help="workloads, in this order")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="how long each is measured, but for idle")
    parser.add_argument("--idle-sessions", type=int, default=10000)
    parser.add_argument("--server-cpus", default="0", help="as taskset takes them")
    parser.add_argument("--generator-cpu", default="1")
    parser.add_argument("--log-level", default="info", help="of turnstone; info is its default")
    parser.add_argument("--real-time", choices=["on", "off"], default="on" if os.geteuid() == 0 else "off",
                        help="whether relay runs before all other programs; they get what is left of both CPUs")
    parser.add_argument("--nice", default="-20")
    parser.add_argument("--autogroup-nice", default="-16")
    arguments = parser.parse_args()
    arguments.commands = dict(SERVERS)
    for server in arguments.server:
        name, command = server.split("=", 1)
        protocol, command = command.split(":", 1)
        arguments.commands[name] = (protocol, command, set() if protocol == "turnstone" else {"joins"})
    arguments.servers = arguments.servers.split(",")
    arguments.work = arguments.work.split(",")
    unknown = [name for name in arguments.servers if name not in arguments.commands]
    unknown += [name for name in arguments.work if name not in WORK]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return arguments


def main():
    arguments = parse_arguments()
    take_weight(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = tempfile.mkdtemp(prefix="signalingbench-")
    try:
        with open(arguments.out, "a", encoding="ascii") as out:
            bench = Bench(arguments, directory)
            for turn in range(arguments.rounds):
                measure_round(bench, turn, out)
                load = Path("/proc/loadavg").read_text(encoding="ascii").split()[0]
                note(f"round {turn + 1} of {arguments.rounds} done, load average {load}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def measure_round(bench, turn, out):
    """Measures every workload once; another server is first in every round."""
    names = bench.arguments.servers
    first = turn % len(names)
    for work in bench.arguments.work:
        for name in names[first:] + names[:first]:
            if work in bench.arguments.commands[name][2]:
                continue
            for line in bench.measure(name, work):
                line.update(round=turn)
                out.write(json.dumps(line) + "\n")
                out.flush()


if __name__ == "__main__":
    main()
