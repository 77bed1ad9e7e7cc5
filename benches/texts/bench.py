#!/usr/bin/env python3
"""What texts cost: a text comes in, the flow's answer goes out, both committed. Run by scripts/bench smpp.

The load is `keytone sandbox smsc` (POST /burst): `deliver_sm`, its response, the reply's `submit_sm`, its response are one
pair, each from another number. The daemon is `keytone serve` as it is deployed: SQLite in WAL with synchronous=FULL, or a
PostgreSQL of its own in a temporary folder with the server's usual settings. Beside them, when installed, Kannel's
bearerbox and smsbox with one service over HTTP, which stores nothing. The measured server is pinned to one core, the load,
Kannel's HTTP application and PostgreSQL to the other; PostgreSQL's own CPU is told apart. `foreign` is how many cores other
work kept busy meanwhile: under 0.3 the machine was quiet.

  bench.py --keytone target/release/keytone [--json] [--quick] [--only sqlite,postgres,kannel]
"""
import argparse
import glob
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TICKS = os.sysconf("SC_CLK_TCK")
REPLY = b"Balance: CNY 1,234.00. Ref QX7Y2"
# Numbers of one run. The sandbox keeps those that end in 7001 and more for faults.
SENDERS = 7000
WANTED = {"pairs_per_s": 5000, "cpu_s_per_10k": 1.5, "p50_ms": 5.0}


def machine():
    """Busy seconds of all cores."""
    fields = list(map(int, open("/proc/stat").readline().split()[1:]))
    return (sum(fields[:8]) - fields[3] - fields[4]) / TICKS


def cpu_of(pids):
    used = 0
    for pid in pids:
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            used += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return used / TICKS


def children_of(pid):
    return [int(child) for file in glob.glob(f"/proc/{pid}/task/*/children") for child in open(file).read().split()]


def pinned(options, core, command, **more):
    return subprocess.Popen(["nice", "-n", str(options.nice), "taskset", "-c", str(core), *command], text=True, **more)


