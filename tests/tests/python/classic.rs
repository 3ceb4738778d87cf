//! `fab` on a fabfile of Fabric 1.

use tests::case;

use crate::pythons;

/// A case with this interpreter.
macro_rules! python {
    ($python:expr, $fabfile:expr) => {
        case!().hosts(2).file("fabfile.py", $fabfile).env("FABRIC_PYTHON", $python.display().to_string())
    };
}
pub(crate) use python;

const DEPLOY: &str = "
'''Deploys the application.'''
from fabric.api import *

env.roledefs = {'web': ['{h1}', '{h2}'], 'computed': lambda: ['{h2}']}
env.release = '2.4'


@task(alias='d')
@roles('web')
def deploy(version, force='no', *args, **kwargs):
    '''Roll a version out.

    The second line.'''
    print('version %s, force %s, %s, %s' % (version, force, args, sorted(kwargs)))
    with cd('/tmp'), shell_env(GREETING='hello'):
        result = run('echo $GREETING; pwd')
    assert result == 'hello\\r\\n/tmp', repr(result)
    assert result.succeeded and not result.failed and result.return_code == 0
    assert result.command == 'echo $GREETING; pwd' and env.release == '2.4'


@task
@roles('computed')
def failing():
    with settings(warn_only=True):
        assert run('exit 3').return_code == 3
    with hide('everything'):
        assert run('echo quiet; exit 4', warn_only=True) == 'quiet'
    run('exit 5')
    print('never')


@task
@parallel(pool_size=2)
def at_once():
    result = run('echo $PPID', quiet=True)
    env.release = env.host_string
    return int(result) > 0
";

#[test]
fn tasks_are_listed_with_what_their_functions_say() {
    for python in pythons::all() {
        python!(python, DEPLOY)
            .args(["--list"])
            .stdout("Deploys the application.\n\nAvailable commands:\n\n    at_once\n    deploy   Roll a version out.\n    failing\n")
            .run();
    }
    let details = python!(pythons::one(), DEPLOY).args(["-d", "d"]);
    details.stdout_has("Roll a version out.").stdout_has("--version TEXT").stdout_has("The second line.").run();
}

#[test]
fn a_task_runs_on_the_hosts_of_its_role() {
    for python in pythons::all() {
        python!(python, DEPLOY)
            .args(["deploy:1.0,yes,more,k=v"])
            .stdout_has("[{h1}] Executing task 'deploy'\n")
            .stdout_has("version 1.0, force yes, ('more',), ['k']\n")
            .stdout_has("[{h1}] run: echo $GREETING; pwd\n[{h1}] out: hello\n[{h1}] out: /tmp\n")
            .stdout_has("[{h2}] out: hello\n")
            .any_stderr()
            .run();
    }
}

#[test]
fn a_failing_command_aborts_unless_it_is_to_be_a_warning() {
    python!(pythons::one(), DEPLOY)
        .args(["failing"])
        .stdout_has("[{h2}] run: exit 3\n[{h2}] run: exit 5\n")
        .stdout_lacks("never")
        .stdout_lacks("quiet")
        .stderr_has("Warning: run() received nonzero return code 3 while executing 'exit 3'!")
        .stderr_has("Fatal error: run() received nonzero return code 5 while executing!\n\nRequested: exit 5\n")
        .stderr_has("Aborting.")
        .status(1)
        .run();
}

#[test]
fn hosts_at_the_same_time_have_processes_of_their_own() {
    for python in pythons::all() {
        python!(python, DEPLOY)
            .args(["-H", "{h1},{h2}", "at_once", "at_once"])
            .stdout_has("[{h1}] Executing task 'at_once'")
            .stdout_has("[{h2}] Executing task 'at_once'")
            .stderr_has("2 hosts: 2 ok")
            .run();
    }
}

#[test]
fn what_a_task_sets_is_there_for_those_that_follow() {
    let fabfile = "
from fabric.api import *


def production():
    env.hosts = ['{h1}']
    env.stage = 'live'


def deploy():
    run('echo %(stage)s %(host_string)s' % env)


def everywhere():
    print(sorted(execute(deploy, hosts=['{h1}', '{h2}'])))
    print(execute('deploy', role='all'))


env.roledefs = {'all': {'hosts': ['{h2}']}}
";
    let case = python!(pythons::one(), fabfile).args(["production", "deploy", "everywhere:"]);
    case.any_stderr().any_stdout().status(2).run();
    python!(pythons::one(), fabfile)
        .args(["production", "deploy", "everywhere"])
        .stdout_has("[{h1}] out: live {h1}\n")
        .stdout_has("[{h2}] Executing task 'deploy'\n")
        .stdout_has("[{h2}] out: live {h2}\n")
        .any_stderr()
        .run();
}

