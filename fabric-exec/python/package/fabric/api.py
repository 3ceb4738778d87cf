"""All that a fabfile of Fabric 1 uses: ``from fabric.api import *``."""

from fabric.context_managers import (cd, hide, settings, show, path, prefix, lcd, quiet, warn_only, remote_tunnel, shell_env)
from fabric.decorators import hosts, roles, runs_once, with_settings, task, serial, parallel
from fabric.operations import require, prompt, put, get, run, sudo, local, reboot, open_shell
from fabric.state import env, output
from fabric.utils import abort, warn, puts, fastprint
from fabric.tasks import execute