def run(command, **more):
    done = subprocess.run(command, text=True, capture_output=True, **more)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def stop(process, patience=60):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Network:
    """The load: a mobile network with a control by HTTP."""

    def __init__(self, options):
        self.folder = tempfile.mkdtemp(prefix="keytone-bench-smsc-")
        # No receipts: Kannel does not ask for any either.
        command = [options.keytone, "sandbox", "smsc", "--json", "--set", "window=1000", "--set", "receipts=never"]
        self.process = pinned(options, options.load_core, command, cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=open(f"{self.folder}/stderr", "w"))
        ready = json.loads(self.process.stdout.readline() or "{}")
        if not ready:
            raise SystemExit("the sandbox did not start:\n" + open(f"{self.folder}/stderr").read())
        self.smpp, self.http = ready["smpp"], ready["http"]
        self.pids = [self.process.pid]

    def ask(self, method, path, body=None, patience=200):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.http + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=patience) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def bound(self):
        answer = self.ask("GET", "/wait?for=binds&count=1&timeout_ms=30000")
        if "why" in answer:
            raise SystemExit(f"nobody has bound: {answer}")

    def burst(self, **ask):
        return self.ask("POST", "/burst", dict({"to": "12580", "text": "BAL {n}", "replies": True,
                                                 "senders": SENDERS, "timeout_ms": 60000}, **ask))

    def close(self):
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres:
    """A cluster of its own, with the server's usual settings; only its socket is in the folder."""

    def __init__(self, options):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            raise SystemExit("bench smpp: no PostgreSQL server under /usr/lib/postgresql: apt install postgresql")
        self.folder = tempfile.mkdtemp(prefix="keytone-bench-pg-")
        self.as_user = []
        if os.geteuid() == 0:
            names = [user.pw_name for user in pwd.getpwall()]
            user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = ["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
        run([*self.as_user, f"{found[-1]}/initdb", "-D", f"{self.folder}/data", "-U", "keytone", "--auth=trust", "-E", "UTF8",
             "--locale=C"], cwd=self.folder)
        self.process = pinned(options, options.load_core, [
            *self.as_user, f"{found[-1]}/postgres", "-D", f"{self.folder}/data", "-k", self.folder, "-c", "listen_addresses="],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            if subprocess.run([f"{found[-1]}/pg_isready", "-q", "-h", self.folder]).returncode == 0:
                break
            time.sleep(0.1)
        run([f"{found[-1]}/createdb", "-h", self.folder, "-U", "keytone", "bench"])
        self.url = f"postgres://keytone@localhost/bench?host={self.folder}"

    def pids(self):
        return [self.process.pid, *children_of(self.process.pid)]

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


class Keytone:
    """The daemon, with the flows of benches/flows."""

    def __init__(self, options, network, database):
        self.folder = tempfile.mkdtemp(prefix="keytone-bench-")
        self.postgres = Postgres(options) if database == "postgres" else None
        url = self.postgres.url if self.postgres else "sqlite:keytone.db"
        env = dict(os.environ, KEYTONE_SANDBOX_KEY="bench", KEYTONE_SMSC_PASSWORD="sandbox", KEYTONE_LOG=options.log)
        self.command = lambda *arguments: run([options.keytone, *arguments], cwd=self.folder, env=env)
        self.write("sandbox.toml", self.command("sandbox", "carrier", "--connector", "--listen", "127.0.0.1:9"))
        shutil.copy(f"{ROOT}/src/connector/sandbox/plan.toml", f"{self.folder}/numbering.toml")
        self.write("keytone.toml", f"""
[node]
database = "{url}"
dialplans = "{ROOT}/benches/flows"
connectors = ["sandbox.toml"]
[market]
country = "86"
currency = "CNY"
zone = "Asia/Shanghai"
day_limit = "2000"
[sip]
listen = "127.0.0.1:0"
[[sip.trunk]]
name = "none"
addresses = ["127.0.0.1"]
[http]
listen = "127.0.0.1:0"
[[smsc]]
name = "mobile"
addresses = ["{network.smpp}"]
system_id = "keytone"
password_env = "KEYTONE_SMSC_PASSWORD"
trusted_number = true
window = {options.window}
[smsc.sms]
sender = "12580"
receipts = false
""")
        self.command("db", "migrate")
        self.log = open(f"{self.folder}/log", "w+")
        self.process = pinned(options, options.core, [options.keytone, "serve", "--json"], cwd=self.folder, env=env,
                              stdout=subprocess.PIPE, stderr=self.log)
        if not self.process.stdout.readline():
            raise SystemExit("keytone serve did not start:\n" + open(self.log.name).read())
        self.pids = [self.process.pid]

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w") as file:
            file.write(text)

    def beside(self):
        return self.postgres.pids() if self.postgres else []

    def settled(self):
        """Waits until every text that was queued is settled; gives how many are accepted."""
        for _ in range(100):
            figures = json.loads(self.command("smpp", "status", "--json"))["sent"]
            if figures["tried"] == figures["accepted"]:
                break
            time.sleep(0.1)
        return figures["accepted"]

    def close(self):
        stop(self.process)
        if self.postgres:
            self.postgres.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Echo:
    """Kannel's application: answers every request with the text."""

    def __init__(self, core):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(REPLY), REPLY)
        self.pid = os.fork()
        if self.pid == 0:
            os.sched_setaffinity(0, {core})
            import asyncio

            class Peer(asyncio.Protocol):
                def connection_made(self, transport):
                    self.transport, self.kept = transport, b""

                def data_received(self, data):
                    *requests, self.kept = (self.kept + data).split(b"\r\n\r\n")
                    self.transport.write(answer * len(requests))

            async def serve():
                server = await asyncio.get_running_loop().create_server(Peer, sock=self.listener)
                await server.serve_forever()

            try:
                asyncio.run(serve())
            finally:
                os._exit(0)
        self.listener.close()

    def close(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


class Kannel:
    """bearerbox and smsbox, without a store: a text goes to the application, what it answers goes out."""

    def __init__(self, options, network):
        self.folder = tempfile.mkdtemp(prefix="keytone-bench-kannel-")
        self.echo = Echo(options.load_core)
        host, port = network.smpp.rsplit(":", 1)
        with socket.socket() as a, socket.socket() as b, socket.socket() as c:
            for free in (a, b, c):
                free.bind(("127.0.0.1", 0))
            admin, box, send = (free.getsockname()[1] for free in (a, b, c))
        with open(f"{self.folder}/kannel.conf", "w") as file:
            file.write(f"""
group = core
admin-port = {admin}
admin-password = bench
admin-interface = 127.0.0.1
smsbox-port = {box}
smsbox-interface = 127.0.0.1
log-level = 3
log-file = "{self.folder}/bearerbox.log"

group = smsc
smsc = smpp
smsc-id = bench
host = {host}
port = {port}
transceiver-mode = true
smsc-username = keytone
smsc-password = sandbox
system-type = ""
max-pending-submits = 100
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
sendsms-port = {send}
sendsms-interface = 127.0.0.1
global-sender = 12580
log-file = "{self.folder}/smsbox.log"
log-level = 3

group = sendsms-user
username = bench
password = bench

group = sms-service
keyword = default
get-url = "http://127.0.0.1:{self.echo.port}/sms?from=%p&to=%P&text=%a&id=%I"
max-messages = 1
""")
        self.boxes = []
        for box in ("bearerbox", "smsbox"):
            out = open(f"{self.folder}/{box}.out", "w")
            path = shutil.which(box) or f"/usr/sbin/{box}"
            self.boxes.append(pinned(options, options.core, [path, "kannel.conf"], cwd=self.folder, stdout=out, stderr=out))
            time.sleep(1.5)
        self.pids = [box.pid for box in self.boxes]

    def beside(self):
        return []

    def settled(self):
        return None

    def close(self):
        for box in reversed(self.boxes):
            stop(box, 10)
        self.echo.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def load(options, network, server, block, **ask):
    """One burst from a block of numbers and what it cost the server."""
    before = (machine(), cpu_of(server.pids), cpu_of(network.pids), cpu_of(server.beside()))
    begun = time.time()
    found = network.burst(**{"from": f"+86138{block:04}0000"}, **ask)
    wall = time.time() - begun
    if "replied" not in found:
        raise SystemExit(f"the burst failed: {found}")
    accepted = server.settled()
    own = cpu_of(server.pids) - before[1]
    peer = cpu_of(network.pids) - before[2]
    beside = cpu_of(server.beside()) - before[3]
    pairs = max(found["replied"], 1)
    ms = lambda of, at: round((found[of][at] or 0) / 1000, 1)
    return {
        "in_flight": ask.get("in_flight"), "rate": ask.get("rate") or None, "pairs": found["replied"],
        "missing": found["sent"] - found["replied"], "refused": found["refused"], "pairs_per_s": found["per_second"],
        "ms": {"ack_p50": ms("answer_us", "median"), "p50": ms("reply_us", "median"), "p99": ms("reply_us", "p99")},
        "cpu_s_per_10k": round(10000 * own / pairs, 2), "database_cpu_s_per_10k": round(10000 * beside / pairs, 2),
        "accepted_in_all": accepted,
        "foreign": round(max(0.0, machine() - before[0] - own - peer - beside) / wall, 2),
    }


def measure(options, which):
    network = Network(options)
    server = Kannel(options, network) if which == "kannel" else Keytone(options, network, which)
    try:
        network.bound()
        time.sleep(0.5)
        count = 500 if options.quick else options.count
        load(options, network, server, 0, count=500, in_flight=100)
        fast = [load(options, network, server, 1 + n, count=count, in_flight=options.in_flight)
                for n in range(1 if options.quick else options.runs)]
        rate_count = 200 if options.quick else 3000
        slow = load(options, network, server, 9000, count=rate_count, in_flight=1000, rate=200)
        return {"closed": fast, "at_200_per_s": slow}
    finally:
        server.close()
        network.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keytone", default=f"{ROOT}/target/release/keytone")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--quick", action="store_true", help="few texts: shows that it runs, measures nothing")
    parser.add_argument("--only", default="sqlite,postgres,kannel")
    parser.add_argument("--count", type=int, default=20000, help="pairs of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the best is told")
    parser.add_argument("--in-flight", type=int, default=400, help="pairs that are open at once")
    parser.add_argument("--window", type=int, default=400, help="the bind's window")
    parser.add_argument("--log", default="warn", help="the daemon's log filter")
    parser.add_argument("--core", type=int, default=0, help="the measured server's core")
    parser.add_argument("--load-core", type=int, default=1, help="the load's core")
    parser.add_argument("--nice", type=int, default=-20 if os.geteuid() == 0 else 0)
    options = parser.parse_args()
    options.keytone = os.path.abspath(options.keytone)

    def tell(*cells):
        if not options.json:
            print("{:<10} {:>9} {:>15} {:>9} {:>9} {:>11} {:>11}  {}".format(*cells), flush=True)

    results, best = {}, {}
    tell("", "pairs/s", "CPU s / 10,000", "database", "p50 ms", "200/s p50", "200/s p99", "400 in flight; foreign")
    for which in options.only.split(","):
        if which == "kannel" and not (shutil.which("bearerbox") or os.path.exists("/usr/sbin/bearerbox")):
            print("bench smpp: Kannel is not installed, so nothing is beside it (apt install kannel)", file=sys.stderr)
            continue
        print(f"bench smpp: pairs on {which}", file=sys.stderr)
        found = results[which] = measure(options, which)
        fast, slow = max(found["closed"], key=lambda run: run["pairs_per_s"]), found["at_200_per_s"]
        missing = sum(run["missing"] + run["refused"] for run in [*found["closed"], slow])
        best[which] = {"pairs_per_s": fast["pairs_per_s"], "cpu_s_per_10k": fast["cpu_s_per_10k"], "p50_ms": slow["ms"]["p50"]}
        tell(which, fast["pairs_per_s"], fast["cpu_s_per_10k"], fast["database_cpu_s_per_10k"] or "", fast["ms"]["p50"],
             slow["ms"]["p50"], slow["ms"]["p99"],
             f"{fast['foreign']}, {slow['foreign']}" + (f"; {missing} MISSING OR REFUSED" if missing else ""))
    targets = []
    for which, figures in best.items():
        for what, wanted in WANTED.items():
            met = figures[what] >= wanted if what == "pairs_per_s" else figures[what] <= wanted
            if which != "kannel":
                targets.append({"what": f"{what}, {which}", "value": figures[what], "wanted": wanted, "met": met})
    if options.json:
        print(json.dumps({"bench": "texts", "runs": results, "targets": targets}))
        return
    for target in targets:
        print(f"  {target['what']:<26} {target['value']:>9}  wanted {target['wanted']:>6}: {'met' if target['met'] else 'NOT met'}")


main()
