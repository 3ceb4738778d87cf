//! Behaviour common to all transports: in memory, local, SSH with the embedded fleet and with a real sshd.

mod closing;
mod commands;
mod files;
mod forwards;
mod processes;
mod sessions;
mod streams;
mod sudo;
mod transfers;
