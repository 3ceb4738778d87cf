"""A rolling deploy: `fab migrate:2.4 deploy:2.4`"""

from fabric.api import cd, env, roles, parallel, run, runs_once, task

env.roledefs = {"db": ["db1"], "web": ["web1", "web2", "web3", "web4"]}
env.use_ssh_config = True
env.batch, env.retries = 2, 1


@task
@roles("db")
@runs_once
def migrate(version):
    """Bring the database up to date, once"""
    run("echo 'schema %s' | tee schema" % version)


@task
@roles("web")
@parallel
def deploy(version):
    """Roll a version out over the web hosts, two at a time"""
    run("mkdir -p releases/{0} && echo {0} > releases/{0}/VERSION".format(version))
    run("ln -sfn releases/%s current" % version)
    with cd("current"):
        run("cat VERSION")
    run("sh bin/health")
