#!/usr/bin/env python3
"""What calls cost: short calls, calls with keys, calls with a prompt playing, on one core. Run by scripts/bench voice.

The daemon is started as `keytone serve` with its durable store on SQLite, pinned to core 0; sipp is pinned to core 1. All
traffic is on loopback. CPU is user and system time of the daemon's process; the kernel's own work for loopback is not in
it. `foreign` is how many cores other work kept busy meanwhile: under 0.3 the machine was quiet.

  bench.py --keytone target/release/keytone [--json] [--quick] [--only short,ramp,keys,prompt]
"""
import argparse
import csv
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

# Asterisk 22.10.1 (chan_pjsip, built from source) on the same machine type with the same scenarios: best and worst run.
PEER = {
    "short": "1.72-1.89",
    "ramp": "700 clean; 183 of 900",
    "events": "8.9-10.6",
    "info": "8.1-8.2",
    "prompt": {200: "1.21, 0.2 ms, 142 KiB", 500: "1.71, 906 ms, 138 KiB", 1000: "fails (92-97 % of calls)"},
}


class Server:
    """The daemon, with the flows of benches/flows."""

    def __init__(self, keytone, core, nice):
        self.folder = tempfile.mkdtemp(prefix="keytone-bench-")
        self.env = dict(os.environ, KEYTONE_SANDBOX_KEY="bench", KEYTONE_LOG="warn")
        self.keytone = keytone
        connector = self.run("sandbox", "carrier", "--connector", "--listen", "127.0.0.1:9")
        self.write("sandbox.toml", connector)
        plan = os.path.join(ROOT, "src/connector/sandbox/plan.toml")
        shutil.copy(plan, os.path.join(self.folder, "numbering.toml"))
        self.write("keytone.toml", f"""
[node]
database = "sqlite:keytone.db"
dialplans = "{ROOT}/benches/flows"
connectors = ["sandbox.toml"]
[market]
country = "86"
currency = "CNY"
zone = "Asia/Shanghai"
day_limit = "2000"
[sip]
listen = "127.0.0.1:0"
calls_max = 20000
[[sip.trunk]]
name = "load"
addresses = ["127.0.0.1"]
calls_max = 20000
[http]
listen = "127.0.0.1:0"
""")
        self.run("db", "migrate")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        command = ["nice", "-n", str(nice), "taskset", "-c", str(core), keytone, "serve", "--json"]
        self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, text=True,
                                        stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("keytone serve did not start:\n" + open(self.log.name).read())
        self.target = json.loads(line)["sip"]
        self.pid = self.process.pid

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def run(self, *arguments):
        done = subprocess.run([self.keytone, *arguments], cwd=self.folder, env=self.env, text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f"keytone {' '.join(arguments)}:\n{done.stderr}")
        return done.stdout

    def cpu(self):
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_kib(self):
        return int(open(f"/proc/{self.pid}/statm").read().split()[1]) * PAGE // 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def machine():
    """Busy and idle seconds of all cores."""
    fields = list(map(int, open("/proc/stat").readline().split()[1:]))
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / TICKS


def children():
    used = os.times()
    return used.children_user + used.children_system


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else None