#[test]
fn an_exception_is_shown_as_python_does_without_our_frames() {
    let fabfile = "from fabric.api import *\n\n\n@task\ndef boom():\n    with cd('/tmp'):\n        {}['missing']\n\n\n@task\ndef leave():\n    import sys\n    sys.exit(7)\n";
    python!(pythons::one(), fabfile)
        .args(["boom"])
        .stderr_has("Traceback (most recent call last):\n  File \"{dir}/fabfile.py\", line 7, in boom\n")
        .stderr_has("KeyError: 'missing'")
        .stderr_lacks("fabric/_boot.py")
        .stderr_lacks("_load.py")
        .status(1)
        .run();
    python!(pythons::one(), fabfile).args(["leave"]).any_stderr().status(7).run();
}

#[test]
fn a_file_of_python_2_is_named_with_its_line() {
    for old in
        ["print 'hello'", "print \"%s\" % 1", "try:\n        pass\n    except Exception, e:\n        pass", "x = 0755"]
    {
        let fabfile = format!("from fabric.api import *\n\ndef deploy():\n    {old}\n");
        python!(pythons::one(), fabfile)
            .args(["--list"])
            .stderr_has("fabfile.py:")
            .stderr_has("this is Python 2")
            .stderr_has("--to-python3")
            .status(2)
            .run();
    }
}

#[test]
fn a_module_that_is_missing_is_named_with_the_interpreter() {
    python!(pythons::one(), "import boto\n")
        .args(["--list"])
        .stderr_has("has no module 'boto'")
        .stderr_has(pythons::one().display().to_string())
        .stderr_has("boto3 came after it")
        .status(2)
        .run();
}

#[test]
fn files_go_both_ways() {
    let fabfile = "
import io
from fabric.api import *


@task
def there_and_back():
    assert put('local.txt', '{far}/a.txt') == ['{far}/a.txt']
    put(io.StringIO(u'text'), '{far}/b.txt', mode=0o600)
    put(io.BytesIO(b'bytes'), '{far}/c.txt')
    with cd('{far}'):
        got = get('a.txt', 'back.txt')
        assert got.succeeded and got[0].endswith('/back.txt'), got
    content = io.BytesIO()
    assert get('{far}/b.txt', content) == []
    assert content.getvalue() == b'text', content.getvalue()
    get('{far}/c.txt')
    with settings(warn_only=True):
        assert get('{far}/nothing', 'x').failed == ['{far}/nothing']
    try:
        put('nothing-here', '/tmp')
    except ValueError as error:
        print(error)
";
    let ran = python!(pythons::one(), fabfile)
        .file("local.txt", "content\n")
        .args(["-H", "{h1}", "there_and_back"])
        .stdout_has("'nothing-here' is not a valid local path or glob.")
        .any_stderr()
        .run();
    assert_eq!(ran.read("back.txt"), "content\n");
    assert_eq!(ran.read_far("b.txt"), "text");
}

#[test]
fn tasks_are_objects_functions_and_modules() {
    let fabfile = "
'''All of it.'''
from fabric.api import *
from fabric.tasks import Task
from . import db


class Restart(Task):
    '''Restarts.'''
    name = 'restart'
    hosts = ['{h2}']

    def run(self, service='app'):
        run('echo %s %s' % (self.name, service))


restart = Restart()


@hosts('{h1}')
@task(default=True, aliases=['s', 'st'])
@with_settings(warn_only=True)
def status():
    assert run('exit 1').failed
    restart.run('by hand')


@task
@runs_once
def once():
    print('once')
";
    let case = || {
        let case = case!().hosts(2).env("FABRIC_PYTHON", pythons::one().display().to_string());
        let db = "from fabric.api import task\n\n\n@task(name='do-it')\ndef migrate(to='head'):\n    print('migrated to ' + to)\n";
        case.file("fabfile/__init__.py", fabfile).file("fabfile/db.py", db)
    };
    case().args(["--shortlist"]).stdout("once\nrestart\nstatus\ndb.do-it\n").run();
    case().args(["restart:web"]).stdout_has("[{h2}] out: restart web\n").any_stderr().run();
    case().args(["st"]).stdout_has("[{h1}] out: restart by hand\n").any_stderr().run();
    case().args(["db.do-it:3"]).stdout_has("migrated to 3\n").any_stderr().run();
    let ran = case().args(["-H", "{h1},{h2}", "once"]).any_stderr().any_stdout().run();
    assert_eq!(ran.stdout.matches("once\n").count(), 1, "{}", ran.stdout);
}

