//! `fab` on a fabfile of Fabric 2 and 3.

use crate::classic::python;
use crate::pythons;
use tests::case;

const DEPLOY: &str = "
from fabric import task, Connection, Config, Result, SerialGroup, ThreadingGroup
from invoke import Responder, UnexpectedExit, Collection
from paramiko import SSHException


@task(help={'version': 'which one'}, default=True, aliases=['d'])
def deploy(c, version='1', force=False, only_these=[], count=1):
    '''Roll a version out.'''
    result = c.run('echo hi; echo err >&2', hide=True)
    assert isinstance(result, Result) and result.ok and result.exited == 0
    assert (result.stdout, result.stderr) == ('hi\\n', 'err\\n'), result
    assert result.connection is c and bool(result)
    with c.cd('/tmp'), c.prefix('export A=1'):
        assert c.run('echo $A; pwd', hide=True).stdout == '1\\n/tmp\\n'
    assert c.run('echo $B', env={'B': \"it's\"}, hide=True).stdout == \"it's\\n\"
    assert c.run('exit 3', warn=True, hide=True).exited == 3
    answer = Responder(pattern=r'name\\? ', response='bob\\n')
    asked = c.run(\"printf 'name? '; read name; echo hello $name\", watchers=[answer], hide=True)
    assert asked.stdout == 'name? hello bob\\n', repr(asked.stdout)
    print('%s %s %s %s' % (version, force, only_these, count + 1))
    c.run('uname')


@task
def failing(c):
    try:
        c.run('echo why >&2; exit 4', hide=True)
    except UnexpectedExit as error:
        print('caught', error.result.exited)
    c.run('exit 5')
    print('never')


@task(hosts=['{h1}', '{h2}'])
def on_its_hosts(c):
    c.run('echo here')


@task
def here(c):
    print(c.run('echo $((1 + 2))', hide=True).stdout)
";

#[test]
fn tasks_have_options_by_their_signatures() {
    for python in pythons::all() {
        python!(python, DEPLOY)
            .args([
                "-H",
                "{h1}",
                "deploy",
                "--version",
                "2.4",
                "--force",
                "--only-these",
                "a",
                "--only-these",
                "b",
                "--count",
                "3",
            ])
            .stdout_has("2.4 True ['a', 'b'] 4\n")
            .stdout_has("[{h1}] run: uname\n[{h1}] out: Linux\n")
            .stdout_lacks("out: hi")
            .any_stderr()
            .run();
    }
    python!(pythons::one(), DEPLOY).args(["--shortlist"]).stdout("deploy\nfailing\nhere\non-its-hosts\n").run();
    python!(pythons::one(), DEPLOY).args(["--help", "d"]).stdout_has("--[no-]force").stdout_has("which one").run();
}

#[test]
fn a_failing_command_is_an_exception() {
    python!(pythons::one(), DEPLOY)
        .args(["-H", "{h1}", "failing"])
        .stdout_has("caught 4\n")
        .stdout_lacks("never")
        .stderr_has("Encountered a bad command exit code!")
        .stderr_lacks("Traceback")
        .status(1)
        .run();
}

#[test]
fn a_task_runs_on_its_hosts_or_here() {
    python!(pythons::one(), DEPLOY)
        .args(["on-its-hosts"])
        .stdout_has("[{h1}] out: here\n")
        .stdout_has("[{h2}] out: here\n")
        .any_stderr()
        .run();
    python!(pythons::one(), DEPLOY).args(["here"]).stdout_has("3\n").any_stderr().run();
}

#[test]
fn files_connections_and_groups() {
    let fabfile = "
import io
from fabric import task, Connection, SerialGroup, ThreadingGroup
from fabric.exceptions import GroupException
import fabric2


@task
def work(c):
    kw = {'connect_kwargs': {'key_filename': '{key}'}}
    assert fabric2.Connection is Connection
    for group in (SerialGroup('{h1}', '{h2}', **kw), ThreadingGroup('{h1}', '{h2}', **kw)):
        results = group.run('echo $SSH_CONNECTION', hide=True)
        assert len(results) == 2 and len(results.succeeded) == 2 and not results.failed
        try:
            group.run('test \"${SSH_CONNECTION% *}\" = \"\" ; exit 3', hide=True)
        except GroupException as error:
            assert len(error.result.failed) == 2
            assert {failure.result.exited for failure in error.result.failed.values()} == {3}
        else:
            assert False
    there = Connection('{address1}', port={port}, **kw)
    put = there.put('local.txt', remote='{far}/put.txt')
    assert put.remote == '{far}/put.txt', put.remote
    there.put(io.BytesIO(b'bytes'), '{far}/bytes.txt')
    got = there.get('{far}/put.txt', local='got/{host}.txt')
    assert open(got.local).read() == 'content\\n'
    content = io.BytesIO()
    there.get('{far}/bytes.txt', content)
    assert content.getvalue() == b'bytes'
    with there.sftp().open('{far}/bytes.txt') as file:
        assert file.read() == b'bytes'
    assert sorted(there.sftp().listdir('{far}')) == ['bytes.txt', 'put.txt']
    assert there.is_connected
    there.close()
    try:
        there.get('{far}/nothing', 'x')
    except FileNotFoundError:
        print('not there')
    with there:
        assert there.run('echo again', hide=True).stdout == 'again\\n'
";
    for python in [pythons::one(), &pythons::all()[pythons::all().len() - 1]] {
        let case = case!().value("host", "{host}").hosts(2);
        case.file("fabfile.py", fabfile)
            .env("FABRIC_PYTHON", python.display().to_string())
            .file("local.txt", "content\n")
            .args(["work"])
            .stdout_has("not there\n")
            .any_stderr()
            .run();
    }
}

#[test]
fn the_starter_is_a_fabfile() {
    let script = "\"$0\" --init python >/dev/null";
    let case = case!().within(script).env("FABRIC_PYTHON", pythons::one().display().to_string());
    case.args(["--shortlist"]).stdout("deploy\ndisks\nuptime\n").run();
}

#[test]
fn tasks_before_and_after_run_once() {
    let fabfile = "
from fabric import task, Collection
import invoke


@task
def build(c):
    print('build %s' % c.run('echo here', hide=True).stdout.strip())


@invoke.task
def clean(c, what='all'):
    print('clean %s' % what)


@task(pre=[build, invoke.call(clean, what='old')], post=[clean], autoprint=True)
def deploy(c):
    return c.run('echo deployed', hide=True).stdout.strip()


ns = Collection(deploy)
ns.add_collection(Collection('sub', clean))
";
    python!(pythons::one(), fabfile)
        .args(["-H", "{h1},{h2}", "deploy"])
        .stdout_has("build here\nclean old\n")
        .stdout_has("deployed\nclean all\n")
        .any_stderr()
        .run();
    python!(pythons::one(), fabfile).args(["--shortlist"]).stdout("deploy\nsub.clean\n").run();
}

#[test]
fn the_demo_rolls_the_same_deploy_from_python() {
    let case = case!().env("TMPDIR", "{dir}").env("FABRIC_PYTHON", pythons::one().display().to_string());
    let ran = case.args(["--demo=python"]).stdout_has("def deploy(version):").stderr_has("trying again").run();
    assert!(ran.stdout.contains("web[1-4] (4 hosts)\n2.4\n"), "{}", ran.stdout);
    let left: Vec<_> = std::fs::read_dir(ran.case().dir()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
