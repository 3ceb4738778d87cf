"""Tasks for `fab`: run `fab --list` to see them, `fab -H HOST uptime` to run one."""

from fabric import task

# On which hosts a task runs, unless the command line says otherwise (-H web1,web2).
HOSTS = []


@task(hosts=HOSTS)
def uptime(c):
    """Say how long a host has been up."""
    c.run("uptime")


# `fab deploy --version 1.2 --no-restart`, or `fab deploy:1.2`.
@task(hosts=HOSTS, help={"version": "which one", "restart": "restart the service afterwards"})
def deploy(c, version="1.0", restart=True):
    """Roll a version out."""
    c.local("tar czf app.tgz --exclude=app.tgz .")
    c.put("app.tgz", "/tmp/app.tgz")
    with c.cd("/tmp"):
        c.run("mkdir -p app && tar xzf app.tgz -C app")
    if restart:
        c.run("echo {} is there".format(version))


# `with c.cd(..)`, `c.sudo(..)`, `c.get(..)`; a command that fails is an exception, unless it is given `warn=True`.
@task(hosts=HOSTS)
def disks(c):
    """Warn of file systems that are nearly full."""
    result = c.run("df -P", hide=True)
    for line in result.stdout.splitlines()[1:]:
        if int(line.split()[4].rstrip("%")) > 90:
            print("{}: {}".format(c.host, line))
