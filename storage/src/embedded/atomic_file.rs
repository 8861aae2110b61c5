//! Small files that are replaced whole, or not at all.

use std::io::Write;
use std::path::Path;

use fs_err as fs;
use serde::Serialize;

use crate::{Error, Result};

/// Replaces `<dir>/<name>` by the JSON of `value`; durable when it returns.
pub(super) fn write_json(dir: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}.new"));
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_directory(dir)
    };
    write().map_err(|error| Error::io(&path, error))
}

/// Makes the renames within a directory durable.
pub(super) fn sync_directory(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}
