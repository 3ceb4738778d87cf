"""Host strings and connections (Fabric 1)."""

import re
import sys

from . import _engine
from .exceptions import CommandTimeout, NetworkError  # noqa: F401
from .state import connections, env, output
from .utils import abort, error, handle_prompt_abort, warn  # noqa: F401

ipv6_regex = re.compile(r"^\[?(?P<host>[0-9A-Fa-f:]+(?:%[a-z]+\d+)?)\]?(:(?P<port>\d+))?$")


def parse_host_string(host_string):
    """The parts of ``[user@]host[:port]``: a dictionary with ``user``, ``host`` and ``port``."""
    user, hostport = None, re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://", "", host_string)
    host_string = hostport
    if "@" in host_string:
        user, hostport = host_string.rsplit("@", 1)
        user = user or None
    if hostport.count(":") > 1:
        match = ipv6_regex.match(hostport)
        if match is None:
            raise ValueError("%r is not a host: it has several colons and is no IPv6 address" % host_string)
        host, port = match.group("host"), match.group("port")
        if not hostport.startswith("["):
            host, port = hostport, None
    else:
        host, _, port = hostport.partition(":")
    return {"user": user, "host": host or None, "port": port or None}


def normalize(host_string, omit_port=False):
    """User, host and port of a host string, with the defaults of ``env``."""
    if not host_string:
        return ("", "") if omit_port else ("", "", "")
    parts = parse_host_string(host_string)
    user = parts["user"] or env.user or env.local_user
    host, port = parts["host"], parts["port"] or str(env.port or env.default_port)
    return (user, host) if omit_port else (user, host, port)


def to_dict(host_string):
    user, host, port = normalize(host_string)
    return {"user": user, "host": host, "port": port, "host_string": host_string}


def from_dict(arg):
    return join_host_strings(arg["user"], arg["host"], arg["port"])


def denormalize(host_string):
    """A host string without what ``env`` says anyway."""
    parts = parse_host_string(host_string)
    user = parts["user"] + "@" if parts["user"] and parts["user"] != env.user else ""
    port = ":" + parts["port"] if parts["port"] and parts["port"] != "22" else ""
    host = parts["host"]
    if port and host.count(":") > 1:
        host = "[%s]" % host
    return user + host + port


def join_host_strings(user, host, port=None):
    """One host string of the parts."""
    if not port:
        return "%s@%s" % (user, host)
    return ("%s@[%s]:%s" if host.count(":") > 1 else "%s@%s:%s") % (user, host, port)


def normalize_to_string(host_string):
    return join_host_strings(*normalize(host_string))


def key_filenames():
    keys = env.key_filename
    if not keys:
        return []
    import os

    keys = [keys] if isinstance(keys, str) else list(keys)
    return [os.path.expanduser(key) for key in keys]


def _ask_for_host():
    handle_prompt_abort("the target host connection string")
    while True:
        sys.stdout.write("No hosts found. Please specify (single) host string for connection: ")
        sys.stdout.flush()
        host_string = input().strip()
        if host_string:
            break
    env.host_string = host_string
    env.user, env.host, env.port = normalize(host_string)


prompt_for_host = _ask_for_host


def needs_host(func):
    """A function that asks for a host where there is none."""
    import functools

    @functools.wraps(func)
    def host_prompting_wrapper(*args, **kwargs):
        from ._calls import needs_host as need

        need()
        return func(*args, **kwargs)

    return host_prompting_wrapper


def disconnect_all():
    """Closes all connections."""
    for host in connections.keys():
        if output.status and not _engine.engine.within_fab:
            sys.stdout.write("Disconnecting from %s ... " % denormalize(host))
            sys.stdout.flush()
        connections[host].close()
        if output.status and not _engine.engine.within_fab:
            sys.stdout.write("done.\n")
    connections.clear()


def ssh_config(host_string=None):
    """What ssh_config says of the host: a dictionary."""
    from ._calls import ask

    host = parse_host_string(host_string or env.host_string or "")["host"]
    return ask("ssh_config", {"host": host}, local=True).header.get("ssh_config", {})


class _Ssh(object):
    """What ``fabric.network.ssh`` is: Paramiko, which is imported at the first use."""

    def __getattr__(self, name):
        import paramiko

        return getattr(paramiko, name)


ssh = _Ssh()


class HostConnectionCache(dict):
    """In Fabric 1 the class of ``connections``."""
