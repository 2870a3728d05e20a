#!/usr/bin/env python3
"""Prints the results of measure.py as Markdown: medians for each server, and how
many times a reference server's figure they are.

usage: table.py [--reference NAME] RESULTS.jsonl...
"""

import argparse
import json
from collections import defaultdict
from statistics import median

# A fixed-rate run that lost more says nothing about the CPU time of a packet: the
# server was past its limit, or the machine was busy.
MOST_LOSS = 0.10


class Results:
    """Measurements by what was measured and by server, in order of appearance."""

    def __init__(self, files):
        self.lines = defaultdict(lambda: defaultdict(list))
        self.left_out = defaultdict(int)
        for file in files:
            with open(file, encoding="ascii") as lines:
                for line in lines:
                    self._add(json.loads(line))

    def _add(self, line):
        kind = line["kind"]
        if kind == "memory":
            subject = ("memory", f"{line['allocations']:.0f} allocations")
        else:
            if not kind.startswith("highest") and line["loss"] > MOST_LOSS:
                self.left_out[line["server"]] += 1
                return
            subject = (kind.split(",")[0], workload(line))
        self.lines[subject][line["server"]].append(line)

    def subjects(self, kind):
        return [subject for subject in self.lines if subject[0].startswith(kind)]


def workload(line):
    """Names a workload: direction, size, trains, transport, allocations."""
    words = [line["mode"]]
    if line["mode"] != "binding":
        words.append(f"{line['size']:.0f} B")
    if line["train"] > 1:
        words.append(f"in trains of {line['train']:.0f}")
    if line["transport"] != "udp":
        words.append(f"over {line['transport']}")
    if line["allocations"] != 50:
        words.append(f"with {line['allocations']:.0f} allocation" + "s" * (line["allocations"] != 1))
    return " ".join(words)


def middle(lines, name, scale=1.0):
    return median(line[name] for line in lines) / scale


def table(title, columns, rows):
    print(f"\n### {title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * (len(columns) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def ratio(value, servers, reference, name, scale=1.0):
    """Says how many times the reference server's figure `value` is."""
    if reference not in servers:
        return "-"
    base = middle(servers[reference], name, scale)
    return f"{value / base:.2f}" if base else "-"


def print_cost(results, subject, reference):
    servers = results.lines[subject]
    columns = ["server", "CPU us/packet", f"x {reference}", "process", "receive",
               "loss %", "delay p50 us", "p99", "p99.9", "runs"]
    rows = []
    for server, lines in servers.items():
        total = middle(lines, "total_ns", 1000)
        process = middle(lines, "process_ns", 1000)
        rows.append([
            server, f"{total:.2f}", ratio(total, servers, reference, "total_ns", 1000),
            f"{process:.2f}", f"{middle(lines, 'receive_ns', 1000):.2f}", f"{100 * middle(lines, 'loss'):.2f}",
            f"{middle(lines, 'p50_us'):.0f}", f"{middle(lines, 'p99_us'):.0f}",
            f"{middle(lines, 'p999_us'):.0f}", str(len(lines)),
        ])
    kind = subject[0].split()
    how = "at half of its highest rate"
    if kind[0] == "run":
        spread = f"in bursts of {kind[2]}" if kind[2] != "1" else "evenly paced"
        how = f"at {int(kind[1]) / 1000:g} k packets/s {spread}"
    table(f"{subject[1]}: CPU and delay {how}", columns, rows)


def print_rate(results, subject, reference):
    servers = results.lines[subject]
    columns = ["server", "k packets/s", f"x {reference}", "best", "CPU us/packet there", "runs"]
    rows = []
    for server, lines in servers.items():
        rate = middle(lines, "sent_per_s", 1000)
        limited = sum("limited" in line["kind"] for line in lines) * 2 > len(lines)
        rows.append([
            server, f"{rate:.1f}{'+' if limited else ''}",
            ratio(rate, servers, reference, "sent_per_s", 1000),
            f"{max(line['sent_per_s'] for line in lines) / 1000:.1f}",
            f"{middle(lines, 'total_ns', 1000):.2f}", str(len(lines)),
        ])
    table(f"{subject[1]}: highest rate with less than 0.1 % loss", columns, rows)


def print_memory(results, subject, reference):
    servers = results.lines[subject]
    columns = ["server", "bytes/allocation", f"x {reference}", "idle MiB", "full MiB", "after MiB",
               "allocations/s", f"x {reference}", "CPU us/allocation", "failed", "runs"]
    rows = []
    for server, lines in servers.items():
        size = middle(lines, "bytes_per_allocation")
        speed = middle(lines, "allocations_per_s")
        rows.append([
            server, f"{size:.0f}", ratio(size, servers, reference, "bytes_per_allocation"),
            f"{middle(lines, 'idle_kib', 1024):.1f}", f"{middle(lines, 'full_kib', 1024):.1f}",
            f"{middle(lines, 'after_kib', 1024):.1f}",
            f"{speed:.0f}", ratio(speed, servers, reference, "allocations_per_s"),
            f"{middle(lines, 'cpu_us_per_allocation'):.0f}", f"{middle(lines, 'failed'):.0f}",
            str(len(lines)),
        ])
    table(subject[1], columns, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--reference", default="coturn")
    parser.add_argument("results", nargs="+")
    arguments = parser.parse_args()
    results = Results(arguments.results)
    for kind, show in (("run", print_cost), ("highest", print_rate), ("half", print_cost), ("memory", print_memory)):
        for subject in results.subjects(kind):
            show(results, subject, arguments.reference)
    if results.left_out:
        runs = ", ".join(f"{server} {count}" for server, count in results.left_out.items())
        print(f"\nLeft out for losing more than {MOST_LOSS:.0%} at a fixed rate: {runs}.")


if __name__ == "__main__":
    main()
