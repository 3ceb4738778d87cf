"""Fabric 3: what a fabfile of it would do. It has no limit on threads, so hosts are taken in slices."""

import os
import sys

from common import ADDRESS, ARGS, CONCURRENCY, HOSTS, JOB, KEY, PORT, USER, unsupported

FABFILE = """
from fabric import task

@task
def uptime(c):
    c.run("uptime")

@task
def migrate(c):
    "Bring the database up to date"
    c.run("bin/migrate")

@task
def deploy(c, version):
    "Roll a version out"
    c.put(f"app-{version}.tgz", "/tmp/app.tgz")
    c.run("cd /srv/app && tar xzf /tmp/app.tgz")
    c.sudo("systemctl restart app")
"""

if JOB in ("list", "version"):
    with open("fabfile.py", "w") as file:
        file.write(FABFILE)
    program = os.path.join(os.path.dirname(sys.executable), "fab")
    os.execv(program, [program, f"--{JOB}"])

from fabric import Config, Connection, ThreadingGroup
from paramiko import RejectPolicy
from paramiko.hostkeys import HostKeyEntry


def known_keys():
    with open(os.environ["BENCH_KNOWN_HOSTS"]) as file:
        entries = map(HostKeyEntry.from_line, file)
        return {name: entry.key for entry in entries for name in entry.hostnames}


def connections(hosts):
    made = [Connection(address, USER, port, connect_kwargs=LOGIN, config=CONFIG) for address, port in hosts]
    for connection in made:
        # Fabric's own default takes every key. Each is given its own alone: to read the whole file for each host takes
        # longer than all else.
        name = f"[{connection.host}]:{connection.port}"
        connection.client.get_host_keys().add(name, KEYS[name].get_name(), KEYS[name])
        connection.client.set_missing_host_key_policy(RejectPolicy())
    return made


KEYS = known_keys()


LOGIN = {"key_filename": KEY, "look_for_keys": False, "allow_agent": False}
CONFIG = Config(overrides={"load_ssh_configs": False})

if JOB == "fanout":
    for start in range(0, len(HOSTS), CONCURRENCY):
        with ThreadingGroup.from_connections(connections(HOSTS[start : start + CONCURRENCY])) as group:
            for connection, result in group.run(ARGS[0], hide=True, in_stream=False).items():
                for line in result.stdout.splitlines():
                    print(f"[{connection.host}] {line}")
    sys.exit()

connection = connections([(ADDRESS, PORT)])[0]
if JOB == "many":
    for _ in range(int(ARGS[0])):
        connection.run(ARGS[1], hide=True, in_stream=False)
elif JOB == "put":
    connection.put(*ARGS)
elif JOB == "get":
    connection.get(*ARGS)
elif JOB == "puttree":
    local, remote = ARGS
    connection.run(f"mkdir {remote}", in_stream=False)
    for name in os.listdir(local):
        connection.put(f"{local}/{name}", f"{remote}/{name}")
elif JOB == "gettree":
    remote, local = ARGS
    os.mkdir(local)
    for name in connection.sftp().listdir(remote):
        connection.get(f"{remote}/{name}", f"{local}/{name}")
else:
    unsupported()
