//! What every transport does alike: in memory, on this machine, over SSH with the embedded fleet and with a real sshd.

mod closing;
mod commands;
mod files;
mod forwards;
mod processes;
mod sessions;
mod streams;
mod sudo;
mod transfers;
