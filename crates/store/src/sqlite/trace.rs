//! A build for tests writes every statement that SQLite begins to `$SWITCHBACK_STATEMENTS`, one a line: it
//! keeps no log of its own.

use rusqlite::Connection;

/// Returns the connection as it is.
#[cfg(not(feature = "crash"))]
#[allow(
    clippy::unnecessary_wraps,
    reason = "a build for tests has one that can fail"
)]
pub(super) fn traced(conn: Connection) -> rusqlite::Result<Connection> {
    Ok(conn)
}

/// Has the connection write its statements, where they are asked for.
#[cfg(feature = "crash")]
pub(super) fn traced(mut conn: Connection) -> rusqlite::Result<Connection> {
    use std::io::Write;

    use rusqlite::trace::{TraceEvent, TraceEventCodes};

    let Some(path) = std::env::var_os("SWITCHBACK_STATEMENTS") else {
        return Ok(conn);
    };
    let file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path);
    let mut file = file.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let write = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(_, sql) = event {
            // One call for a line: several programs write.
            let line = sql.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
            file.write_all(line.as_bytes()).ok();
        }
    };
    conn.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(write))?;
    Ok(conn)
}
