//! Many hosts at once.

use std::collections::BTreeMap;

use tests::case;

#[test]
fn fifty_hosts_in_parallel_succeed_and_their_lines_never_mix() {
    const HOSTS: usize = 50;
    const LINES: usize = 20;
    // Long lines, in several writes each, of which every host has its own.
    let command = "n=0; while [ $n -lt 20 ]; do n=$((n + 1)); printf 'line %s of ' $n; printf '%s ' \
                   \"$SSH_CONNECTION\" | cut -d' ' -f3 | tr -d '\\n'; printf ' %0400d\\n' 7; \
                   echo \"error $n\" >&2; done";
    let ran = case!()
        .hosts(HOSTS)
        .args(["-P", "-H", "{hosts}", "--", command])
        .any_stdout()
        .stderr_has("50 hosts: 50 ok")
        .run();
    let hosts: Vec<String> = (1..=HOSTS).map(|number| ran.case().fill(&format!("{{h{number}}}"))).collect();
    let lines = |text: &str, kind: &str| {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let Some((host, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) else { continue };
            if let Some(line) = rest.strip_prefix(kind) {
                lines.entry(host.to_owned()).or_default().push(line.to_owned());
            }
        }
        lines
    };
    let (out, err) = (lines(&ran.stdout, "out: "), lines(&ran.stderr, "err: "));
    for host in &hosts {
        let address = host.split(':').next().expect("an address");
        let expected: Vec<String> = (1..=LINES).map(|n| format!("line {n} of {address} {:0400}", 7)).collect();
        assert_eq!(out.get(host), Some(&expected), "{host}");
        let expected: Vec<String> = (1..=LINES).map(|n| format!("error {n}")).collect();
        assert_eq!(err.get(host), Some(&expected), "{host}");
    }
    assert_eq!((out.len(), err.len()), (HOSTS, HOSTS));
    // Every line begins with its host: none was broken by another.
    for line in ran.stdout.lines() {
        assert!(hosts.iter().any(|host| line.starts_with(&format!("[{host}] "))), "{line}");
    }
}

#[test]
fn the_limit_on_open_files_is_kept_also_where_each_host_takes_several() {
    let told = |gateway: &[&str]| {
        let ran = case!()
            .hosts(50)
            .within("ulimit -n 190")
            .args(gateway)
            .args(["-P", "-H", "{hosts}", "--", "sleep 0.2"])
            .any_stdout()
            .stderr_has("hosts at the same time, not 50: the limit on open files allows no more (`ulimit -n`)")
            .stderr_has("50 hosts: 50 ok")
            .run();
        let most = ran.stderr.split("warning: ").nth(1).and_then(|told| told.split(' ').next());
        most.and_then(|most| most.parse::<usize>().ok()).expect("a number")
    };
    let (directly, through_programs) = (told(&["--set", "pool_size=0"]), told(&["-g", "socat - TCP:%h:%p"]));
    assert!(through_programs < directly, "{through_programs} {directly}");
}
