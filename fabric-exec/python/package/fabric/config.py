"""Settings (Fabric 2 and 3). Files, variables and ssh_config are read by the engine, below what is here."""

from ._invoke import Config as _Config
from ._invoke import DataProxy, _user, merge_dicts  # noqa: F401


class Config(_Config):
    """The settings of connections: ``Config(overrides={..})`` comes above all files and variables."""

    prefix = "fabric"
    ssh_config_path = None

    @classmethod
    def from_v1(cls, env, **kwargs):
        """From an ``env`` of Fabric 1."""
        overrides = merge_dicts({}, kwargs.pop("overrides", {}))
        connect = overrides.setdefault("connect_kwargs", {})
        for theirs, ours in (("user", "user"), ("forward_agent", "forward_agent"), ("gateway", "gateway")):
            if env.get(theirs) is not None:
                overrides.setdefault(ours, env[theirs])
        if env.get("port") and ":" not in str(env.get("host_string") or ""):
            overrides.setdefault("port", int(env["port"]))
        if env.get("key_filename"):
            connect.setdefault("key_filename", env["key_filename"])
        if env.get("password"):
            connect.setdefault("password", env["password"])
        if env.get("always_use_pty") is not None:
            overrides.setdefault("run", {}).setdefault("pty", env["always_use_pty"])
        if env.get("warn_only") is not None:
            overrides.setdefault("run", {}).setdefault("warn", env["warn_only"])
        timeouts = overrides.setdefault("timeouts", {})
        for theirs, ours in (("timeout", "connect"), ("command_timeout", "command")):
            if env.get(theirs) is not None:
                timeouts.setdefault(ours, env[theirs])
        sudo = overrides.setdefault("sudo", {})
        for theirs, ours in (("sudo_password", "password"), ("sudo_user", "user")):
            if env.get(theirs) is not None:
                sudo.setdefault(ours, env[theirs])
        return cls(overrides=overrides, **kwargs)

    @staticmethod
    def global_defaults():
        defaults = _Config.global_defaults()
        ours = {
            "authentication": {"identities": [], "strategy_class": None},
            "connect_kwargs": {},
            "forward_agent": False,
            "gateway": None,
            "inline_ssh_env": True,
            "load_ssh_configs": True,
            "port": 22,
            "run": {"replace_env": False},
            "ssh_config_path": None,
            "tasks": {"collection_name": "fabfile"},
            "timeouts": {"connect": None},
            "user": _user(),
        }
        return merge_dicts(defaults, ours)

    def load_ssh_config(self):
        pass

    def set_runtime_ssh_path(self, path):
        self["ssh_config_path"] = path