class Load:
    """One run of sipp and what it cost the server."""

    def __init__(self, options, server):
        self.options = options
        self.server = server

    def run(self, scenario, service, rate, calls, hold_ms=0, probe_seconds=0, within=120):
        folder = tempfile.mkdtemp(prefix="keytone-bench-sipp-")
        command = ["nice", "-n", str(self.options.nice), "taskset", "-c", str(self.options.load_core), "sipp",
                   self.server.target, "-sf", f"{HERE}/{scenario}.xml", "-s", service, "-i", "127.0.0.1",
                   "-p", str(self.options.port), "-mi", "127.0.0.1", "-mp", str(self.options.port + 20000),
                   "-m", str(calls), "-r", str(rate), "-l", str(calls), "-d", str(hold_ms), "-nostdin",
                   "-trace_stat", "-fd", "1", "-stf", f"{folder}/stat.csv", "-trace_rtt", "-rtt_freq", "1",
                   "-trace_err", "-error_file", f"{folder}/errors", "-timeout", f"{within}s", "-recv_timeout", "32000",
                   "-max_socket", "60000"]
        if scenario != "call":
            command += ["-inf", f"{HERE}/digits.csv"]
        before = (self.server.memory_kib(), machine(), children(), self.server.cpu())
        begun = time.time()
        sipp = subprocess.Popen(command, cwd=folder, env=dict(os.environ, TERM="xterm"),
                                stdout=subprocess.DEVNULL, stderr=open(f"{folder}/stderr", "w"))
        probe, samples = None, []
        while sipp.poll() is None:
            time.sleep(0.25)
            at = time.time() - begun
            samples.append((at, self.server.cpu(), self.server.memory_kib()))
            if probe_seconds and probe is None and at > calls / rate + 1:
                probe = subprocess.Popen(
                    ["nice", "-n", str(self.options.nice), sys.executable, f"{HERE}/probe.py", "--target",
                     self.server.target, "--service", service, "--seconds", str(probe_seconds), "--core",
                     str(self.options.load_core)],
                    stdout=subprocess.PIPE, text=True)
            if at > within + 40:
                sipp.terminate()
        wall = time.time() - begun
        time.sleep(1)
        cpu = self.server.cpu() - before[3]
        heard = json.loads(probe.communicate()[0] or "{}") if probe else None
        load_cpu = children() - before[2]
        busy = machine() - before[1]
        stat = f"{folder}/stat.csv"
        if not os.path.exists(stat):
            raise SystemExit("sipp did not run: " + open(f"{folder}/stderr", errors="replace").read()[-600:])
        rows = list(csv.reader(open(stat), delimiter=";"))
        last = dict(zip(rows[0], rows[-1]))
        times = {}
        for file in glob.glob(f"{folder}/*rtt.csv"):
            for row in csv.reader(open(file), delimiter=";"):
                if len(row) >= 3 and row[1].replace(".", "").isdigit():
                    times.setdefault(row[2].strip(), []).append(float(row[1]))
        passed = int(last["SuccessfulCall(C)"])
        peak = max([s[2] for s in samples] + [before[0]])
        result = {
            "scenario": scenario, "service": service, "rate": rate, "calls": calls, "passed": passed,
            "failed_pct": round(100 * (calls - passed) / calls, 2),
            "passed_per_s": round(passed / max(wall - hold_ms / 1000, 0.1), 1),
            "retransmissions": int(last.get("Retransmissions(C)", 0)),
            "ms": {name: {"p50": quantile(v, 0.5), "p99": quantile(v, 0.99)} for name, v in times.items()},
            "cpu_s_per_1000": round(1000 * cpu / max(passed, 1), 3),
            "cpu_pct": round(100 * cpu / wall, 1),
            "sipp_cpu_pct": round(100 * load_cpu / wall, 1),
            "memory_mib": [round(before[0] / 1024, 1), round(peak / 1024, 1)],
            # The accounts are kept in ticks of different grain; a little below nothing is nothing.
            "foreign": round(max(0.0, busy - cpu - load_cpu) / wall, 2),
        }
        window = [s for s in samples if calls / rate + 1 <= s[0] <= hold_ms / 1000 - 1]
        if hold_ms and len(window) > 4:
            span = window[-1][0] - window[0][0]
            result["cpu_ms_per_call_second"] = round(1000 * (window[-1][1] - window[0][1]) / span / calls, 3)
            result["kib_per_call"] = round((window[-1][2] - before[0]) / calls, 1)
        if heard is not None:
            result["probe"] = heard
        if self.options.errors and os.path.exists(f"{folder}/errors"):
            sys.stderr.write(open(f"{folder}/errors", errors="replace").read()[:2000])
        shutil.rmtree(folder, ignore_errors=True)
        return result


