//! The plugin's `ssh` against a real sshd.

use std::time::Duration;

use fabric_core::transport::{Program, SpawnRequest, StopOutcome};
use fabric_core::{Phase, ProcessEvent, Target};
use fabric_transport_conformance as conformance;
use tests::{BuiltPlugin, Kdc, Server, Sshd, current_user, tool};

/// What `ssh` can't do: it doesn't pass signals on (see `stopping_says_what_is_not_known`), and exits with 255 if a
/// signal ended the command.
const WITHOUT: [&str; 2] = ["a_process_is_stopped", "a_signal_is_told"];

/// A target whose ssh reads its own configuration and logs in with the harness's key.
fn target(plugin: &BuiltPlugin, sshd: &Sshd, lines: &str) -> Target {
    configured(plugin, sshd, &format!("{lines}\nIdentityFile {}\nIdentitiesOnly yes", sshd.key().display()))
}

fn configured(plugin: &BuiltPlugin, sshd: &Sshd, lines: &str) -> Target {
    let host = &sshd.hosts()[0];
    let (config, known_hosts) = (plugin.dir().join("config"), plugin.dir().join("known_hosts"));
    std::fs::write(&known_hosts, sshd.known_hosts()).expect("known_hosts");
    std::fs::write(&config, format!("{lines}\nUserKnownHostsFile {}\n", known_hosts.display())).expect("ssh_config");
    let mut target = Target::new(format!("openssh://{}", host.host_string()).parse().expect("a host string"));
    target.options.insert("openssh".to_owned(), serde_json::json!({"args": ["-F", config]}));
    target
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_but_for_signals() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::builder().max_sessions(32).start());
    let session = plugin.open(&target(&plugin, &sshd, "")).await.expect("a session");
    conformance::run(session, &WITHOUT).await;
    // All of it over one connection.
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_says_what_is_not_known() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::shared());
    let session = plugin.open(&target(&plugin, sshd, "")).await.expect("a session");
    let command = SpawnRequest::new(Program::Command(b"echo ready; read line".to_vec()));
    let mut process = session.spawn(&command).await.expect("a process");
    process.next().await.expect("ready");
    let stopped = process.control.stop(Duration::from_secs(5)).await;
    assert!(matches!(&stopped, StopOutcome::Unknown(why) if why.contains("cannot tell")), "{stopped:?}");
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_config_is_sshs_own() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::shared());
    let host = &sshd.hosts()[0];
    let lines = format!("Host alias\nHostName {}\nPort {}\nHost *", host.address, host.port);
    let mut target = target(&plugin, sshd, &lines);
    (target.host, target.port, target.unasked.port) = ("alias".to_owned(), 22, true);
    conformance::run(plugin.open(&target).await.expect("a session"), &WITHOUT).await;
}

/// `ssh` loses a signal that arrives just before it waits, which happens often on a busy machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_ssh_loses_is_sent_again() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::builder().start());
    let script = "ssh \"$@\" &\nssh=$!\ntrap 'trap \"kill $ssh\" TERM' TERM\n\
                  while kill -0 $ssh 2>/dev/null; do wait $ssh; done";
    let ssh = plugin.script("ssh", script);
    let mut target = target(&plugin, &sshd, "");
    target.options.get_mut("openssh").expect("its options")["ssh"] = ssh.display().to_string().into();
    let session = plugin.open(&target).await.expect("a session");
    session.close().await;
    sshd.wait_for_log("Disconnected from", 1);
}

/// A background process ends with the session too.
#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_that_goes_into_the_background_is_no_more_than_one_that_stays() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::builder().start());
    let session = plugin.open(&target(&plugin, &sshd, "ForkAfterAuthentication yes")).await.expect("a session");
    for _ in 0..3 {
        let request = SpawnRequest::new(Program::Command(b"echo there".to_vec()));
        let mut process = session.spawn(&request).await.expect("a process");
        assert_eq!(process.next().await, Some(ProcessEvent::Stdout("there\n".into())));
    }
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "{}", sshd.log());
    session.close().await;
    sshd.wait_for_log("Disconnected from", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sshs_own_words_are_the_error() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::shared());
    let mut target = target(&plugin, sshd, "");
    std::fs::write(plugin.dir().join("known_hosts"), "").expect("known_hosts");
    let error = plugin.open(&target).await.err().expect("an unknown host");
    assert_eq!(error.phase, Phase::Connect);
    assert!(error.to_string().contains("Host key verification failed. ssh does not know the host's key"), "{error}");
    // The server's name with another server's key.
    let other = Sshd::builder().start();
    let key = other.known_hosts();
    let key = key.split_once(' ').expect("a line").1;
    let (known_hosts, host) = (plugin.dir().join("known_hosts"), &sshd.hosts()[0]);
    std::fs::write(&known_hosts, format!("\n[{}]:{} {key}", host.address, host.port)).expect("known_hosts");
    let error = plugin.open(&target).await.err().expect("a changed key").to_string();
    assert!(error.contains(&format!("key in {}:2", known_hosts.display())), "{error}");
    target.port = 1;
    let error = plugin.open(&target).await.err().expect("nobody is there");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

