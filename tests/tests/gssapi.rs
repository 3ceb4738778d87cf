//! Logging in by Kerberos: a real KDC, a real sshd, and `fab` with its feature `gssapi`.

use tests::{Case, Kdc, Sshd, case, current_user};

/// A server that lets in by Kerberos only, its realm, and a user with a ticket.
struct Realm {
    kdc: Kdc,
    sshd: Sshd,
    ticket: String,
}

impl Realm {
    fn new() -> Self {
        let user = current_user();
        let kdc = Kdc::start(&user, &["127.0.1.1"]);
        let sshd = kdc.believed_by(Sshd::builder()).config("AuthenticationMethods gssapi-with-mic").start();
        let ticket = kdc.ticket(&user);
        Self { kdc, sshd, ticket }
    }

    /// Runs `command` there.
    fn case(&self, options: &[&str], command: &str) -> Case {
        let task = format!("[tasks.ask]\nrun = {command:?}\n");
        let case = case!().on(&self.sshd).fabfile(task).args(options).args(["-H", "{h1}", "ask"]);
        case.env("KRB5_CONFIG", self.kdc.config()).env("KRB5CCNAME", &self.ticket)
    }
}

#[test]
fn a_ticket_logs_in() {
    let realm = Realm::new();
    // A system's ssh_config may ask for it too (Debian's does).
    let case = |config: &str, options: &[&str]| {
        let case = realm.case(&["--ssh-config", "{home}/config"], "echo in").args(options);
        case.home_file("config", format!("GSSAPIAuthentication {config}\n"))
    };
    case("no", &["--gss-auth"]).stdout_has("[{h1}] out: in\n").run();
    case("yes", &[]).stdout_has("[{h1}] out: in\n").run();
    // Only where it is asked for; and a ticket that isn't there is said.
    let refused = |case: Case| case.stderr_has("the server offers gssapi-with-mic").any_stdout().status(1);
    refused(case("no", &[])).stderr_lacks("gssapi-with-mic (").run();
    refused(case("yes", &["-u", "nobody"])).stderr_has("gssapi-with-mic (refused)").run();
    let without = case("yes", &[]).env("KRB5CCNAME", "FILE:{home}/none");
    refused(without).stderr_has("gssapi-with-mic (No Kerberos credentials available").run();
}

#[test]
fn a_ticket_is_handed_on_where_that_is_asked_for() {
    let realm = Realm::new();
    let user = current_user();
    let ticket = format!("Default principal: {user}@FABRIC.TEST");
    realm.case(&["--gss-auth"], "klist; true").any_stdout().stdout_lacks(&ticket).any_stderr().run();
    realm.case(&["--gss-auth", "--gss-deleg"], "klist").stdout_has(ticket).run();
}
