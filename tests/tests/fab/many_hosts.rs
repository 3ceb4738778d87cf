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
