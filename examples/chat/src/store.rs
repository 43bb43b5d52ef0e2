//! The history, in SQLite.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};

use crate::Message;

/// How many messages one page of history holds.
const PAGE: i64 = 50;

/// How many messages are read at a time when somebody goes on behind one.
pub(crate) const STEP: usize = 200;

/// Why the history could not be opened, as a sentence that names the file.
#[derive(Debug)]
pub struct OpenError {
    file: String,
    cause: sqlx::Error,
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the chat's history can't be kept in {}: {}. Choose a file in a folder that can be written, with --database FILE",
            self.file, self.cause
        )
    }
}

impl std::error::Error for OpenError {}

/// The table of messages.
#[derive(Debug, Clone)]
pub(crate) struct Store(SqlitePool);

impl Store {
    pub(crate) async fn open(file: &Path) -> Result<Self, OpenError> {
        let failed = |cause| OpenError { file: file.display().to_string(), cause };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        }
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(failed)?;
        let table = "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT NOT NULL, \
                     author TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL)";
        sqlx::query(table).execute(&pool).await.map_err(failed)?;
        let index = "CREATE INDEX IF NOT EXISTS messages_by_room ON messages (room, id)";
        sqlx::query(index).execute(&pool).await.map_err(failed)?;
        Ok(Self(pool))
    }

    pub(crate) async fn add(&self, room: &str, author: String, text: String) -> Result<Message, sqlx::Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let done = sqlx::query("INSERT INTO messages (room, author, text, at) VALUES (?, ?, ?, ?)")
            .bind(room)
            .bind(&author)
            .bind(&text)
            .bind(at)
            .execute(&self.0)
            .await?;
        Ok(Message { id: done.last_insert_rowid().unsigned_abs(), author, text, at })
    }

    pub(crate) async fn page(&self, room: &str, before: Option<u64>) -> Result<Vec<Message>, sqlx::Error> {
        let before = before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
        let rows = sqlx::query(
            "SELECT id, author, text, at FROM messages WHERE room = ? AND id < ? ORDER BY id DESC LIMIT ?",
        )
        .bind(room)
        .bind(before)
        .bind(PAGE)
        .fetch_all(&self.0)
        .await?;
        Ok(rows.into_iter().map(message).collect())
    }

    /// The first [`STEP`] messages behind `after`, oldest first; fewer only if there are no more.
    pub(crate) async fn after(&self, room: &str, after: u64) -> Result<Vec<Message>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT id, author, text, at FROM messages WHERE room = ? AND id > ? ORDER BY id LIMIT ?",
        )
        .bind(room)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(STEP as i64)
        .fetch_all(&self.0)
        .await?;
        Ok(rows.into_iter().map(message).collect())
    }
}

fn message(row: SqliteRow) -> Message {
    Message {
        id: row.get::<i64, _>("id").unsigned_abs(),
        author: row.get("author"),
        text: row.get("text"),
        at: row.get("at"),
    }
}
