"""A connection with a host (Fabric 2 and 3)."""

import os
import re
import socket
from contextlib import contextmanager

from . import _engine
from ._invoke import Context, _of, execute, failure, merge_dicts, plain, run_options
from ._wire import EngineError
from .config import Config
from .exceptions import InvalidV1Env

engine = _engine.engine


def opens(method):
    """In Fabric 3 a method that opens the connection; the engine opens it by itself."""
    return method


def derive_shorthand(host_string):
    """User, host and port of ``[user@]host[:port]``."""
    scheme = re.match(r"^[A-Za-z][A-Za-z0-9+.-]*://", host_string)
    if scheme:
        rest = derive_shorthand(host_string[scheme.end() :])
        return dict(rest, host=scheme.group() + rest["host"])
    user_hostport = host_string.rsplit("@", 1)
    hostport = user_hostport.pop()
    user = user_hostport[0] if user_hostport and user_hostport[0] else None
    if hostport.count(":") > 1:
        host, port = hostport, None
        bracketed = re.match(r"^\[(.*)\](?::(\d+))?$", hostport)
        if bracketed:
            host, port = bracketed.group(1), bracketed.group(2)
    else:
        host, _, port = hostport.rpartition(":") if ":" in hostport else (hostport, "", "")
        port = port or None
    return {"user": user, "host": host, "port": int(port) if port is not None else None}


#: The keys of ``connect_kwargs`` that mean something here, and the settings that they are.
_CONNECT = {
    "password": "password", "passphrase": "passphrase", "key_filename": "key_filename", "timeout": "timeout",
    "banner_timeout": "banner_timeout", "auth_timeout": "auth_timeout", "channel_timeout": "channel_timeout",
    "compress": "compression", "gss_auth": "gss_auth", "gss_kex": "gss_kex", "gss_deleg_creds": "gss_deleg",
}  # fmt: skip


