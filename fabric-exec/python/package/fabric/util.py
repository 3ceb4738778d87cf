"""Small things of Fabric 3."""

import logging

log = logging.getLogger("fabric")
debug = log.debug


def get_local_user():
    """The name of the user of this program."""
    import getpass

    try:
        return getpass.getuser()
    except Exception:
        return None
