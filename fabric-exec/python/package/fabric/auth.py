"""Ways of logging in (Fabric 3)."""


class OpenSSHAuthStrategy(object):
    """Logging in as OpenSSH does: what the engine does anyway."""

    def __init__(self, ssh_config=None, fabric_config=None, username=None):
        self.ssh_config, self.config, self.username = ssh_config, fabric_config, username
