//! Why a fleet can't be started.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use thiserror::Error;

/// Why a fleet could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FleetError {
    /// A file or directory of the fleet.
    #[error("the fleet's {}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// An address cannot be listened on.
    #[error("the fleet cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// An address was asked for that isn't a loopback one.
    #[error("the fleet listens on loopback addresses only, and {address} is none")]
    NotLoopback {
        /// Which.
        address: IpAddr,
    },
    /// More hosts than addresses.
    #[error("{asked} hosts are more than the {most} that a fleet can have")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many there can be.
        most: usize,
    },
    /// A name that cannot be a host's: empty, twice there, or with characters that a path or a host string has no
    /// place for.
    #[error("`{name}` cannot be a host's name in the fleet: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A key could not be made, read or written.
    #[error("a key of the fleet: {0}")]
    Key(KeyError),
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct KeyError(russh::keys::ssh_key::Error);

impl From<russh::keys::ssh_key::Error> for FleetError {
    fn from(error: russh::keys::ssh_key::Error) -> Self {
        Self::Key(KeyError(error))
    }
}
