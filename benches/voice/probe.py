#!/usr/bin/env python3
"""One call beside the load: listens to the prompt and tells how evenly its packets come, by the kernel's own time stamps.

  probe.py --target 127.0.0.1:5060 --service 101 --seconds 12 [--core 1]

Prints one JSON line: packets, how many are missing, spacing and lateness (against the first packet's schedule) in
milliseconds, and the times from INVITE to 200 and from ACK to the first packet.
"""
import argparse
import json
import os
import random
import select
import socket
import struct
import time

# Linux: a datagram comes with the time at which the kernel took it, to the nanosecond.
SO_TIMESTAMPNS = 35


def quantile(sorted_values, q):
    return round(sorted_values[min(len(sorted_values) - 1, int(q * len(sorted_values)))], 2) if sorted_values else None


class Call:
    def __init__(self, target, service):
        host, port = target.split(":")
        self.peer = (host, int(port))
        self.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sip.bind((host, 0))
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((host, 0))
        self.rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.here = f"{host}:{self.sip.getsockname()[1]}"
        self.call = f"probe{random.getrandbits(48):x}@bench"
        self.tag = f"{random.getrandbits(32):x}"
        self.uri = f"sip:{service}@{target}"
        self.to = f"<{self.uri}>"
        self.host = host

    def request(self, method, cseq, body=""):
        lines = [
            f"{method} {self.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.here};branch=z9hG4bK{random.getrandbits(40):x};rport",
            "Max-Forwards: 70",
            f"From: <sip:probe@{self.here}>;tag={self.tag}",
            f"To: {self.to}",
            f"Call-ID: {self.call}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:probe@{self.here}>",
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        return ("\r\n".join(lines) + f"\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()

    def dial(self):
        port = self.rtp.getsockname()[1]
        sdp = "\r\n".join([
            "v=0", f"o=probe 1 1 IN IP4 {self.host}", "s=-", f"c=IN IP4 {self.host}", "t=0 0",
            f"m=audio {port} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=ptime:20", "",
        ])
        invite = self.request("INVITE", 1, sdp)
        begun = time.time()
        self.sip.settimeout(1)
        self.sip.sendto(invite, self.peer)
        while time.time() - begun < 10:
            try:
                answer = self.sip.recv(65535).decode(errors="replace")
            except socket.timeout:
                self.sip.sendto(invite, self.peer)
                continue
            code = int(answer.split(" ", 2)[1])
            if code >= 300:
                raise SystemExit(json.dumps({"error": answer.splitlines()[0]}))
            if code >= 200:
                break
        else:
            raise SystemExit(json.dumps({"error": "no answer"}))
        self.answered_ms = round(1000 * (time.time() - begun), 1)
        for line in answer.split("\r\n"):
            name = line.split(":", 1)[0].lower()
            if name == "to":
                self.to = line.split(":", 1)[1].strip()
            if name == "contact":
                self.uri = line.split("<", 1)[1].split(">", 1)[0]
        self.sip.sendto(self.request("ACK", 1), self.peer)
        self.acknowledged = time.time()

    def listen(self, seconds):
        """(arrival, sequence, timestamp) of each packet of audio."""
        packets = []
        end = self.acknowledged + seconds
        self.rtp.setblocking(False)
        while time.time() < end:
            if not select.select([self.rtp], [], [], 0.1)[0]:
                continue
            while True:
                try:
                    data, ancillary, _, _ = self.rtp.recvmsg(2048, 64)
                except BlockingIOError:
                    break
                s, ns = struct.unpack("qq", ancillary[0][2][:16])
                if len(data) >= 12 and data[1] & 127 == 0:
                    sequence, timestamp = struct.unpack("!HI", data[2:8])
                    packets.append((s + ns / 1e9, sequence, timestamp))
        return packets

    def hang_up(self):
        self.sip.sendto(self.request("BYE", 2), self.peer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="127.0.0.1:5060")
    parser.add_argument("--service", default="101")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--core", type=int, default=1)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    call = Call(options.target, options.service)
    call.dial()
    packets = call.listen(options.seconds)
    call.hang_up()
    pairs = list(zip(packets, packets[1:]))
    gaps = sorted(1000 * (b[0] - a[0]) for a, b in pairs)
    missing = sum((b[1] - a[1] - 1) & 0xFFFF for a, b in pairs if (b[1] - a[1]) & 0xFFFF < 1000)
    late = [1000 * (p[0] - packets[0][0]) - ((p[2] - packets[0][2]) & 0xFFFFFFFF) / 8 for p in packets]
    late = sorted(value - min(late) for value in late)
    print(json.dumps({
        "packets": len(packets),
        "missing": missing,
        "gap_ms": {"p50": quantile(gaps, 0.5), "p99": quantile(gaps, 0.99), "max": quantile(gaps, 1)},
        "late_ms": {"p50": quantile(late, 0.5), "p99": quantile(late, 0.99), "max": quantile(late, 1)},
        "invite_to_200_ms": call.answered_ms,
        "ack_to_first_packet_ms": round(1000 * (packets[0][0] - call.acknowledged), 1) if packets else None,
    }))


main()
