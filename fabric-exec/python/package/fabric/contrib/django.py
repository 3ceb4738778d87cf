"""Django's settings for a fabfile (Fabric 1)."""

import os


def settings_module(module):
    """Sets ``DJANGO_SETTINGS_MODULE``."""
    os.environ["DJANGO_SETTINGS_MODULE"] = module


def project(name):
    """Sets it to the settings of this project."""
    settings_module("%s.settings" % name)