class Fresh:
    """A load on a daemon of its own, so that no run's memory is counted for the next."""

    def __init__(self, options):
        self.options = options

    def __enter__(self):
        self.server = Server(os.path.abspath(self.options.keytone), self.options.core, self.options.nice)
        return Load(self.options, self.server)

    def __exit__(self, *_):
        self.server.stop()


def measure(options, tell):
    """Runs what was asked for; `tell` is given every line of the table."""
    quick, only = options.quick, options.only.split(",")
    results = {}
    if "short" in only:
        with Fresh(options) as load:
            runs = [load.run("call", "100", 100, 200 if quick else 1500) for _ in range(1 if quick else 3)]
        results["short"] = runs
        costs = sorted(r["cpu_s_per_1000"] for r in runs)
        tell("short calls at 100/s", f"{costs[0]}-{costs[-1]} CPU s per 1,000", PEER["short"], runs[-1])
    if "ramp" in only:
        results["ramp"] = []
        with Fresh(options) as load:
            for rate in [200] if quick else [500, 1000, 2000, 3000, 4000, 5000, 6000, 8000]:
                run = load.run("call", "100", rate, rate * (2 if quick else 8), within=60)
                results["ramp"].append(run)
                measured = f"{run['passed_per_s']}/s, {run['failed_pct']} % failed, {run['retransmissions']} again"
                tell(f"short calls, {rate}/s asked", measured, PEER["ramp"] if rate == 1000 else "", run)
                time.sleep(2)
    if "keys" in only:
        for scenario, rate, calls in [("events", 20, 400), ("info", 100, 2000)]:
            with Fresh(options) as load:
                run = load.run(scenario, "102", rate, calls // 20 if quick else calls, hold_ms=1000)
            results[scenario] = run
            measured = f"{run['cpu_s_per_1000']} CPU s per 1,000, {run['failed_pct']} % failed"
            tell(f"4 keys by {scenario} at {rate}/s", measured, PEER[scenario], run)
    if "prompt" in only:
        results["prompt"] = []
        for calls in [50] if quick else [200, 500, 1000, 2000]:
            rate = max(50, calls / 15)
            hold = calls / rate + (6 if quick else 16)
            with Fresh(options) as load:
                run = load.run("call", "101", rate, calls, int(hold * 1000), 3 if quick else 12)
            results["prompt"].append(run)
            late = run.get("probe", {}).get("late_ms", {}).get("p99")
            measured = (f"{run.get('cpu_ms_per_call_second')} CPU ms per call-second, {late} ms late, "
                        f"{run.get('kib_per_call')} KiB, {run['failed_pct']} % failed")
            tell(f"{calls} calls with a prompt", measured, PEER["prompt"].get(calls, ""), run)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keytone", default=os.path.join(ROOT, "target/release/keytone"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--quick", action="store_true", help="few calls: shows that it runs, measures nothing")
    parser.add_argument("--only", default="short,ramp,keys,prompt")
    parser.add_argument("--core", type=int, default=0, help="the daemon's core")
    parser.add_argument("--load-core", type=int, default=1, help="sipp's core")
    parser.add_argument("--nice", type=int, default=-20 if os.geteuid() == 0 else 0)
    parser.add_argument("--port", type=int, default=15071, help="sipp's port")
    parser.add_argument("--errors", action="store_true", help="sipp's complaints on standard error")
    options = parser.parse_args()

    def tell(what, measured, peer, run):
        if not options.json:
            foreign = f"foreign {run['foreign']}"
            print(f"{what:<28} {measured:<72} {peer:<26} {foreign}", flush=True)

    if not options.json:
        print(f"{'':<28} {'Keytone':<72} Asterisk 22.10.1", flush=True)
    results = measure(options, tell)
    if options.json:
        print(json.dumps(results))


main()
