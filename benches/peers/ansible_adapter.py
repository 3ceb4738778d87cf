"""Ansible: a raw command, without multiplexing, which would outlive the run."""

import os
import sys

from common import ARGS, CONCURRENCY, HOSTS, JOB, KEY, SSH_CONFIG, USER, unsupported

if JOB != "fanout":
    unsupported()
with open("inventory.ini", "w") as file:
    file.writelines(f"{address} ansible_port={port}\n" for address, port in HOSTS)
os.environ.update(
    ANSIBLE_SSH_ARGS=f"-F {SSH_CONFIG} -o ControlMaster=no",
    ANSIBLE_LOCAL_TEMP=os.path.join(os.getcwd(), "ansible"),
    ANSIBLE_HOST_KEY_CHECKING="True",
    ANSIBLE_PYTHON_INTERPRETER="/usr/bin/python3",
)
program = os.path.join(os.path.dirname(sys.executable), "ansible")
words = ["all", "-i", "inventory.ini", "-u", USER, "--private-key", KEY, "-f", str(CONCURRENCY), "-m", "raw", "-a", ARGS[0]]
os.execv(program, [program, *words])
