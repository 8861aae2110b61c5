//! Holding a release: a locked file beside the catalog's.

use std::fs::TryLockError;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use fs_err::{self as fs, File, OpenOptions};

use super::store::SqliteCatalog;
use crate::catalog::Hold;
use crate::{Error, ReleaseId, Result};

impl SqliteCatalog {
    /// Locks `<catalog>-holds/<release>` without waiting. The file stays, for removing a lock's file while others open it would
    /// let two of them hold it.
    pub(super) fn hold_release(&self, release: &ReleaseId) -> Result<Hold> {
        let mut folder = self.path.clone().into_os_string();
        folder.push("-holds");
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        let path = folder.join(release.as_str());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| Error::io(&path, error))?;
        match file.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                let known = file.read_to_string(&mut process).is_ok() && !process.trim().is_empty();
                return Err(Error::Held {
                    what: format!("release {release}"),
                    holder: match known {
                        true => format!("process {}", process.trim()),
                        false => "another process".to_owned(),
                    },
                });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io(&path, error)),
        }
        let note = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note(&mut file).map_err(|error| Error::io(&path, error))?;
        Ok(Hold::new(file))
    }
}