#[test]
fn what_a_fabfile_assigns_is_above_the_command_line() {
    let fabfile = "
from fabric.api import *

env.hosts = ['{h1}']
env.user = env.user


def assigned():
    run('echo $SSH_CONNECTION >/dev/null; echo ran')


env.warn_only = True
";
    python!(pythons::one(), fabfile)
        .args(["-H", "{h2}", "assigned"])
        .stdout_has("[{h1}] out: ran\n")
        .stdout_lacks("[{h2}]")
        .stderr_has("-H has no effect")
        .run();
    let extended = fabfile.replace("env.hosts = ['{h1}']", "env.hosts.extend(['{h1}'])");
    python!(pythons::one(), extended)
        .args(["-H", "{h2}", "assigned"])
        .stdout_has("[{h2}] out: ran\n")
        .stdout_has("[{h1}] out: ran\n")
        .stderr_lacks("no effect")
        .run();
}

#[test]
fn a_host_that_cannot_be_reached_is_left_out_where_that_is_asked_for() {
    let fabfile = "from fabric.api import *\n\n\n@task\ndef ping():\n    run('echo pong')\n";
    python!(pythons::one(), fabfile)
        .args(["-H", "127.0.0.1:1,{h1}", "--skip-bad-hosts", "ping"])
        .stdout_has("[{h1}] out: pong\n")
        .stderr_lacks("Traceback")
        .stderr_has("127.0.0.1:1")
        .run();
    python!(pythons::one(), fabfile)
        .args(["-H", "127.0.0.1:1,{h1}", "ping"])
        .stdout_lacks("pong")
        .stderr_lacks("Traceback")
        .any_stderr()
        .status(1)
        .run();
}

#[test]
fn settings_of_a_block_reach_another_host() {
    let fabfile = "
from fabric.api import *


@task
def both():
    with settings(host_string='{h2}'):
        run('echo over there')
    run('echo here again')
    with settings(hide('everything'), warn_only=True):
        assert sudo('echo by sudo', user='root') in ('by sudo', '')
    with lcd('/tmp'):
        assert local('pwd', capture=True) == '/tmp'
";
    python!(pythons::one(), fabfile)
        .args(["-H", "{h1}", "both"])
        .stdout_has("[{h2}] out: over there\n")
        .stdout_has("[{h1}] out: here again\n")
        .any_stderr()
        .run();
    python!(pythons::one(), fabfile)
        .args(["-H", "{h1}", "--dry-run", "both"])
        .stdout_has("echo over there")
        .stdout_lacks("out: over there")
        .any_stderr()
        .any_status()
        .run();
}

#[test]
fn without_a_host_a_person_is_asked_or_it_is_an_error() {
    let fabfile = "from fabric.api import *\n\n\n@task\ndef ping():\n    run('echo pong')\n";
    let case = python!(pythons::one(), fabfile).args(["ping"]);
    case.stdout_lacks("pong").stderr_has("no host to run on").stderr_lacks("Traceback").status(2).run();
}

#[test]
fn the_last_lines_are_those_of_fabric_1() {
    let fabfile = "
from fabric.api import *


@task
def ping():
    run('echo pong')


@task
def stop():
    class Stopped(Exception):
        pass
    with settings(abort_exception=Stopped):
        try:
            abort('in vain')
        except Stopped as error:
            print('caught %s' % error)
    with settings(host_string='127.0.0.1:1', use_exceptions_for={'network': True}):
        from fabric.exceptions import NetworkError
        try:
            run('true')
        except NetworkError as error:
            print('network')
    abort('for good')
";
    python!(pythons::one(), fabfile)
        .args(["-H", "{h1}", "ping"])
        .stdout("[{h1}] Executing task 'ping'\n[{h1}] run: echo pong\n[{h1}] out: pong\n\nDone.\nDisconnecting from {h1} ... done.\n")
        .run();
    python!(pythons::one(), fabfile)
        .args(["stop"])
        .stdout_has("caught in vain\nnetwork\n")
        .stdout_lacks("Done.")
        .stderr_has("Fatal error: for good\n\nAborting.\n")
        .status(1)
        .run();
    let quiet = python!(pythons::one(), fabfile).args(["-H", "{h1}", "--hide", "status", "ping"]);
    quiet.stdout_lacks("Done.").any_stderr().run();
}

/// A directory may have files with the names of Python's own modules, and a fabfile such a name.
#[test]
fn names_of_pythons_own_modules_are_no_hindrance() {
    let fabfile = "import os\nfrom fabric.api import *\n\n\n@task\ndef hello():\n    print('hello ' + os.sep)\n";
    for python in pythons::all() {
        case!()
            .env("FABRIC_PYTHON", python.display().to_string())
            .file("socket.py", fabfile)
            .file("json.py", "raise RuntimeError('not for you')\n")
            .args(["-f", "socket.py", "hello"])
            .stdout_has("hello /\n")
            .any_stderr()
            .run();
    }
}
