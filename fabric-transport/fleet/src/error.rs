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
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// An address cannot be listened on.
    #[error("the fleet cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The first address isn't a loopback address.
    #[error("the fleet listens on loopback addresses only, and {address} isn't one")]
    NotLoopback {
        /// The address.
        address: IpAddr,
    },
    /// More hosts than loopback addresses.
    #[error("{asked} hosts are more than the {most} that a fleet can have")]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// How many are possible.
        most: usize,
    },
    /// An invalid host name: empty, a duplicate, or with characters that a path or a host string can't contain.
    #[error("`{name}` cannot be a host's name in the fleet: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
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