class Connection(Context):
    """A handle on one host: ``run``, ``sudo``, ``put``, ``get`` and the rest open it when they are first called.

    Any number of threads may use one at the same time, and a forked child opens its own. Host keys are checked.
    """

    host = None
    original_host = None
    user = None
    port = None
    ssh_config = None
    gateway = None
    forward_agent = None
    connect_timeout = None
    connect_kwargs = None
    inline_ssh_env = None
    default_host_key_policy = None

    @classmethod
    def from_v1(cls, env, **kwargs):
        """From an ``env`` of Fabric 1."""
        if not env.get("host_string"):
            raise InvalidV1Env("Supplied v1 env has an empty `host_string` value! Please make sure you're calling "
                               "Connection.from_v1 within a connected Fabric 1 session.")
        connect = kwargs.setdefault("connect_kwargs", {})
        kwargs.setdefault("host", env["host_string"])
        shorthand = derive_shorthand(env["host_string"])
        kwargs.setdefault("user", None if shorthand["user"] else env.get("user"))
        if not shorthand["port"] and env.get("port"):
            kwargs.setdefault("port", int(env["port"]))
        if env.get("key_filename") is not None:
            connect.setdefault("key_filename", env["key_filename"])
        if "config" not in kwargs:
            kwargs["config"] = Config.from_v1(env)
        return cls(**kwargs)

    def __init__(self, host, user=None, port=None, config=None, gateway=None, forward_agent=None, connect_timeout=None,
                 connect_kwargs=None, inline_ssh_env=None):
        set_ = object.__setattr__
        if config is None:
            config = Config()
        elif not isinstance(config, Config):
            # One of Invoke.
            config = Config(overrides=plain(config))
        Context.__init__(self, config)
        shorthand = derive_shorthand(host)
        for what, value in (("user", user), ("port", port)):
            if value is not None and shorthand[what] is not None:
                raise ValueError("You supplied the %s via both shorthand and kwarg! Please pick one." % what)
        set_(self, "original_host", shorthand["host"])
        set_(self, "_given", {
            "user": user or shorthand["user"], "port": port or shorthand["port"], "gateway": gateway,
            "forward_agent": forward_agent, "connect_timeout": connect_timeout, "connect_kwargs": connect_kwargs,
            "inline_ssh_env": inline_ssh_env, "host": host,
        })
        set_(self, "_call", None)
        set_(self, "_info", None)
        set_(self, "_sftp", None)
        set_(self, "host", shorthand["host"])
        set_(self, "user", user or shorthand["user"] or _of(config, "user"))
        set_(self, "port", port or shorthand["port"] or _of(config, "port"))
        set_(self, "gateway", gateway if gateway is not None else _of(config, "gateway"))
        set_(self, "forward_agent", forward_agent if forward_agent is not None else _of(config, "forward_agent"))
        timeout = connect_timeout if connect_timeout is not None else _of(config, "timeouts", "connect")
        set_(self, "connect_timeout", int(timeout) if timeout is not None else None)
        set_(self, "connect_kwargs", connect_kwargs if connect_kwargs else _of(config, "connect_kwargs") or {})
        set_(self, "inline_ssh_env", inline_ssh_env if inline_ssh_env is not None else _of(config, "inline_ssh_env"))
        set_(self, "ssh_config", {"hostname": self.host})
        set_(self, "_overlay_kept", None)

    @classmethod
    def _of_run(cls, header, config):
        """The connection of a task that ``fab`` runs on a host."""
        connection = cls(header["host"].split("://")[-1], config=config)
        set_ = object.__setattr__
        set_(connection, "_call", header["call"])
        set_(connection, "host", header.get("name") or connection.host)
        set_(connection, "user", header.get("user") or connection.user)
        set_(connection, "port", header.get("port") or connection.port)
        return connection

    # -- what the engine needs to know ------------------------------------------------------------------------------------

    def _on(self):
        given = self._given["host"]
        return derive_shorthand(given)["host"] if "@" in given or not given.startswith("[") else given

    def _overlay(self):
        """The settings of this connection."""
        given, env = self._given, {"ok_ret_codes": [0]}
        config = self.config
        defaults = _defaults()
        if given["user"]:
            env["user"] = given["user"]
        elif _of(config, "user") != defaults["user"]:
            env["user"] = _of(config, "user")
        if given["port"]:
            env["port"] = int(given["port"])
        elif _of(config, "port") != 22:
            env["port"] = int(_of(config, "port"))
        gateway = self.gateway
        if gateway is False:
            env["gateway"] = False
        elif isinstance(gateway, Connection):
            env["gateway"] = ",".join(reversed(list(gateway._hops())))
        elif gateway is not None:
            env["gateway"] = str(gateway)
        if self.forward_agent:
            env["forward_agent"] = True
        if self.connect_timeout is not None:
            env["timeout"] = float(self.connect_timeout)
        if self.inline_ssh_env is False:
            env["inline_ssh_env"] = False
        if _of(config, "load_ssh_configs") is False:
            env["use_ssh_config"] = False
        path = _of(config, "ssh_config_path") or type(config).ssh_config_path
        if path:
            env["ssh_config_path"] = os.path.expanduser(str(path))
        password = _of(config, "sudo", "password")
        if password is not None:
            env["sudo_password"] = str(password)
        self._of_kwargs(env)
        identities = _of(config, "authentication", "identities")
        if identities and "key_filename" not in env:
            env["key_filename"] = [os.path.expanduser(str(one)) for one in identities]
        if self.command_cwds:
            env["cwd"] = _joined(self.command_cwds)
        if self.command_prefixes:
            env["command_prefixes"] = list(self.command_prefixes)
        return env

    def _of_kwargs(self, env):
        for key, value in dict(self.connect_kwargs or {}).items():
            if value is None:
                continue
            if key in ("hostname", "port", "username"):
                raise ValueError("Refusing to be ambiguous: connect() kwarg '%s' was given both via regular arg and via "
                                 "connect_kwargs!" % key)
            if key == "timeout" and self.connect_timeout is not None:
                raise ValueError("Refusing to be ambiguous: connect() kwarg 'timeout' was given both via regular arg and via "
                                 "connect_kwargs!")
            if key == "key_filename":
                keys = [value] if isinstance(value, (str, os.PathLike)) else list(value)
                env["key_filename"] = [os.path.expanduser(str(one)) for one in keys]
            elif key == "look_for_keys":
                env["no_keys"] = not value
            elif key == "allow_agent":
                env["no_agent"] = not value
            elif key == "pkey":
                env.update(_of_key(value))
            elif key in _CONNECT:
                env[_CONNECT[key]] = value if isinstance(value, (bool, int, float)) else str(value)
            elif key in ("auth_strategy", "transport_factory", "sock", "disabled_algorithms"):
                raise ValueError("connect_kwargs[%r] has no meaning here: the engine is not Paramiko (ssh_config and settings say "
                                 "which algorithms and ways are used)" % key)
            else:
                raise ValueError("connect_kwargs[%r] is not known: %s are" % (key, ", ".join(sorted(_CONNECT))))

    def _hops(self):
        """This host as a hop, and those before it."""
        text = self._on()
        if self._given["user"]:
            text = "%s@%s" % (self._given["user"], text)
        if self._given["port"]:
            text = "%s:%s" % ("[%s]" % text if text.count(":") > 1 else text, self._given["port"])
        yield text
        if isinstance(self.gateway, Connection):
            for hop in self.gateway._hops():
                yield hop

    def _header(self, header):
        header = dict(header, env=self._overlay())
        if self._call is None or self._call != engine.current:
            header["on"] = self._on()
        else:
            # The host of the task: what it came with counts.
            for name in ("user", "port"):
                if self._given[name] is None:
                    header["env"].pop(name, None)
        return header

    def _ask(self, verb, header, raw=b"", on_data=None):
        return engine.call(verb, self._header(header), raw, on_data)

    def _do(self, verb, header=None):
        try:
            return self._ask(verb, header or {}).header
        except EngineError as error:
            raise failure(error)

    # -- what people call -------------------------------------------------------------------------------------------

    def __repr__(self):
        text = "host=%s" % self.host
        if self.user != _of(self.config, "user"):
            text += " user=%s" % self.user
        if self.port != _of(self.config, "port"):
            text += " port=%s" % self.port
        if self.gateway:
            text += " gw=%s" % ("proxyjump" if isinstance(self.gateway, Connection) else "proxycommand")
        return "<Connection %s>" % text

    __str__ = __repr__

    def _identity(self):
        return (self.host, self.user, self.port)

    def __eq__(self, other):
        return isinstance(other, Connection) and self._identity() == other._identity()

    def __ne__(self, other):
        return not self == other

    def __lt__(self, other):
        return self._identity() < other._identity()

    def __hash__(self):
        return hash(self._identity())

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def __reduce__(self):
        given = dict(self._given)
        host = given.pop("host")
        shorthand = derive_shorthand(host)
        for name in ("user", "port"):
            if shorthand[name] is not None:
                given[name] = None
        return (_connection_of, (type(self), host, given, self.config))

    def __deepcopy__(self, memo):
        return self

    @property
    def is_connected(self):
        """Whether the connection stands, as far as is known."""
        if engine.channel is None:
            return False
        return bool(self._do("is_open").get("open"))

    def open(self):
        """Connects now."""
        self._do("open")

    def open_gateway(self):
        raise NotImplementedError("open_gateway(): the engine opens gateways by itself")

    def close(self):
        """Ends the connection, and what runs over it. The next use opens it again."""
        if engine.channel is not None:
            self._do("close")

    def run(self, command, **kwargs):
        """Runs a command on the host: a ``Result``, or ``UnexpectedExit`` where it ends with another status than 0."""
        return self._remote("run", command, kwargs)

    def _remote(self, verb, command, kwargs, sudo=None):
        options = run_options(self.config, dict(kwargs), remote=True)
        return execute(verb, str(command), options, self._ask, self, sudo)

    def sudo(self, command, **kwargs):
        """Runs a command by ``sudo``, as ``user``; its directory and prefixes are within that."""
        sudo = {}
        user = kwargs.pop("user", None) or _of(self.config, "sudo", "user")
        password = kwargs.pop("password", None) or _of(self.config, "sudo", "password")
        if user:
            sudo["user"] = str(user)
        if password is not None:
            sudo["password"] = str(password)
        return self._remote("sudo", command, kwargs, sudo)

    def local(self, command, **kwargs):
        """Runs a command on this machine."""
        options = run_options(self.config, dict(kwargs), remote=False)
        return execute("local", self._prefix_commands(str(command)), options, Context._ask.__get__(self))

    def shell(self, **kwargs):
        """An interactive shell on the host."""
        self._do("open_shell", {"line": None})

    def get(self, *args, **kwargs):
        """Gets a file: see ``fabric.transfer.Transfer.get``."""
        from .transfer import Transfer

        return Transfer(self).get(*args, **kwargs)

    def put(self, *args, **kwargs):
        """Puts a file: see ``fabric.transfer.Transfer.put``."""
        from .transfer import Transfer

        return Transfer(self).put(*args, **kwargs)

    def sftp(self):
        """The host's files."""
        if self._sftp is None:
            from ._sftp import SFTPClient

            object.__setattr__(self, "_sftp", SFTPClient(self))
        return self._sftp

    @contextmanager
    def forward_local(self, local_port, remote_port=None, remote_host="localhost", local_host="localhost"):
        """A port here that leads to one that the host can reach, for the time of the block."""
        answer = self._do("forward_local", {
            "local_port": int(local_port), "bind": local_host, "host": remote_host,
            "port": int(remote_port if remote_port is not None else local_port),
        })
        try:
            yield
        finally:
            engine.call("unforward", {"forward": answer["forward"]})

    @contextmanager
    def forward_remote(self, remote_port, local_port=None, remote_host="127.0.0.1", local_host="localhost"):
        """A port of the host that leads to one that this machine can reach, for the time of the block."""
        answer = self._do("forward_remote", {
            "remote_port": int(remote_port), "bind": remote_host, "host": local_host,
            "port": int(local_port if local_port is not None else remote_port),
        })
        try:
            yield
        finally:
            engine.call("unforward", {"forward": answer["forward"]})

    @property
    def client(self):
        """What takes the place of Paramiko's client."""
        from ._sftp import Client

        return Client(self)

    @property
    def transport(self):
        """What takes the place of Paramiko's transport; ``None`` where the connection doesn't stand."""
        return self.client.get_transport() if self.is_connected else None


_defaults_kept = []


def _defaults():
    if not _defaults_kept:
        _defaults_kept.append(Config.global_defaults())
    return _defaults_kept[0]


def _joined(cwds):
    for number, path in reversed(list(enumerate(cwds))):
        if path.startswith(("~", "/")):
            break
    return os.path.join(*cwds[number:])


def _connection_of(cls, host, given, config):
    return cls(host, config=config, **given)


def _of_key(key):
    """The settings for a private key of Paramiko, or of its stand-in."""
    path = getattr(key, "_fabric_path", None)
    if path is not None:
        env = {"key_filename": [path]}
        if key._fabric_password is not None:
            env["passphrase"] = key._fabric_password
        return env
    text = getattr(key, "_fabric_text", None)
    if text is None and hasattr(key, "write_private_key"):
        import io

        out = io.StringIO()
        try:
            key.write_private_key(out)
        except Exception as error:
            raise ValueError("connect_kwargs['pkey']: this key can't be used here (%s): give key_filename" % error)
        text = out.getvalue()
    if text is None:
        raise ValueError("connect_kwargs['pkey'] is no private key: %r" % (key,))
    return {"key": text}


_ = (socket, merge_dicts)
