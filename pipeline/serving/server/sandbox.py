"""Confinement of the endpoint's processes by the kernel: what code that an upload takes over could still do.

A worker holds weights and clients' evaluation keys, and parses what callers send. It keeps the right to
compute, to read the code and the uploaded keys, and to answer on the socket that it has. The server keeps its
sockets; it reads the code, its bundle and the system's files that programs need, and writes its own state.

    capabilities   dropped, those of root too; none can be gained again. A server that root starts keeps those
                   for files and for a port below 1024
    memory         other processes of the same user can neither trace this one nor read its environment
    files          Landlock: only the named folders (Linux 5.13), for a process that has one thread yet
    network        seccomp: no new socket of any kind, no other program, no tracing (Linux 3.17)

Each works without the others. Functions that return what a kernel lacks let the log record it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 24, 38
_MOST_CAPABILITIES = 64
_OF_SERVER = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 10  # files of other users; a port below 1024

_PACKAGE = Path(__file__).parents[3]  # wherever it is installed
# SEAL draws its noise from there. Of /dev no more is read: other processes keep texts in /dev/shm.
_RANDOM = (Path("/dev/urandom"), Path("/dev/random"))
# Of the rest of /etc programs need nothing; a workspace's key or the password of a database may be there.
_OF_ETC = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "mime.types", "os-release",
    "passwd", "group", "hosts", "host.conf", "resolv.conf", "nsswitch.conf", "gai.conf", "services",
    "protocols", "ssl/certs", "ssl/cert.pem", "ca-certificates", "crypto-policies", "pki/tls/certs",
    "pki/tls/cert.pem", "pki/ca-trust",
)  # fmt: skip
# Landlock has the same numbers on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_READ = _READ_FILE | _READ_DIR
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14  # the rest is for folders; 14: truncate
# Rights that an ABI knows: 13 at first; then moving between folders, truncation, device controls.
_KNOWN_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_KNOWN_RIGHTS = 16
_NETWORK_SINCE, _NETWORK_RIGHTS = 4, 0b11  # TCP: bind, connect
_SCOPE_SINCE, _SCOPES = 6, 0b11  # abstract UNIX sockets, signals

# Calls of a worker that fail, by machine: (seccomp's architecture, number of the call `seccomp`, the calls).
_FORBIDDEN: dict[str, tuple[int, int, Sequence[int]]] = {
    # socket connect accept bind listen execve ptrace mount setns unshare process_vm_readv process_vm_writev
    # open_by_handle_at perf_event_open bpf keyctl add_key request_key userfaultfd accept4 execveat
    # io_uring_setup pidfd_open pidfd_getfd
    "x86_64": (
        0xC000003E, 317,
        (41, 42, 43, 49, 50, 59, 101, 165, 308, 272, 310, 311, 304, 298, 321, 250, 248, 249, 323, 288, 322,
         425, 434, 438),
    ),
    "aarch64": (
        0xC00000B7, 277,
        (198, 203, 202, 200, 201, 221, 117, 40, 268, 97, 270, 271, 265, 241, 280, 219, 217, 218, 282, 242,
         281, 425, 434, 438),
    ),
}  # fmt: skip
_X32_BIT = 0x40000000  # x86-64 has a second set of numbers for the same calls
_LOAD, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | 1  # with EPERM


def hide_memory() -> bool:
    """Keep other processes of the same user from reading this one's memory and environment."""
    return _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0


def confine_worker(readable: Iterable[Path]) -> list[str]:
    """Confine this process to computing, irrevocably.

    Args:
        readable: folders that it may read, beside the code.

    Returns:
        What the kernel does not have, for the log: `capabilities`, `memory`, `files` or `network`.
    """
    held = {
        "memory": hide_memory(),
        "capabilities": _drop_capabilities(0),
        "files": _restrict_files([*_list_code(), *_RANDOM, *readable], [], scoped=True),
        "network": _forbid_calls(),
    }
    return [name for name, holds in held.items() if not holds]


