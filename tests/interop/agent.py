#!/usr/bin/env python3
"""agent.py SOCKET COMMAND SECONDS: runs one shell command in the peer through its serial port.

Prints what the command prints and exits with its code, or with 124 when no answer came in time. A command that was left by an
earlier caller may still write to the port: everything before the tag of this call is skipped.
"""

import re
import socket
import sys
import time


def main() -> int:
    path, command, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    tag = f"@@BEGIN {time.time_ns()}"
    answer = re.compile(re.escape(tag) + r"\r?\n@@RC 0\r?\n(.*?)@@RC (\d+)\r?\n", re.DOTALL)
    port = socket.socket(socket.AF_UNIX)
    port.connect(path)
    port.sendall(f"echo {tag}\n{command.replace(chr(10), '; ')}\n".encode())
    received = b""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        port.settimeout(left)
        try:
            more = port.recv(65536)
        except TimeoutError:
            break
        if not more:
            break
        received += more
        found = answer.search(received.decode(errors="replace"))
        if found:
            sys.stdout.write(found[1].replace("\r", ""))
            return int(found[2])
    sys.stderr.write(f"peer: no answer to: {command}\n{received.decode(errors='replace')}\n")
    return 124


if __name__ == "__main__":
    sys.exit(main())
