//! The effect of every classic setting, as a user sees it; defaults and spellings are tested in `fabric-config`.

mod commands;
mod connecting;
mod failures;
mod files;
mod host_lists;
mod information;
mod login;
mod output;
mod shared_state;
mod sudo;
