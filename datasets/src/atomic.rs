//! Files that appear whole or not at all.

use std::io::{BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// Writes `path` through a temporary file beside it and a rename; creates the directory where needed.
///
/// When `fill` fails, or the process is killed, an older file of that name stays as it was.
pub(crate) fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&mut NamedTempFile>) -> Result<()>,
) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs_err::create_dir_all(parent).map_err(Error::io("create the directory of", path))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".tmp");
    // As readable as the umask lets any other new file be; temporary files are private by default.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent).map_err(Error::io("write", path))?;
    {
        let mut writer = BufWriter::new(&mut file);
        fill(&mut writer)?;
        writer.flush().map_err(Error::io("write", path))?;
    }
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    file.persist(path)
        .map_err(|error| Error::io("write", path)(error.error))?;
    Ok(())
}
