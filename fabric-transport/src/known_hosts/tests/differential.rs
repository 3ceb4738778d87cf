//! Comparison with `ssh-keygen -F`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::super::{Host, Marker};
use super::{ECDSA, ED25519, file, load};

/// The lines that OpenSSH finds for a name, with their markers.
fn ssh_keygen(path: &Path, name: &str) -> BTreeSet<(usize, Option<Marker>)> {
    let found = Command::new("ssh-keygen").arg("-F").arg(name).arg("-f").arg(path).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    found
        .lines()
        .filter_map(|line| line.strip_prefix("# Host ")?.split_once(" found: line "))
        .map(|(_, rest)| {
            let (line, marker) = rest.split_once(' ').unwrap_or((rest, ""));
            let marker = match marker.trim() {
                "" => None,
                "CA" => Some(Marker::CertAuthority),
                "REVOKED" => Some(Marker::Revoked),
                other => panic!("{other}"),
            };
            (line.parse().unwrap(), marker)
        })
        .collect()
}

fn ours(path: &Path, host: &Host) -> BTreeSet<(usize, Option<Marker>)> {
    load(path).keys(host).unwrap().into_iter().map(|key| (key.place.line, key.marker)).collect()
}

/// Few letters, so that names collide.
fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[abAB.]{1,3}", 2 => "!?[ab*?.]{1,4}", 1 => "\\[[ab]{1,2}\\]:2222", 1 => "!\\[[ab*]\\]:22[*2?]{1,2}"]
}

/// Excluded: a tab directly after a marker, which OpenSSH accepts only without any space after it, and bad keys, which
/// `ssh-keygen -F` doesn't check.
fn line() -> impl Strategy<Value = String> {
    let marker =
        prop_oneof![4 => Just(""), 1 => Just("@revoked "), 1 => Just("@cert-authority  "), 1 => Just("@what ")];
    let key = prop_oneof![Just(ED25519), Just(ECDSA)];
    (marker, proptest::collection::vec(pattern(), 1..4), key, prop_oneof![Just(""), Just(" comment # x"), Just("\t")])
        .prop_map(|(marker, names, key, end)| format!("{marker}{} {key}{end}", names.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn openssh_finds_the_same_lines(
        lines in proptest::collection::vec(prop_oneof![9 => line(), 1 => Just(String::new()), 1 => Just("# c".to_owned())], 1..12),
        name in "[abAB.]{1,3}",
        other_port in any::<bool>(),
    ) {
        let (_dir, path) = file(lines.join("\n") + "\n");
        let (host, shown) = if other_port {
            (Host::new(name.clone(), 2222), format!("[{}]:2222", name.to_lowercase()))
        } else {
            // `ssh` looks up hosts in lower case, `ssh-keygen` as given.
            (Host::new(name.clone(), 22), name.to_lowercase())
        };
        prop_assert_eq!(ours(&path, &host), ssh_keygen(&path, &shown), "{} in\n{}", shown, lines.join("\n"));

        // And after OpenSSH has hashed the file, which reorders lines.
        let hashed = Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&path).output().unwrap();
        if hashed.status.success() {
            prop_assert_eq!(ours(&path, &host), ssh_keygen(&path, &shown), "{} in hashed\n{}", shown, lines.join("\n"));
        }
    }
}
