//! The real `fab` against real servers.

mod demo;
mod examples;
mod failures;
mod input;
mod many_hosts;
mod messages;
mod plugins;
mod sudo;
mod transfers;
