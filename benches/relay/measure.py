#!/usr/bin/env python3
"""Runs relays one after another under the load generator, in turn and several
times over, and writes one line of JSON for each measurement.

Needs root, iproute2, ethtool, openssl and util-linux. `run` builds what this
measures and calls it; README.md says what the numbers mean.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from machine import note, take_weight  # noqa: E402 (the folder above has to be found first)

HERE = Path(__file__).resolve().parent
USER, PASSWORD, REALM = "bench", "bench-secret", "bench.test"
PORT, TLS_PORT = 3478, 5349

# The same packets at a fixed rate in bursts, for the CPU time of one; then the
# highest rate that loses less than 0.1 %, and the delays at half of it.
COST = ["run:40000:1:32"]
RATE = ["search:30000:0.25"]
DELAY = ["half:1"]

# For each workload: the generator's options, what it does, and in turn again.
WORK = {
    "c2p": [("--mode c2p", COST + RATE + DELAY)],
    "p2c": [("--mode p2c", COST + RATE)],
    "trains": [
        ("--mode c2p --size 1200 --train 8", COST + RATE),
        ("--mode p2c --size 1200 --train 8", COST + RATE),
    ],
    "hairpin": [("--mode hairpin", COST + RATE)],
    "both": [("--mode both", COST + RATE)],
    "single": [("--mode c2p --size 1200 --allocations 1", COST + RATE)],
    "many": [("--mode c2p --allocations 500", COST + RATE)],
    "paced": [("--mode c2p", ["run:20000:1"]), ("--mode p2c", ["run:20000:1"])],
    "binding": [("--mode binding", ["run:20000:1:32"] + RATE)],
    "tcp": [
        ("--mode c2p --transport tcp --size 1200 --train 4", ["run:20000:1:32"] + RATE),
        ("--mode p2c --transport tcp --size 1200 --train 4", ["run:20000:1:32"]),
    ],
    "tls": [
        ("--mode c2p --transport tls --size 1200 --train 4", ["run:20000:1:32"] + RATE),
        ("--mode p2c --transport tls --size 1200 --train 4", ["run:20000:1:32"]),
    ],
    "memory": [("--allocations 10000", ["memory"])],
}
STANDARD_WORK = "c2p,p2c,trains,hairpin,memory"

COTURN = (
    "turnserver -n -c /dev/null --log-file=/dev/null --no-stdout-log --no-cli -a"
    " -u {user}:{password} -r {realm} -L {ip} -E {ip} -p {port}"
    " --tls-listening-port={tls_port} --cert={dir}/cert.pem --pkey={dir}/key.pem"
    " --pidfile={dir}/coturn.pid --userdb={dir}/none.db"
    " --no-dtls --no-rfc5780 --no-software-attribute"
)
FLOOR = "{relaybench} floor --variant {variant} --net {net} --allocations {allocations} {hairpin}"
SERVERS = {
    "coturn": COTURN,
    "turnstone": "{turnstone} run --config {dir}/turnstone.toml",
    "floor-one": FLOOR.replace("{variant}", "one"),
    "floor-gro": FLOOR.replace("{variant}", "gro"),
    "floor-memory": FLOOR.replace("{variant}", "memory"),
}
STANDARD_SERVERS = "coturn,turnstone,floor-one,floor-gro,floor-memory"

# Limits are off: one generator plays all clients, as one user.
TURNSTONE_TOML = """\
[server]
domain = "{realm}"
public_ips = ["{ip}"]
workers = {workers}
state_dir = "{dir}/state"

[listen]
udp = ["{ip}:{port}"]
tcp = ["{ip}:{port}"]
tls = ["{ip}:{tls_port}"]

[tls]
mode = "files"
cert = "{dir}/cert.pem"
key = "{dir}/key.pem"

[turn]
realm = "{realm}"
relay_ips = ["{ip}"]
allow_peers = ["198.18.0.0/15"]

[[turn.users]]
name = "{user}"
password = "{password}"

[limits]
allocations_per_user = 0
allocations_per_ip = 0
unauthenticated_per_ip = 0
unauthenticated = 0

