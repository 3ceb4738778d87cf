//! Fabfiles in Rust: programs with tasks of their own (see [`main!`](crate::main)). They are built when they have changed, and run
//! in place of this program.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use fabric_exec::Interrupt;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::args::ASK;
use crate::exit::Exit;
use crate::failure::{Failure, FileOperation};
use crate::process;
use crate::request::Request;
use crate::surroundings::Surroundings;

/// Builds the program with this manifest, showing cargo's progress on standard error, and runs it.
pub(super) fn run(request: &Request, manifest: &Path) -> Result<Exit, Failure> {
    let (process, interrupt) = (request.process.as_ref(), &request.interrupt);
    process::runtime(process)?.block_on(async {
        let path = build(manifest, &request.surroundings, interrupt).await?;
        let mut program = Command::new(&path);
        program.args(&request.args);
        process::become_program(process, interrupt, program).await.map_err(|source| Failure::File {
            what: FileOperation::Starting,
            path,
            source,
        })
    })
}

/// The completions that the program with this manifest offers for these words, if it is built: a completion doesn't wait for a
/// compiler.
pub(super) fn completed(manifest: &Path, words: &[String], surroundings: &Surroundings) -> String {
    let answer = built(manifest, surroundings).and_then(|program| {
        let answer = std::process::Command::new(program).arg(ASK).args(words).stdin(Stdio::null()).output().ok()?;
        String::from_utf8(answer.stdout).ok()
    });
    answer.unwrap_or_default()
}

/// The program, if an earlier build left one.
fn built(manifest: &Path, surroundings: &Surroundings) -> Option<PathBuf> {
    let answer = cargo(surroundings)
        .args(["metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path"])
        .arg(manifest)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    program_of(&serde_json::from_slice(&answer.stdout).ok()?, manifest).filter(|program| program.is_file())
}

/// The path of the program with this manifest, by cargo's metadata.
fn program_of(metadata: &serde_json::Value, manifest: &Path) -> Option<PathBuf> {
    let packages = metadata["packages"].as_array()?;
    let package =
        packages.iter().find(|one| one["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest))?;
    let targets = package["targets"].as_array()?;
    let is_program = |target: &&serde_json::Value| {
        target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "bin"))
    };
    let name = targets.iter().find(is_program)?["name"].as_str()?;
    Some(Path::new(metadata["target_directory"].as_str()?).join("debug").join(name))
}

fn cargo(surroundings: &Surroundings) -> std::process::Command {
    std::process::Command::new(surroundings.environment.get("CARGO").unwrap_or("cargo"))
}

async fn build(manifest: &Path, surroundings: &Surroundings, interrupt: &Interrupt) -> Result<PathBuf, Failure> {
    let failed = |what| move |source| Failure::System { what, source };
    let mut child = Command::from(cargo(surroundings))
        .args(["build", "--message-format=json-render-diagnostics", "--manifest-path"])
        .arg(manifest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed("starting cargo, which builds fabfiles in Rust"))?;
    // Shows what cargo does, but not that it had nothing to do.
    let show = {
        let progress = child.stderr.take();
        async move {
            let Some(progress) = progress else { return };
            let mut lines = BufReader::new(progress).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if !line.trim_start().starts_with("Finished ") {
                    surroundings.say(&(line + "\n"));
                }
            }
        }
    };
    let read = {
        let messages = child.stdout.take();
        async move {
            let (mut program, Some(messages)) = (None, messages) else { return Ok(None) };
            let mut lines = BufReader::new(messages).lines();
            while let Some(line) = lines.next_line().await? {
                program = executable(&line).or(program);
            }
            Ok(program)
        }
    };
    let (status, program, ()) = tokio::join!(process::wait_for(&mut child, interrupt), read, show);
    let status = status.map_err(failed("waiting for cargo"))?;
    let program = program.map_err(failed("reading cargo's messages"))?;
    if !status.success() {
        // Cargo has printed why.
        let refused = Failure::Refused(format!("{} failed to build", manifest.display()));
        return Err(if interrupt.is_stopping() { Failure::Interrupted } else { refused });
    }
    let none = || Failure::Refused(format!("{} builds no program: it needs a src/main.rs", manifest.display()));
    program.ok_or_else(none)
}

/// The program named in one of cargo's messages, if any.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let is_program = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "bin");
    Some(message["executable"].as_str().filter(|_| is_program)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_by_metadata() {
        let metadata = serde_json::json!({
            "target_directory": "/t",
            "packages": [
                { "manifest_path": "/other/Cargo.toml", "targets": [{ "kind": ["bin"], "name": "other" }] },
                { "manifest_path": "/f/Cargo.toml",
                  "targets": [{ "kind": ["lib"], "name": "l" }, { "kind": ["bin"], "name": "fabfile" }] },
            ],
        });
        assert_eq!(program_of(&metadata, Path::new("/f/Cargo.toml")), Some("/t/debug/fabfile".into()));
        assert_eq!(program_of(&metadata, Path::new("/g/Cargo.toml")), None);
    }

    #[test]
    fn the_program_is_found_in_messages() {
        let artifact = r#"{"reason":"compiler-artifact","target":{"kind":["bin"]},"executable":"/t/debug/fabfile"}"#;
        assert_eq!(executable(artifact), Some("/t/debug/fabfile".into()));
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("Hello"), None);
    }
}
