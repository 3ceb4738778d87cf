//! `fab --demo`: a small deploy on a fleet of servers inside the program.
//!
//! The command lines run as if typed: over real SSH connections, in a real shell. Only the fleet is made up: five hosts on
//! loopback addresses, whose keys and directories are deleted at the end.

use std::path::Path;

use fabric_config::Environment;
use fabric_transport_fleet::Fleet;

use crate::args::DemoKind;
use crate::exit::Exit;
use crate::failure::{Failure, FileOperation};
use crate::process::shared_runtime;
use crate::request::{ProgramParts, Request};
use crate::surroundings::Surroundings;

/// A fabfile that the demo shows and runs.
struct Project {
    name: &'static str,
    text: &'static str,
    /// The command lines.
    steps: [&'static [&'static str]; 3],
}

const TOML: Project = Project {
    name: "fabfile.toml",
    text: include_str!("fabfile.toml"),
    steps: [&["--list"], &["deploy", "--version", "2.4"], SHOW],
};

const PYTHON: Project = Project {
    name: "fabfile.py",
    text: include_str!("fabfile.py"),
    steps: [&["--list"], &["migrate:2.4", "deploy:2.4"], SHOW],
};

/// What is there in the end.
const SHOW: &[&str] = &["-R", "web", "-P", "--output", "grouped", "--", "cat current/VERSION"];

/// The hosts. The first health check of `web3` fails.
const HOSTS: [&str; 5] = ["db1", "web1", "web2", "web3", "web4"];

/// The health check of the web hosts.
const HEALTH: &str = "\
if [ -e warming-up ]; then
    rm warming-up
    echo '503 warming up' >&2
    exit 1
fi
echo \"200 OK, version $(cat current/VERSION)\"
";

/// Runs the demo.
pub(super) fn run(request: &Request, kind: DemoKind) -> Result<Exit, Failure> {
    let project = match kind {
        DemoKind::Toml => TOML,
        DemoKind::Python => PYTHON,
    };
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("the demo's fleet: {error}"));
    let runtime = shared_runtime(request.process.as_ref())?;
    let fleet = runtime.block_on(Fleet::builder().names(HOSTS).start()).map_err(|error| failed(&error))?;
    prepare(&fleet, &project)?;
    let print = |text: &str| request.surroundings.print(text);
    print(&format!("Five SSH servers on loopback, and this fabfile in {}:\n\n", fleet.dir().display()))?;
    print(&project.text.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect::<String>())?;
    for args in project.steps {
        let shown: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        print(&format!("\n$ fab {}\n", shown.join(" ")))?;
        // Too short for a live view.
        let args = ["--progress=never"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        let surroundings = on_fleet(&request.surroundings, fleet.dir());
        let own = ProgramParts { interrupt: request.interrupt.clone(), ..ProgramParts::default() };
        let exit = super::answer(own, &surroundings, request.process.clone(), args);
        if exit != Exit::Ok {
            return Ok(exit);
        }
    }
    print("\nThat was real: five logins over SSH, a failed health check, a second try.\n")?;
    print("`fab --init` writes a fabfile for hosts of your own.\n")?;
    drop(fleet);
    runtime.shutdown_background();
    Ok(Exit::Ok)
}

fn quoted(arg: &str) -> String {
    if arg.contains(' ') { format!("'{arg}'") } else { arg.to_owned() }
}

/// Surroundings without the user's settings, keys and known hosts.
fn on_fleet(around: &Surroundings, dir: &Path) -> Surroundings {
    let user = around.environment.user.clone().unwrap_or_else(|| "demo".to_owned());
    let ssh_config = dir.join("ssh_config").to_string_lossy().into_owned();
    let mut environment = Environment::new(user, dir).variable("FABRIC_SSH_CONFIG_PATH", ssh_config);
    // Which Python runs a fabfile.
    for name in ["PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "FABRIC_PYTHON"] {
        if let Some(value) = around.environment.get(name) {
            environment = environment.variable(name, value);
        }
    }
    around.clone().within(environment, dir)
}

fn prepare(fleet: &Fleet, project: &Project) -> Result<(), Failure> {
    write(&fleet.dir().join(project.name), project.text)?;
    for host in fleet.hosts() {
        let bin = host.dir().join("bin");
        std::fs::create_dir_all(&bin).map_err(|source| Failure::File {
            what: FileOperation::Writing,
            path: bin.clone(),
            source,
        })?;
        write(&bin.join("health"), HEALTH)?;
        if host.name() == "web3" {
            write(&host.dir().join("warming-up"), "")?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|source| Failure::File {
        what: FileOperation::Writing,
        path: path.to_owned(),
        source,
    })
}