[log]
level = "error"
"""


class Network:
    """Two namespaces and a veth pair: the server's end and the generator's.

    TSO is off because veth hands packets to NAPI, and so to GRO, only then.
    Threaded NAPI gives each receiving side a kernel thread of its own, so that
    what the server's receive path costs is charged to a task and can be read.
    """

    def __init__(self, net, server_cpu, generator_cpu, segmentation):
        self.net = net
        tag = os.getpid()
        self.server, self.generator = f"relaybench-{tag}-s", f"relaybench-{tag}-g"
        self.server_end, self.generator_end = f"rs{tag}", f"rg{tag}"
        self.cpus = {self.server_end: server_cpu, self.generator_end: generator_cpu}
        self.segmentation = segmentation
        self.receive_threads = {}

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self._remove()

    def inside(self, namespace):
        return ["ip", "netns", "exec", namespace]

    def _make(self):
        net, server, generator = self.net, self.server, self.generator
        s, g = self.server_end, self.generator_end
        for namespace in (server, generator):
            run("ip", "netns", "add", namespace)
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "link", "add", g, "netns", generator, "type", "veth", "peer", "name", s, "netns", server)
        run("ip", "-n", generator, "addr", "add", f"{net}.0.1/24", "dev", g)
        run("ip", "-n", server, "addr", "add", f"{net}.0.2/24", "dev", s)
        run("ip", "-n", generator, "link", "set", g, "up")
        run("ip", "-n", server, "link", "set", s, "up")
        run("ip", "-n", server, "route", "add", f"{net}.0.0/16", "via", f"{net}.0.1")
        # Every client (.16 to .63) and every peer (.128 on) is local over there.
        for part in ("16.0/20", "32.0/19", "128.0/17"):
            run("ip", "-n", generator, "route", "add", "local", f"{net}.{part}", "dev", "lo")
        for namespace, end, segmentation in ((generator, g, "off"), (server, s, self.segmentation)):
            run(*self.inside(namespace), "ethtool", "-K", end,
                "gro", "on", "tso", "off", "tx-udp-segmentation", segmentation)
            run(*self.inside(namespace), "sh", "-c", f"echo 1 > /sys/class/net/{end}/threaded")
        # No ARP during a measurement.
        for namespace, end, other_namespace, other, address in (
            (generator, g, server, s, f"{net}.0.2"),
            (server, s, generator, g, f"{net}.0.1"),
        ):
            link = json.loads(run("ip", "-json", "-n", other_namespace, "link", "show", other))
            run("ip", "-n", namespace, "neigh", "replace", address, "lladdr", link[0]["address"], "dev", end)
        for end in (s, g):
            self.receive_threads[end] = self._pin_receive_thread(end)

    def _pin_receive_thread(self, end):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for line in run("ps", "-eo", "pid,comm").splitlines():
                pid, name = line.split(None, 1)
                if name.startswith(f"napi/{end}-"):
                    run("taskset", "-pc", self.cpus[end], pid)
                    run("chrt", "-f", "-p", "1", pid)
                    return pid
            time.sleep(0.05)
        raise SystemExit(f"no NAPI thread appeared for {end}; does the kernel have threaded NAPI?")

    def _remove(self):
        for namespace in (self.generator, self.server):
            subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL, check=False)


class Bench:
    """What all measurements of one run share."""

    def __init__(self, arguments, network, directory):
        self.arguments = arguments
        self.network = network
        self.directory = directory
        self.ip = f"{arguments.net}.0.2"
        self.places = {
            "ip": self.ip, "port": PORT, "tls_port": TLS_PORT, "net": arguments.net,
            "user": USER, "password": PASSWORD, "realm": REALM, "dir": directory,
            "workers": len(cpu_list(arguments.server_cpus)),
            "relaybench": arguments.relaybench, "turnstone": arguments.turnstone,
        }
        Path(directory, "turnstone.toml").write_text(TURNSTONE_TOML.format(**self.places))
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-keyout", f"{directory}/key.pem", "-out", f"{directory}/cert.pem",
            "-days", "30", "-subj", "/CN=turn.test")
        # coturn gives up root and reads the key afterwards.
        os.chmod(directory, 0o755)
        os.chmod(f"{directory}/key.pem", 0o644)

    def measure(self, name, options, actions):
        """Starts a server, lets the generator act, and returns its lines."""
        command = self.arguments.commands[name]
        is_floor = command.startswith("{relaybench}")
        words = options.split()
        allocations = words[words.index("--allocations") + 1] if "--allocations" in words else "50"
        hairpin = "--hairpin" if "hairpin" in words else ""
        command = shlex.split(command.format(**self.places, allocations=allocations, hairpin=hairpin))
        with self._server(name, command) as server:
            if server is None:
                return []
            secure = "tls" in words
            generator = [
                *self._with_weight(self.network.generator), self.arguments.relaybench, "generate",
                "--label", name, "--cpu", self.arguments.generator_cpu, "--net", self.arguments.net,
                "--server", f"{self.ip}:{TLS_PORT if secure else PORT}",
                "--server-process", str(server.pid),
                "--receive-thread", self.network.receive_threads[self.network.server_end],
                "--user", USER, "--password", PASSWORD,
                *words, *(["--floor"] if is_floor else []), *actions,
            ]
            try:
                result = subprocess.run(generator, capture_output=True, text=True, timeout=120, check=False)
            except subprocess.TimeoutExpired:
                note(f"{name} {options}: the generator did not end")
                return []
            if result.returncode or result.stderr:
                note(f"{name} {options}: {result.stderr.strip()[-400:]}")
            return [json.loads(line) for line in result.stdout.splitlines()]

    def _with_weight(self, namespace):
        return ["nice", "-n", self.arguments.nice, *self.network.inside(namespace)]

    @contextlib.contextmanager
    def _server(self, name, command):
        errors = Path(self.directory, f"{name}.err")
        with errors.open("w") as stderr:
            server = subprocess.Popen(
                [*self._with_weight(self.network.server), "taskset", "-c", self.arguments.server_cpus, *command],
                stdout=subprocess.DEVNULL, stderr=stderr, stdin=subprocess.DEVNULL,
            )
        try:
            if self._is_listening(server):
                yield server
            else:
                note(f"{name} did not start: {errors.read_text()[-500:]}")
                yield None
        finally:
            server.terminate()
            try:
                server.wait(3)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def _is_listening(self, server):
        deadline = time.monotonic() + 10
        question = [*self.network.inside(self.network.server), "ss", "-Hlun", f"sport = :{PORT}"]
        while time.monotonic() < deadline and server.poll() is None:
            if run(*question).strip():
                # All of its threads have their sockets a moment later.
                time.sleep(0.4)
                return server.poll() is None
            time.sleep(0.05)
        return False


def applies(name, command, options, actions):
    """Tells whether a server can do a workload at all."""
    is_floor = command.startswith("{relaybench}")
    if is_floor and ("binding" in options or "--transport" in options or "memory" in actions):
        return False
    return name != "floor-memory" or "hairpin" in options


def run(*command):
    """Runs a command to its end and returns what it printed."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{shlex.join(command)}: {result.stderr.strip() or result.returncode}")
    return result.stdout


