//! Where ours differs from the classic program on purpose: both, side by side.

use super::programs::{Classic, Ours};

struct Deviation {
    row: &'static str,
    python: &'static str,
    toml: &'static str,
    args: &'static [&'static str],
    classic: &'static [&'static str],
    ours: &'static [&'static str],
}

const SAY: &str = "import sys\nfrom fabric.api import *\n\ndef ran(task, what=None):\n    \
                   print('RAN %s %s' % (task, what or env.host_string or '-'))\n    sys.stdout.flush()\n\n";

const DEVIATIONS: [Deviation; 14] = [
    Deviation {
        row: "R5: lists of hosts that are given again add up",
        python: "@task\ndef t():\n    ran('t')\n",
        toml: "[tasks.t]\nsteps = [{ local = \"echo RAN t {{ env.host_string }}\" }]\n",
        args: &["-H", "a", "-H", "b", "t"],
        classic: &["t b"],
        ours: &["t a", "t b"],
    },
    Deviation {
        row: "X3: a role that does not exist is an error before anything runs",
        python: "@task\ndef t():\n    ran('t')\n",
        toml: "[tasks.t]\nsteps = [{ local = \"echo RAN t {{ env.host_string }}\" }]\n",
        args: &["t:hosts=a", "t:roles=none"],
        classic: &["t a"],
        ours: &[],
    },
    Deviation {
        row: "X6: an argument's value begins after the first `=`",
        python: "@task\ndef t(x):\n    ran('t', x)\n",
        toml: "[tasks.t]\nargs = [\"x\"]\nsteps = [{ local = \"echo RAN t {{ x }}\" }]\n",
        args: &["t:x=a=b"],
        classic: &[],
        ours: &["t a=b"],
    },
    Deviation {
        row: "X10: blanks around the hosts of -x don't count",
        python: "@task\ndef t():\n    ran('t')\n",
        toml: "[tasks.t]\nsteps = [{ local = \"echo RAN t {{ env.host_string }}\" }]\n",
        args: &["-H", "a, b", "-x", "c, b", "t"],
        classic: &["t a", "t b"],
        ours: &["t a"],
    },
    Deviation {
        row: "X11: an empty host string is no host",
        python: "@task\ndef t():\n    ran('t', 'on [%s]' % env.host_string)\n",
        toml: "[tasks.t]\nsteps = [{ local = \"echo RAN t on [{{ env.host_string }}]\" }]\n",
        args: &["-H", "a,", "t", "t:hosts=;b"],
        classic: &["t on [a]", "t on []", "t on []", "t on [b]"],
        ours: &["t on [a]", "t on [b]"],
    },
    Deviation {
        row: "X14: what runs once does so in parallel too",
        python: "@task\n@parallel(pool_size=1)\n@runs_once\ndef t():\n    ran('t')\n",
        toml: "[tasks.t]\nparallel = true\nruns_once = true\nsteps = [{ local = \"echo RAN t {{ env.host_string }}\" }]\n",
        args: &["-H", "a,b", "t"],
        classic: &["t b", "t a"],
        ours: &["t a"],
    },
    Deviation {
        row: "X9: without deduplication exclusion works all the same",
        python: "env.dedupe_hosts = False\n@task\ndef t():\n    ran('t')\n",
        toml: "[env]\ndedupe_hosts = false\n[tasks.t]\nsteps = [{ local = \"echo RAN t {{ env.host_string }}\" }]\n",
        args: &["-H", "a,b,a", "-x", "b", "t"],
        classic: &["t a", "t b", "t a"],
        ours: &["t a", "t a"],
    },
    Deviation {
        row: "X11: a list that exclusion empties runs nothing, and not once locally",
        python: "@task\ndef t():\n    ran('t')\n",
        toml: "[tasks.t]\nsteps = [{ local = \"echo RAN t {{ env.host_string }}\" }]\n",
        args: &["-H", "a", "-x", "a", "t"],
        classic: &["t -"],
        ours: &[],
    },
    Deviation {
        row: "X11: an empty role runs nothing, and not once locally",
        python: "env.roledefs['r'] = []\n@task\n@roles('r')\ndef t():\n    ran('t')\n",
        toml: "[roledefs]\nr = []\n[tasks.t]\nroles = [\"r\"]\nsteps = [{ local = \"echo RAN t {{ env.host_string }}\" }]\n",
        args: &["t"],
        classic: &["t -"],
        ours: &[],
    },
    Deviation {
        row: "X13: a task without hosts executed inside a host's run keeps that host",
        python: "@task\ndef inner():\n    ran('inner')\n@task\ndef outer():\n    execute(inner)\n",
        toml: "[tasks.inner]\nsteps = [{ local = \"echo RAN inner {{ env.host_string }}\" }]\n\
               [tasks.outer]\nsteps = [{ execute = \"inner\" }]\n",
        args: &["-H", "a,b", "outer"],
        classic: &["inner a", "inner b", "inner a", "inner b"],
        ours: &["inner a", "inner b"],
    },
    Deviation {
        row: "X13: a nested host starts from the global user and port",
        python: "@task\ndef inner():\n    ran('inner', '%s %s' % (env.user, env.port))\n\
                 @task\ndef outer():\n    execute(inner, hosts=['p'])\n",
        toml: "[tasks.inner]\nsteps = [{ local = \"echo RAN inner {{ env.user }} {{ env.port }}\" }]\n\
               [tasks.outer]\nsteps = [{ execute = \"inner\", hosts = [\"p\"] }]\n",
        args: &["-u", "ann", "-H", "bob@x:2222", "outer"],
        classic: &["inner bob 2222"],
        ours: &["inner ann 22"],
    },
    Deviation {
        row: "J4: what an `execute` excludes is excluded from the current host, too",
        python: "@task\ndef inner():\n    ran('inner')\n@task\ndef outer():\n    execute(inner, exclude_hosts=['a'])\n",
        toml: "[tasks.inner]\nsteps = [{ local = \"echo RAN inner {{ env.host_string }}\" }]\n\
               [tasks.outer]\nsteps = [{ execute = \"inner\", exclude_hosts = [\"a\"] }]\n",
        args: &["-H", "a", "outer"],
        classic: &["inner a"],
        ours: &[],
    },
    Deviation {
        row: "J12: what runs once runs once for each set of arguments",
        python: "@task\n@runs_once\ndef t(x):\n    ran('t', x)\n",
        toml: "[tasks.t]\nargs = [\"x\"]\nruns_once = true\nsteps = [{ local = \"echo RAN t {{ x }}\" }]\n",
        args: &["-H", "a", "t:1", "t:2", "t:1"],
        classic: &["t 1"],
        ours: &["t 1", "t 2"],
    },
    Deviation {
        row: "X15: hosts are started in host order",
        python: "@task\n@parallel(pool_size=1)\ndef t():\n    ran('t')\n",
        toml: "[tasks.t]\nparallel = true\npool_size = 1\nsteps = [{ local = \"echo RAN t {{ env.host_string }}\" }]\n",
        args: &["-H", "a,b,c", "t"],
        classic: &["t c", "t b", "t a"],
        ours: &["t a", "t b", "t c"],
    },
];

#[test]
fn known_deviations_are_these() {
    let mut classic = Classic::start();
    let ours = Ours::new();
    for deviation in DEVIATIONS {
        let place = tempfile::tempdir().expect("a directory");
        std::fs::write(place.path().join("fabfile.py"), format!("{SAY}{}", deviation.python)).expect("a fabfile");
        std::fs::write(place.path().join("fabfile.toml"), deviation.toml).expect("a fabfile");
        let args: Vec<String> = deviation.args.iter().map(|arg| (*arg).to_owned()).collect();
        let ran = ours.run(place.path(), &args);
        assert_eq!(ran.lines(), deviation.ours, "ours, {}:\n{}", deviation.row, ran.text);
        if let Some(classic) = &mut classic {
            let ran = classic.run(place.path(), &args);
            assert_eq!(ran.lines(), deviation.classic, "the classic program, {}:\n{}", deviation.row, ran.text);
        }
    }
}
