//! Files of a host by their paths (`sftp()` of Fabric 3).

use bytes::Bytes;
use fabric_core::Value;
use fabric_core::error::{Error, FileError, FileErrorKind};
use fabric_core::settings::Map;
use fabric_exec::TaskError;
use fabric_transport::Connection;
use serde_json::json;

use crate::frame::Frame;

/// Does one thing with a path.
pub(crate) async fn done(connection: &Connection, frame: &Frame) -> Result<(Map, Bytes), TaskError> {
    let files = connection.sftp().await?;
    let path = frame.text("path").unwrap_or_default();
    let failed = |error: FileError| Error::File { host: connection.host_string().to_owned(), error };
    let mut raw = Bytes::new();
    let said = match frame.text("what").unwrap_or_default() {
        "read" => {
            raw = files.read(path).await.map_err(failed)?;
            json!({})
        }
        "write" => {
            files.write(path, &frame.raw).await.map_err(failed)?;
            json!({})
        }
        "chdir" => {
            files.chdir(path).await.map_err(failed)?;
            json!({})
        }
        "getcwd" => json!({"path": String::from_utf8_lossy(&files.cwd().await.map_err(failed)?)}),
        what => {
            let error = FileError::new("sftp", what, FileErrorKind::Unsupported);
            return Err(failed(error).into());
        }
    };
    match said {
        Value::Object(map) => Ok((map, raw)),
        _ => Ok((Map::new(), raw)),
    }
}
