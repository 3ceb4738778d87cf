//! Which files are read.

use tests::case;

#[test]
fn fabfile_is_a_name_to_search_for_or_a_path() {
    let case = || {
        case!()
            .file("deploy.toml", "[tasks.one]\nsteps = [{ local = \"echo from {{ env.real_fabfile }}\" }]\n")
            .args(["one"])
            .any_stderr()
    };
    case().stderr_has("there is no fabfile").status(2).run();
    case().args(["-f", "deploy.toml"]).stdout_has("out: from {dir}/deploy.toml\n").run();
    case().env("FABRIC_FABFILE", "deploy").stdout_has("out: from {dir}/deploy.toml\n").run();
    case().home_file(".fabricrc", "fabfile = deploy\n").stdout_has("out: from {dir}/deploy.toml\n").run();
}

#[test]
fn rcfile_is_read_instead_of_the_users() {
    let case = || {
        case!()
            .home_file(".fabricrc", "release = home\n")
            .file("rc", "# of this project\nrelease = other\n")
            .fabfile("[tasks.one]\nsteps = [{ local = \"echo release {{ env.release }}\" }]\n")
            .args(["one"])
            .any_stderr()
    };
    case().stdout_has("out: release home\n").run();
    case().args(["-c", "rc"]).stdout_has("out: release other\n").run();
}

#[test]
fn rcfile_may_be_a_pipe() {
    // Its content decides which fabfile is loaded, how the run is shown, and the settings of included tasks.
    let fabfile = "include = { other = \"other.toml\" }\n\n[tasks.bare]\nsteps = [{ local = \"echo bare\" }]\n";
    let case = || {
        let files =
            case!().file("named.toml", fabfile).file("other.toml", "[tasks.too]\nsteps = [{ local = \"echo too\" }]\n");
        files.args(["-c", "/dev/stdin"]).stdin("fabfile = named\noutput_prefix = false\n")
    };
    case().args(["--hide", "running", "bare", "other.too"]).stdout("bare\ntoo\n").run();
    case().args(["--explain", "output_prefix"]).stdout_has("/dev/stdin:2").run();
}
