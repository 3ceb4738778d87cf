"""``env`` and ``output``: what Fabric 1 keeps between calls."""

import sys

from . import _engine

win32 = sys.platform == "win32"


class _AttributeDict(dict):
    """A dictionary whose keys are attributes too."""

    def __getattr__(self, key):
        try:
            return self[key]
        except KeyError:
            raise AttributeError(key)

    def __setattr__(self, key, value):
        self[key] = value

    def __delattr__(self, key):
        try:
            del self[key]
        except KeyError:
            raise AttributeError(key)

    def first(self, *names):
        """The first of these values that is true."""
        for name in names:
            value = self.get(name)
            if value:
                return value


class _AliasDict(_AttributeDict):
    """An ``_AttributeDict`` some of whose names stand for several others; they can be set only."""

    def __init__(self, arg=None, aliases=None):
        init = super(_AliasDict, self).__init__
        init(arg) if arg is not None else init()
        dict.__setattr__(self, "aliases", aliases or {})

    def __setattr__(self, key, value):
        if key == "aliases":
            dict.__setattr__(self, key, value)
        else:
            self[key] = value

    def __setitem__(self, key, value):
        if key in self.aliases:
            for name in self.aliases[key]:
                self[name] = value
        else:
            dict.__setitem__(self, key, value)

    def expand_aliases(self, keys):
        names = []
        for key in keys:
            if key in self.aliases:
                names.extend(self.expand_aliases(self.aliases[key]))
            else:
                names.append(key)
        return names


def default_output():
    return {
        "status": True,
        "aborts": True,
        "warnings": True,
        "running": True,
        "stdout": True,
        "stderr": True,
        "user": True,
        "exceptions": False,
        "debug": False,
    }


output = _AliasDict(
    default_output(),
    aliases={
        "everything": ["warnings", "running", "user", "output", "exceptions"],
        "output": ["stdout", "stderr"],
        "commands": ["stdout", "running"],
    },
)


def _local_user():
    import getpass

    try:
        return getpass.getuser()
    except Exception:
        return None


def default_env():
    """The values of Fabric 1."""
    user = _local_user()
    return {
        "abort_exception": None,
        "abort_on_prompts": False,
        "again_prompt": "Sorry, try again.",
        "all_hosts": [],
        "always_use_pty": True,
        "auth_timeout": 30,
        "banner_timeout": 15,
        "colorize_errors": False,
        "combine_stderr": True,
        "command": None,
        "command_prefixes": [],
        "command_timeout": None,
        "connection_attempts": 1,
        "cwd": "",
        "dedupe_hosts": True,
        "default_port": "22",
        "disable_known_hosts": False,
        "eagerly_disconnect": False,
        "echo_stdin": True,
        "effective_roles": [],
        "exclude_hosts": [],
        "fabfile": "fabfile",
        "forward_agent": False,
        "gateway": None,
        "gss_auth": None,
        "gss_deleg": None,
        "gss_kex": None,
        "hide": None,
        "host": None,
        "host_string": None,
        "hosts": [],
        "keepalive": 0,
        "key_filename": None,
        "lcwd": "",
        "linewise": False,
        "local_user": user,
        "new_style_tasks": False,
        "no_agent": False,
        "no_keys": False,
        "ok_ret_codes": [0],
        "output_prefix": True,
        "parallel": False,
        "password": None,
        "passwords": {},
        "path": "",
        "path_behavior": "append",
        "pool_size": 0,
        "port": "22",
        "prompts": {},
        "rcfile": "~/.fabricrc",
        "real_fabfile": None,
        "reject_unknown_hosts": False,
        "remote_interrupt": None,
        "roledefs": {},
        "roles": [],
        "shell": "/bin/bash -l -c",
        "shell_env": {},
        "show": None,
        "skip_bad_hosts": False,
        "skip_unknown_tasks": False,
        "ssh_config_path": "~/.ssh/config",
        "sudo_password": None,
        "sudo_passwords": {},
        "sudo_prefix": "sudo -S -p '%(sudo_prompt)s' ",
        "sudo_prompt": "sudo password:",
        "sudo_user": None,
        "system_known_hosts": None,
        "tasks": [],
        "timeout": 10,
        "use_exceptions_for": {"network": False},
        "use_shell": True,
        "use_ssh_config": False,
        "user": user,
        "version": "1.21.0",
        "warn_only": False,
    }


env = _AliasDict(default_env(), aliases={})

#: What a call sends only where it is not what this says: what the engine knows already.
_known = dict(default_env())

