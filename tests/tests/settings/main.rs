//! Every classic setting has the effect that a user sees; defaults and spellings are proven in `fabric-config`.

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
