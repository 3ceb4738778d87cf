//! Local commands that say which hosts there are.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::role_error::{CaptureError, What};
use crate::task::Interrupt;

/// What a local command prints; anything but success is an error with the end of what it said.
pub(super) async fn capture(line: &str, dir: &Path, interrupt: &Interrupt) -> Result<String, CaptureError> {
    let error = |what| CaptureError { line: line.to_owned(), what };
    let child = Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|why| error(What::NotRun(why)))?;
    let output = tokio::select! {
        output = child.wait_with_output() => output.map_err(|why| error(What::Broken(why)))?,
        () = interrupt.stopping() => return Err(error(What::Interrupted)),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.trim_end().lines().collect();
    Err(error(What::Failed(output.status, said[said.len().saturating_sub(5)..].join("\n"))))
}
