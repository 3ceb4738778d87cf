//! The fields of a frame.

use bytes::{Buf as _, Bytes};

use super::error::ProtocolError;

/// The rest of a frame, read field by field.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Bytes);

impl Fields {
    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, ProtocolError> {
        self.0.try_get_u8().map_err(|_| ProtocolError::Truncated(what))
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, ProtocolError> {
        self.0.try_get_u32().map_err(|_| ProtocolError::Truncated(what))
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, ProtocolError> {
        self.0.try_get_u64().map_err(|_| ProtocolError::Truncated(what))
    }

    pub(super) fn string(&mut self, what: &'static str) -> Result<Bytes, ProtocolError> {
        let length = self.u32(what)? as usize;
        if length > self.0.len() {
            return Err(ProtocolError::Truncated(what));
        }
        Ok(self.0.split_to(length))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(&self, packet: &'static str) -> Result<(), ProtocolError> {
        if self.is_empty() { Ok(()) } else { Err(ProtocolError::TrailingBytes { packet, extra: self.0.len() }) }
    }
}
