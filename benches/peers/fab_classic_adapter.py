"""fab-classic: Fabric 1, kept alive; its own program with a fabfile."""

import os
import sys

from common import ADDRESS, ARGS, CONCURRENCY, HOSTS, JOB, KEY, KNOWN_HOSTS, PORT, USER, unsupported

FABFILE = """
from fabric.api import env, get, put, run, local
import os

# Host keys are checked against the known_hosts of HOME.
env.reject_unknown_hosts = True

def fanout(command):
    run(command, shell=False, pty=False)

def many(count, command):
    for _ in range(int(count)):
        run(command, shell=False, pty=False)

def puttree(here, there):
    run("mkdir " + there, shell=False, pty=False)
    put(here + "/*", there)

def gettree(there, here):
    get(there, here)
"""

with open("fabfile.py", "w") as file:
    file.write(FABFILE)
os.makedirs(os.path.join(os.environ["HOME"], ".ssh"), exist_ok=True)
with open(KNOWN_HOSTS) as known, open(os.path.join(os.environ["HOME"], ".ssh/known_hosts"), "w") as file:
    file.write(known.read())
program = os.path.join(os.path.dirname(sys.executable), "fab")
if JOB == "list":
    os.execv(program, [program, "--list"])
if JOB == "version":
    os.execv(program, [program, "--version"])
if JOB not in ("fanout", "many", "puttree", "gettree"):
    unsupported()
hosts = HOSTS if JOB == "fanout" else [(ADDRESS, PORT)]
words = [program, "-u", USER, "-i", KEY, "--no_agent", "-H", ",".join(f"{address}:{port}" for address, port in hosts)]
if len(hosts) > 1:
    words += ["-P", "-z", str(CONCURRENCY)]
os.execv(program, [*words, JOB + ":" + ",".join(ARGS)])