#: The settings of the engine that a value of ``env`` is.
_OF_CALLS = (
    "user", "port", "password", "passwords", "sudo_password", "sudo_passwords", "key", "key_filename", "no_keys",
    "no_agent", "forward_agent", "gss_auth", "gss_deleg", "gss_kex", "timeout", "banner_timeout", "auth_timeout",
    "connection_attempts", "keepalive", "gateway", "disable_known_hosts", "reject_unknown_hosts", "system_known_hosts",
    "ssh_config_path", "abort_on_prompts", "shell", "command_timeout", "command_prefixes", "cwd", "lcwd", "path",
    "path_behavior", "shell_env", "sudo_user", "prompts", "ok_ret_codes", "capture_buffer_size", "compression",
    "transport", "hostname", "inline_ssh_env", "ssh_options",
)  # fmt: skip

#: What decides on the hosts of a task, or how the engine goes over them.
_OF_TASKS = (
    "hosts", "roles", "exclude_hosts", "dedupe_hosts", "parallel", "pool_size", "linewise", "skip_bad_hosts", "warn_only",
    "use_ssh_config", "batch", "max_failures", "retries", "output_prefix", "colorize_errors", "eagerly_disconnect",
)  # fmt: skip

_SECONDS = ("timeout", "banner_timeout", "auth_timeout", "keepalive", "command_timeout")


def _value(name, value):
    """A value as the engine takes it."""
    if value is None:
        return None
    if name == "port":
        return int(value) if str(value).strip() else None
    if name in ("key_filename", "hosts", "roles", "exclude_hosts", "command_prefixes"):
        import os

        items = [value] if isinstance(value, (str, bytes)) else list(value)
        if name == "key_filename":
            return [os.path.expanduser(_text(item)) for item in items]
        return [_text(item) for item in items]
    if name in _SECONDS:
        return float(value)
    if name in ("connection_attempts", "pool_size", "retries"):
        return int(value)
    if isinstance(value, bool) or isinstance(value, (int, float)):
        return value
    if isinstance(value, dict):
        return {_text(key): _text(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return list(value)
    if name in ("user", "shell", "cwd", "lcwd", "path", "gateway", "password", "sudo_password"):
        return _text(value)
    return value


def _text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    return str(value)


def _changed(names):
    """The settings among these that are not what the engine knows."""
    changed = {}
    for name in names:
        value = env.get(name)
        if value != _known.get(name):
            changed[name] = value if value is None else _value(name, value)
    return changed


def _overlay():
    """What a call sends of ``env``."""
    changed = {}
    for name in _OF_CALLS:
        value = env.get(name)
        if value != _known.get(name):
            changed[name] = _value(name, value)
    changed["use_ssh_config"] = bool(env.get("use_ssh_config"))
    if changed["use_ssh_config"] is False:
        changed.pop("ssh_config_path", None)
    elif "ssh_config_path" in changed:
        import os

        changed["ssh_config_path"] = os.path.expanduser(str(changed["ssh_config_path"]))
    return changed


class _Connections(object):
    """``connections``: the hosts that this process has had to do with. Who uses a key opens it."""

    def __init__(self):
        self._seen = {}

    def _note(self, host):
        self._seen.setdefault(host, _Client(host))

    def __getitem__(self, key):
        self._note(key)
        return self._seen[key]

    def __delitem__(self, key):
        self._seen.pop(key).close()

    def __contains__(self, key):
        return key in self._seen

    def __iter__(self):
        return iter(list(self._seen))

    def __len__(self):
        return len(self._seen)

    def keys(self):
        return list(self._seen)

    def values(self):
        return list(self._seen.values())

    def items(self):
        return list(self._seen.items())

    def get(self, key, default=None):
        return self._seen.get(key, default)

    def pop(self, key, *default):
        return self._seen.pop(key, *default)

    def clear(self):
        self._seen.clear()

    def connect(self, key):
        """Connects now."""
        self._note(key)
        _engine.engine.call("open", {"on": key, "env": _overlay()})


class _Client(object):
    """What ``connections`` has for a host: a handle on the engine's connection."""

    def __init__(self, host):
        self.host_string = host

    def close(self):
        _engine.engine.call("close", {"on": self.host_string, "env": _overlay()})

    def get_transport(self):
        return self

    def is_active(self):
        return bool(_engine.engine.call("is_open", {"on": self.host_string, "env": _overlay()}).header.get("open"))

    def __getattr__(self, name):
        raise AttributeError(
            "Fabric's connections have no %r here: there is no Paramiko below them (close, get_transport and is_active are "
            "there)" % name
        )


connections = _Connections()

#: Names of tasks, to what they are, once a fabfile is loaded.
commands = {}


def default_channel():
    """In Fabric 1 a channel of Paramiko."""
    raise NotImplementedError("default_channel(): there is no Paramiko below this Fabric")
