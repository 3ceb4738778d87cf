"""Whole directories (Fabric 1)."""

import os
import os.path
import re
import tarfile  # noqa: F401
from tempfile import mkdtemp

from fabric.network import key_filenames, needs_host, normalize
from fabric.operations import local, put, run, sudo
from fabric.state import env, output
from fabric.utils import abort  # noqa: F401

__all__ = ["rsync_project", "upload_project"]


@needs_host
def rsync_project(remote_dir, local_dir=None, exclude=(), delete=False, extra_opts="", ssh_opts="", capture=False,
                  upload=True, default_opts="-pthrvz"):
    """Copies a directory by ``rsync``, which has to be on both sides, over the system's ``ssh``."""
    if isinstance(exclude, str):
        exclude = (exclude,)
    exclusions = " ".join('--exclude "%s"' % one.replace('"', '\\\\"') for one in exclude)
    keys = key_filenames()
    key_string = "-i " + " -i ".join(keys) if keys else ""
    user, host, port = normalize(env.host_string)
    port_string = "" if port == str(env.default_port) else "-p %s" % port
    proxy = ""
    if env.gateway:
        gateway_user, gateway, gateway_port = normalize(env.gateway)
        proxy = "-A -o \"ProxyCommand=ssh %s -p %s %s@%s nc %s %s\"" % (key_string, gateway_port, gateway_user, gateway, host, port)
    remote_shell = " ".join(part for part in (key_string, port_string, proxy, ssh_opts) if part)
    rsh = "--rsh='ssh %s'" % remote_shell if remote_shell else ""
    options = " ".join(
        part for part in ("--delete" if delete else "", exclusions, default_opts, extra_opts, rsh) if part
    )
    if local_dir is None:
        local_dir = "../" + os.getcwd().split(os.sep)[-1]
    prefix = "[%s]" % host if host.count(":") > 1 else host
    remote = "%s@%s:%s" % (user, prefix, remote_dir)
    ends = (local_dir, remote) if upload else (remote, local_dir)
    cmd = "rsync %s %s %s" % (options, ends[0], ends[1])
    if output.running:
        print("[%s] rsync_project: %s" % (env.host_string, cmd))
    from fabric.context_managers import hide, settings

    with settings(hide("running")):
        return local(cmd, capture=capture)


def upload_project(local_dir=None, remote_dir="", use_sudo=False):
    """Copies a directory as one compressed archive, which is unpacked on the host."""
    runner = sudo if use_sudo else run
    local_dir = (local_dir or os.getcwd()).rstrip(os.sep)
    local_path, local_name = os.path.split(local_dir)
    local_path = local_path or "."
    tar_file = "%s.tar.gz" % local_name
    target_tar = os.path.join(remote_dir, tar_file)
    tmp_folder = mkdtemp()
    try:
        tar_path = os.path.join(tmp_folder, tar_file)
        local("tar -czf %s -C %s %s" % (tar_path, local_path, local_name))
        put(tar_path, target_tar, use_sudo=use_sudo)
        try:
            from fabric.context_managers import cd

            with cd(remote_dir or "~"):
                runner("tar -xzf %s" % tar_file)
        finally:
            runner("rm -f %s" % target_tar)
    finally:
        local("rm -rf %s" % tmp_folder)


_ = re