/// A key in a hardware token: created in SoftHSM and unlocked in the agent.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_pkcs11_token_logs_in() {
    const PIN: &str = "123456";
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::builder().max_sessions(32).start());
    let dir = plugin.dir();
    let (conf, tokens) = (dir.join("softhsm2.conf"), dir.join("tokens"));
    let askpass = plugin.script("askpass", &format!("echo {PIN}"));
    std::fs::create_dir(&tokens).expect("a directory");
    std::fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display())).expect("its configuration");
    let module = softhsm_module();
    let run = |program: &str, args: &[&str], env: &[(&str, &str)]| {
        let mut command = std::process::Command::new(tool(program));
        command.args(args).env("SOFTHSM2_CONF", &conf).envs(env.iter().copied()).stdin(std::process::Stdio::null());
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run("softhsm2-util", &["--init-token", "--free", "--label", "fab", "--so-pin", PIN, "--pin", PIN], &[]);
    let key = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", "fab", "--id", "01"];
    run("pkcs11-tool", &[&["--module", &module, "--login", "--pin", PIN][..], &key].concat(), &[]);
    // The only accepted key.
    std::fs::write(sshd.key().with_file_name("authorized_keys"), run("ssh-keygen", &["-D", &module], &[]))
        .expect("authorized_keys");

    let conf = format!("SOFTHSM2_CONF={}", conf.display());
    let (_agent, socket) = Server::unix("env", |socket| {
        let socket = socket.display().to_string();
        [&conf, "ssh-agent", "-D", "-P", &module, "-a", &socket].map(str::to_owned).to_vec()
    });
    let socket = socket.display().to_string();
    let askpass = askpass.display().to_string();
    let env = [("SSH_AUTH_SOCK", &*socket), ("SSH_ASKPASS", &askpass), ("SSH_ASKPASS_REQUIRE", "force")];
    run("ssh-add", &["-s", &module], &env);

    let target = configured(&plugin, &sshd, &format!("IdentityAgent {socket}"));
    conformance::run(plugin.open(&target).await.expect("a session"), &WITHOUT).await;
    assert!(sshd.log().contains("Accepted publickey") && sshd.log().contains("ECDSA"), "{}", sshd.log());
}

/// A Kerberos ticket instead of keys, which Debian's `ssh` can use in the key exchange; its log says which way it took.
#[tokio::test(flavor = "multi_thread")]
async fn a_kerberos_ticket_logs_in() {
    let user = current_user();
    let (plugin, kdc) = (BuiltPlugin::new("openssh"), Kdc::start(&user, &["127.0.1.1"]));
    let sshd = kdc.believed_by(Sshd::builder()).config("GSSAPIKeyExchange yes");
    let sshd = sshd.config("AuthenticationMethods gssapi-keyex gssapi-with-mic").start();
    let log = plugin.dir().join("log");
    let (realm, ticket) = (kdc.config(), kdc.ticket(&user));
    let script = format!("KRB5_CONFIG={realm} KRB5CCNAME={ticket} exec ssh -v -E {} \"$@\"", log.display());
    let ssh = plugin.script("ssh", &script);
    for (in_exchange, method) in [("yes", "gssapi-keyex"), ("no", "gssapi-with-mic")] {
        let lines = format!("GSSAPIAuthentication yes\nGSSAPIKeyExchange {in_exchange}");
        let mut target = configured(&plugin, &sshd, &lines);
        target.options.get_mut("openssh").expect("its options")["ssh"] = ssh.display().to_string().into();
        let session = plugin.open(&target).await.expect("a session");
        session.close().await;
        assert!(sshd.log().contains(&format!("Accepted {method}")), "{}", sshd.log());
        let told = std::fs::read_to_string(&log).expect("its log");
        assert_eq!(told.contains("kex: algorithm: gss-"), in_exchange == "yes", "{told}");
        std::fs::remove_file(&log).expect("it is there");
    }
}

/// Where systems have SoftHSM's library.
fn softhsm_module() -> String {
    let places = ["/usr/lib/softhsm", "/usr/lib64/pkcs11", "/usr/lib/pkcs11", "/opt/homebrew/lib/softhsm"];
    let found = places.iter().map(|dir| std::path::Path::new(dir).join("libsofthsm2.so")).find(|file| file.is_file());
    let file = found.expect("the tests need SoftHSM's libsofthsm2.so. Run: scripts/setup-tests");
    file.canonicalize().expect("its path").display().to_string()
}
