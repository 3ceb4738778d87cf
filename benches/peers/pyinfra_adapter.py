"""pyinfra: its own program, with an inventory."""

import os
import sys

from common import ARGS, CONCURRENCY, HOSTS, JOB, KEY, KNOWN_HOSTS, USER, unsupported

if JOB != "fanout":
    unsupported()
with open("inventory.py", "w") as file:
    data = {
        "ssh_user": USER,
        "ssh_key": KEY,
        "ssh_look_for_keys": False,
        "ssh_allow_agent": False,
        "ssh_known_hosts_file": KNOWN_HOSTS,
        "ssh_strict_host_key_checking": "yes",
    }
    hosts = [(address, {**data, "ssh_port": port}) for address, port in HOSTS]
    file.write(f"hosts = {hosts!r}\n")
program = os.path.join(os.path.dirname(sys.executable), "pyinfra")
os.execv(program, [program, "-y", "--parallel", str(CONCURRENCY), "inventory.py", "exec", "--", ARGS[0]])