def confine_server(readable: Iterable[Path], writable: Iterable[Path]) -> list[str]:
    """Confine this process, and those that it starts, to the code, the system's files and its own folders.

    Args:
        readable: folders that it may read.
        writable: folders that it may read and write.

    Returns:
        What the kernel does not have, as for `confine_worker`.
    """
    system = [Path(name) for name in ("/usr", "/lib", "/lib64", "/bin", "/proc", "/sys", "/dev/zero")]
    system += [Path("/etc") / name for name in _OF_ETC]
    # Often a link to a file in /run, which is replaced when the network changes.
    system += [path.parent for path in [Path("/etc/resolv.conf").resolve()] if path.parent != Path("/etc")]
    # To the former the interpreter's own folder may link; the latter configure OpenSSL, and name each other.
    system += [
        path for name in ("python3*", "ssl/*.cnf", "pki/tls/*.cnf") for path in Path("/etc").glob(name)
    ]
    code = [*_list_code(), Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable)]
    devices = [Path("/dev/null")]
    held = {
        "memory": hide_memory(),
        "capabilities": _drop_capabilities(_OF_SERVER),
        "files": _restrict_files([*system, *_RANDOM, *code, *readable], [*devices, *writable], scoped=False),
    }
    return [name for name, holds in held.items() if not holds]


def _list_code() -> list[Path]:
    """List the folders of the code: of the package not its parent, where somebody may keep a workspace."""
    own = [folder for folder in _PACKAGE.iterdir() if folder.is_dir()]
    installed = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    libraries = [Path(name) for name in ("/usr/lib", "/lib", "/lib64", "/etc/ld.so.cache")]
    return [*own, _PACKAGE, *installed, *libraries]


def _drop_capabilities(kept: int) -> bool:
    """Drop all capabilities but those of a bit mask, as far as the process has them."""
    for capability in range(_MOST_CAPABILITIES):
        if not kept >> capability & 1:
            _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for all but root, who alone has any
    header, held = struct.pack("<Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    if _LIBC.capget(header, held) != 0:
        return False
    effective, permitted, *_ = struct.unpack("<6I", held.raw)
    left = struct.pack("<6I", effective & kept, permitted & kept, *[0] * 4)
    return _LIBC.capset(header, left) == 0 and _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


def _restrict_files(readable: Iterable[Path], writable: Iterable[Path], *, scoped: bool) -> bool:
    version = _LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    rights = (1 << _KNOWN_RIGHTS.get(version, _ALL_KNOWN_RIGHTS)) - 1
    scopes = _SCOPES if scoped and version >= _SCOPE_SINCE else 0
    network = _NETWORK_RIGHTS if scoped and version >= _NETWORK_SINCE else 0
    content = struct.pack("<QQQ", rights, network, scopes)
    size = 24 if version >= _SCOPE_SINCE else 16 if version >= _NETWORK_SINCE else 8
    ruleset = _LIBC.syscall(_CREATE_RULESET, content, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        _allow(
            ruleset, _PACKAGE.parent, _READ_DIR
        )  # an import lists the folder in which it finds the package
        for path in readable:
            _allow(ruleset, path, (_READ | _EXECUTE) & rights)
        for path in writable:
            _allow(ruleset, path, rights)
        _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # It holds for this thread and those that it starts; another one could read what it likes.
        alone = _count_threads() == 1
        return _LIBC.syscall(_RESTRICT_SELF, ruleset, 0) == 0 and alone
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # there is no such folder, so nothing in it is to be read
        return
    try:
        if not path.is_dir():
            rights &= _FILE_RIGHTS
        _LIBC.syscall(_ADD_RULE, ruleset, 1, struct.pack("<Qi", rights, handle), 0)
    finally:
        os.close(handle)


def _forbid_calls() -> bool:
    machine = _FORBIDDEN.get(platform.machine())
    if machine is None:
        return False
    architecture, seccomp, calls = machine
    forbidden = [(_AT_LEAST, _X32_BIT), *((_EQUALS, call) for call in calls)]
    steps = [_step(_LOAD, 4), _step(_EQUALS, architecture, 0, len(forbidden) + 2), _step(_LOAD, 0)]
    for place, (test, number) in enumerate(forbidden):
        steps.append(_step(test, number, len(forbidden) - place))
    steps += [_step(_RETURN, _ALLOW), _step(_RETURN, _FAIL)]
    program = ctypes.create_string_buffer(b"".join(steps))
    content = struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(program))
    all_threads = 1
    return _LIBC.syscall(seccomp, 1, all_threads, content) == 0


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _count_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - one number, in a process that is starting
