//! Files that appear whole or not at all.

use std::io::{BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// A file being written beside its destination; it takes the destination's name at [`commit`](Self::commit), else it vanishes.
pub(crate) struct AtomicFile<'a> {
    path: &'a Path,
    writer: BufWriter<NamedTempFile>,
}

impl<'a> AtomicFile<'a> {
    pub(crate) fn create(path: &'a Path) -> Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".geocells-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file; the process's umask still applies.
            builder.permissions(PermissionsExt::from_mode(0o666));
        }
        let file = builder
            .tempfile_in(folder)
            .map_err(|source| cannot_write(path, &source))?;
        Ok(Self {
            path,
            writer: BufWriter::new(file),
        })
    }

    pub(crate) fn commit(self) -> Result<()> {
        let path = self.path;
        let file = self
            .writer
            .into_inner()
            .map_err(|error| cannot_write(path, error.error()))?;
        file.persist(path)
            .map_err(|error| cannot_write(path, &error.error))?;
        Ok(())
    }
}

impl Write for AtomicFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

fn cannot_write(path: &Path, source: &std::io::Error) -> Error {
    Error::BadFile {
        path: path.to_owned(),
        reason: format!("cannot write it: {source}"),
    }
}
