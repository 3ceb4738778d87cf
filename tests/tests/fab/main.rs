//! The real `fab` against real servers.

mod bad_plugins;
mod checks;
mod commands;
mod demo;
mod examples;
mod failures;
mod faults;
mod gateways;
mod input;
mod inventories;
mod keys;
mod login_shells;
mod many_hosts;
mod max_sessions;
mod messages;
mod options;
mod output;
mod parts;
mod plugins;
mod secrets;
mod shards;
mod stalls;
mod sudo;
mod transfers;
mod trees;
mod which_machine;
