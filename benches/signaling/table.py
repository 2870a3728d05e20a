#!/usr/bin/env python3
"""Prints the results of measure.py as Markdown: medians for each server, and how
many times a reference server's figure they are.

usage: table.py [--reference NAME] [--floor NAME] RESULTS.jsonl...
"""

import argparse
import json
from collections import defaultdict
from statistics import median

# A generator that is busier than this may have been the limit itself.
GENERATOR_LIMIT = 0.95


class Results:
    """Measurements by workload and by server, in order of appearance."""

    def __init__(self, files):
        self.lines = defaultdict(lambda: defaultdict(list))
        for file in files:
            with open(file, encoding="ascii") as lines:
                for line in map(json.loads, lines):
                    self.lines[line["kind"]][line["server"]].append(line)


def middle(lines, name, scale=1.0):
    return median(line[name] for line in lines) / scale


def total(lines, name):
    return f"{sum(line[name] for line in lines):.0f}"


def ratio(lines, servers, reference, name):
    """Says how many times the reference server's figure this one is."""
    if reference not in servers:
        return "-"
    base = middle(servers[reference], name)
    return f"{middle(lines, name) / base:.2f}" if base else "-"


def above_floor(lines, servers, floor, name):
    """Says how much is added to the floor's figure of the same round: the median, in ms."""
    if floor not in servers:
        return "-"
    base = defaultdict(list)
    for line in servers[floor]:
        base[line["round"]].append(line[name])
    added = [line[name] - median(base[line["round"]]) for line in lines if base[line["round"]]]
    return f"{median(added) / 1000:+.2f}" if added else "-"


def table(title, columns, rows):
    print(f"\n### {title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * (len(columns) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def print_idle(servers, reference, _):
    columns = ["server", "MiB", "PSS MiB", "before MiB", "after MiB", "bytes/session", f"x {reference}", "idle CPU %",
               "CPU us/set-up", "failed", "runs"]
    rows = [[
        name, f"{middle(lines, 'resident_kib', 1024):.1f}", f"{middle(lines, 'proportional_kib', 1024):.1f}",
        f"{middle(lines, 'base_kib', 1024):.1f}", f"{middle(lines, 'after_kib', 1024):.1f}",
        f"{middle(lines, 'bytes_per_session'):.0f}", ratio(lines, servers, reference, "bytes_per_session"),
        f"{middle(lines, 'cpu_percent'):.1f}", f"{middle(lines, 'setup_cpu_us'):.0f}",
        total(lines, "failed"), str(len(lines)),
    ] for name, lines in servers.items()]
    sessions = max(line["sessions"] for lines in servers.values() for line in lines)
    table(f"{sessions:.0f} idle sessions in rooms of two", columns, rows)


def print_relay(servers, reference, floor):
    columns = ["server", "p50 ms", "p99 ms", "p99.9 ms", "p99 above floor", "sent p50", "sent p99",
               "sent p99 above floor", "CPU us/message", f"x {reference}", "server busy", "lost", "failed", "runs"]
    rows = [[
        name, *(f"{middle(lines, part, 1000):.2f}" for part in ("p50_us", "p99_us", "p999_us")),
        above_floor(lines, servers, floor, "p99_us"),
        *(f"{middle(lines, part, 1000):.2f}" for part in ("sent_p50_us", "sent_p99_us")),
        above_floor(lines, servers, floor, "sent_p99_us"),
        f"{middle(lines, 'cpu_us'):.1f}", ratio(lines, servers, reference, "cpu_us"),
        f"{middle(lines, 'server_busy'):.2f}", total(lines, "lost"), total(lines, "failed"), str(len(lines)),
    ] for name, lines in servers.items()]
    first = next(iter(servers.values()))[0]
    table(f"{first['sessions'] / 2:.0f} rooms of two, {first['rate']:g} messages per second from each",
          columns, rows)


def print_cycles(title, servers, reference):
    columns = ["server", "per second", f"x {reference}", "best", "CPU us", f"x {reference}", "server busy", "failed", "runs"]
    rows = []
    for name, lines in servers.items():
        limited = sum(line["generator_busy"] > GENERATOR_LIMIT for line in lines) * 2 > len(lines)
        rows.append([
            name, f"{middle(lines, 'per_s'):.0f}{'+' if limited else ''}",
            ratio(lines, servers, reference, "per_s"), f"{max(line['per_s'] for line in lines):.0f}",
            f"{middle(lines, 'cpu_us'):.1f}", ratio(lines, servers, reference, "cpu_us"),
            f"{middle(lines, 'server_busy'):.2f}", total(lines, "failed"), str(len(lines)),
        ])
    table(title, columns, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--reference", default="peerjs-server")
    parser.add_argument("--floor", default="floor")
    parser.add_argument("results", nargs="+")
    arguments = parser.parse_args()
    results = Results(arguments.results).lines
    for kind, show in (("idle", print_idle), ("relay", print_relay)):
        if kind in results:
            show(results[kind], arguments.reference, arguments.floor)
    for kind, title in (("joins", "Joins over open connections, each with its leave"),
                        ("connects", "New connections: TCP, TLS, upgrade, and where there are rooms join and leave")):
        if kind in results:
            print_cycles(title, results[kind], arguments.reference)


if __name__ == "__main__":
    main()
