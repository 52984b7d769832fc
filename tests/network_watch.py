"""Runs a command on a machine of its own, without a network, and reports what it would have said to others.

    unshare --net --mount [--map-root-user] python -m tests.network_watch REPORT COMMAND...

In a new network namespace every address of the world leads to the loopback, where nobody listens: a look-up
or a connection fails at once, and a packet socket sees it. So nothing depends on a tracer, on the language of
the code that asks, or on how it asks.
"""

from __future__ import annotations

import ctypes
import json
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
SO_ATTACH_FILTER, SOL_PACKET, PACKET_STATISTICS = 26, 263, 6
LOAD_WORD, LOAD_BYTE, JUMP_IF_EQUAL, RETURN = 0x20, 0x30, 0x15, 0x06
TCP, UDP, DNS_PORT = 6, 17, 53
SNAPSHOT = 512
NAME_SERVER = "192.0.2.53"  # reserved for documentation


def build_machine() -> None:
    """Turn the new namespaces into a machine whose only neighbor is itself."""
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n")
    Path(file.name).chmod(0o644)
    for command in (
        "mount --make-rprivate /",
        f"mount --bind {file.name} /etc/resolv.conf",
        "mount -t tmpfs none /run",  # sockets of daemons that look names up outside of the namespace
        "ip link set lo up",
        "ip route add local 0.0.0.0/0 dev lo",
    ):
        subprocess.run(command.split(), check=True)
    # Fails where the system has no IPv6: then nothing can leave that way.
    route = ["ip", "-6", "route", "add", "local", "::/0", "dev", "lo"]
    subprocess.run(route, check=False, stderr=subprocess.DEVNULL)
    Path(file.name).unlink()


def open_watch(protocol: int, load: int, offset: int, harmless: int) -> socket.socket:
    """Return a socket for packets whose destination does not have the value of a loopback address."""
    drop, keep = (RETURN, 0, 0, 0), (RETURN, 0, 0, SNAPSHOT)
    steps = [(load, 0, 0, offset), (JUMP_IF_EQUAL, 0, 1, harmless), drop, keep]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    watch = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    watch.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(steps), ctypes.addressof(code))
    )
    watch.bind(("lo", protocol))
    return watch


def describe(packet: bytes) -> str | None:
    """Return what a packet asks of whom; None for an answer of this machine to itself."""
    if packet[0] >> 4 != 4:
        return f"packet to {socket.inet_ntop(socket.AF_INET6, packet[24:40])}"
    target, protocol, body = socket.inet_ntoa(packet[16:20]), packet[9], packet[(packet[0] & 15) * 4 :]
    port = struct.unpack("!H", body[2:4])[0]
    if protocol == UDP and port == DNS_PORT:
        name = bytes(letter if 32 < letter < 127 else ord(".") for letter in body[20:])
        return f"look-up of {name.decode().strip('.')}"
    if protocol == TCP and body[13] & 0x12 == 0x02:  # SYN without ACK
        return f"connection to {target}:{port}"
    return f"packet to {target}:{port}" if protocol == UDP else None


def main(report: Path, command: list[str]) -> int:
    build_machine()
    watches = [open_watch(ETH_P_IP, LOAD_BYTE, 16, 127), open_watch(ETH_P_IPV6, LOAD_WORD, 24, 0)]
    seen: set[str] = set()
    ended = threading.Event()

    def listen() -> None:
        while not ended.is_set() or select.select(watches, [], [], 0)[0]:
            for watch in select.select(watches, [], [], 0.2)[0]:
                seen.update(filter(None, [describe(watch.recv(SNAPSHOT))]))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        code = subprocess.run(command, check=False).returncode
    finally:
        ended.set()
        listener.join()
    counts = [struct.unpack("II", watch.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)) for watch in watches]
    lost = sum(count[1] for count in counts)
    report.write_text(json.dumps({"seen": sorted(seen), "lost": lost}), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
