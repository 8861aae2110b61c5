//! What a hub announces of a file's content, and whether a file has it.

use std::io::Read;
use std::path::Path;

use sha2::Digest;

use crate::Result;

/// A checksum that a hub announces as a file's ETag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// Of large files: SHA-256.
    Sha256(String),
    /// Of small ones, which lie in Git itself: SHA-1 over `blob <length>\0` and the content.
    GitBlob(String),
    /// A mirror's own mark, which says nothing of the content.
    Unknown,
}

impl Announced {
    pub(crate) fn of_etag(etag: &str) -> Self {
        let etag = etag
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_ascii_lowercase();
        let is_hexadecimal = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match etag.len() {
            64 if is_hexadecimal => Self::Sha256(etag),
            40 if is_hexadecimal => Self::GitBlob(etag),
            _ => Self::Unknown,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "SHA-256",
            Self::GitBlob(_) => "Git object id",
            Self::Unknown => "checksum",
        }
    }

    pub(crate) fn expected(&self) -> &str {
        match self {
            Self::Sha256(digest) | Self::GitBlob(digest) => digest,
            Self::Unknown => "",
        }
    }
}

/// The checksums of a file.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    git_blob: String,
}

impl Found {
    /// Reads a file to its end.
    pub(crate) fn of_file(path: &Path) -> Result<Self> {
        let mut file = fs_err::File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut sha256 = sha2::Sha256::new();
        let mut git = {
            use sha1::Digest as _;
            sha1::Sha1::new_with_prefix(format!("blob {bytes}\0"))
        };
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            sha256.update(&buffer[..read]);
            sha1::Digest::update(&mut git, &buffer[..read]);
        }
        Ok(Self {
            bytes,
            sha256: hexadecimal(&sha256.finalize()),
            git_blob: hexadecimal(&sha1::Digest::finalize(git)),
        })
    }

    /// The checksum of the announced kind.
    pub(crate) fn like(&self, announced: &Announced) -> &str {
        match announced {
            Announced::Sha256(_) => &self.sha256,
            Announced::GitBlob(_) => &self.git_blob,
            Announced::Unknown => "",
        }
    }

    pub(crate) fn is(&self, announced: &Announced) -> bool {
        self.like(announced) == announced.expected()
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_compared_with_whatever_kind_was_announced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs_err::write(&path, "hello\n").unwrap();
        let found = Found::of_file(&path).unwrap();
        // What `sha256sum` and `git hash-object` say.
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert!(found.is(&Announced::of_etag(&format!("\"{sha256}\""))));
        assert!(found.is(&Announced::of_etag(git)));
        assert!(!found.is(&Announced::of_etag(&sha256.replace('5', "6"))));
        assert_eq!(Announced::of_etag("W/\"mirror-17\""), Announced::Unknown);
    }
}