def cpu_list(text):
    """Reads a list as taskset takes it: 0,2-3."""
    cpus = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--relaybench", required=True, help="the built generator")
    parser.add_argument("--turnstone", default="turnstone", help="the built server")
    parser.add_argument("--out", required=True, help="file the results are added to")
    parser.add_argument("--servers", default=STANDARD_SERVERS)
    parser.add_argument("--server", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more server; {ip} {port} {tls_port} {user} {password} {realm} {dir} are filled in")
    parser.add_argument("--work", default=STANDARD_WORK, help=f"of {','.join(WORK)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--net", default="198.18", help="first two octets of the test network")
    parser.add_argument("--server-cpus", default="0", help="as taskset takes them")
    parser.add_argument("--generator-cpu", default="1")
    parser.add_argument("--segmentation", choices=["on", "off"], default="off",
                        help="whether the server's interface takes UDP trains whole, as some hardware does")
    parser.add_argument("--nice", default="-20")
    parser.add_argument("--autogroup-nice", default="-16")
    arguments = parser.parse_args()
    arguments.commands = dict(SERVERS)
    for server in arguments.server:
        name, command = server.split("=", 1)
        arguments.commands[name] = command
    arguments.servers = arguments.servers.split(",")
    arguments.work = arguments.work.split(",")
    unknown = [name for name in arguments.servers if name not in arguments.commands]
    unknown += [name for name in arguments.work if name not in WORK]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return arguments


def main():
    arguments = parse_arguments()
    if os.geteuid() != 0:
        raise SystemExit("measure.py builds network namespaces: run it as root")
    take_weight(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = tempfile.mkdtemp(prefix="relaybench-")
    server_cpu = str(cpu_list(arguments.server_cpus)[0])
    try:
        with Network(arguments.net, server_cpu, arguments.generator_cpu, arguments.segmentation) as network, \
                open(arguments.out, "a", encoding="ascii") as out:
            bench = Bench(arguments, network, directory)
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
        for options, actions in WORK[work]:
            for name in names[first:] + names[:first]:
                if not applies(name, bench.arguments.commands[name], options, actions):
                    continue
                for line in bench.measure(name, options, actions):
                    line.update(round=turn, work=work)
                    out.write(json.dumps(line) + "\n")
                    out.flush()


if __name__ == "__main__":
    main()
