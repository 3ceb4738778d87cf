//! Parts of scripts for `sh` that make files and directories with a mode, under the umask of the shell.

/// A command that lets what is made have no more rights than `mode`; the umask is kept.
pub(super) fn umask(mode: u32) -> String {
    format!("umask \"$(printf '%o' $((0$(umask) | 0{:o})))\"; ", !mode & 0o777)
}

/// A command that gives a file `mode` under the umask, which a redirection doesn't where the file can be executed; its
/// path follows.
pub(super) fn chmod(mode: u32) -> String {
    format!("chmod \"$(printf '%o' $((0{:o} & ~0$(umask))))\" ", mode & 0o777)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_umask_of_the_shell_applies() {
        for (mask, mode, expected) in [
            ("022", 0o755, 0o755),
            ("027", 0o777, 0o750),
            ("0", 0o600, 0o600),
            ("077", 0o644, 0o600),
            ("022", 0o1, 0o1),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let script = format!("umask {mask}; {}: > x; {} x", umask(mode), chmod(mode));
            assert!(Command::new("sh").args(["-c", &script]).current_dir(dir.path()).status().unwrap().success());
            let made = std::fs::metadata(dir.path().join("x")).unwrap().permissions().mode() & 0o7777;
            assert_eq!(made, expected, "{mask} {mode:o}");
        }
    }
}
