//! Fetching a model, from a hub or from a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use hf_hub::{Cache, Repo, RepoType};
use serde::Serialize;

use crate::checksum::{Announced, Found};
use crate::files::{self, INDEX};
use crate::folder::{FileRecord, ModelsFolder, Pulled};
use crate::transfer::{Hub, Remote, disk_full, require_room};
use crate::{Error, HubSettings, Result};

/// How far a pull is.
#[derive(Clone, Copy, Debug)]
pub struct PullProgress<'a> {
    /// The file under way.
    pub file: &'a str,
    /// Bytes of it that are there.
    pub done: u64,
    /// Its bytes.
    pub total: u64,
}

/// What a pull came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model's folder.
    pub folder: PathBuf,
    /// Whether all of it was here before.
    pub was_here: bool,
    /// Its record.
    pub record: Pulled,
}

/// Fetches a model at a revision (a branch, a tag, or a commit) from the hub into the folder of models. What is here already is
/// not fetched again, and what was interrupted goes on. Offline, it is taken from the folder, or from the hub's own cache.
///
/// # Errors
/// Those of the name, the hub, the network and the disk; see [`Error`]. Whatever happens, the model counts as whole only when
/// all of its files are.
pub fn pull(
    models: &ModelsFolder,
    name: &str,
    revision: &str,
    settings: &HubSettings,
    progress: &dyn Fn(PullProgress<'_>),
    cancel: &AtomicBool,
) -> Result<Report> {
    check_revision(revision)?;
    let folder = models.of(name)?;
    let _lock = lock(models, &folder)?;
    let held = models.record(name)?.filter(|held| held.repository == name);
    let was_here = |record| Report {
        folder: folder.clone(),
        was_here: true,
        record,
    };
    if settings.offline {
        if let Some(held) =
            held.filter(|held| held.revision == revision || held.commit.as_deref() == Some(revision))
        {
            return Ok(was_here(held));
        }
        return from_cache(models, name, revision, settings, cancel);
    }
    let hub = Hub::new(settings, models.downloads(), cancel)?;
    let (commit, there) = hub.files(name, revision)?;
    if let Some(held) = held.filter(|held| held.commit.as_ref() == Some(&commit)) {
        return Ok(was_here(held));
    }
    let mut wanted = files::choose(name, there.iter().map(String::as_str))?;
    models.remove_record(name)?;
    fs_err::create_dir_all(&folder)?;
    let fetcher = Fetcher {
        hub: &hub,
        name,
        commit: &commit,
        folder: &folder,
        cached: snapshot(&settings.cache, name, &commit),
        progress,
    };
    let mut records = BTreeMap::new();
    let mut next = 0;
    while next < wanted.len() {
        let file = wanted[next].clone();
        let record = fetcher.fetch(&file)?;
        records.insert(file.clone(), record);
        if file == INDEX {
            wanted.extend(files::shards(name, &fs_err::read(folder.join(&file))?)?);
        }
        next += 1;
    }
    finish(
        models,
        name,
        revision,
        Some(commit),
        settings.endpoint.clone(),
        records,
    )
}

/// Takes a model from a folder in Hugging Face layout, such as one that was carried here, into the folder of models. Where a
/// record lies beside the files, each is held against it.
///
/// # Errors
/// Those of the name, of a folder without a model, and of the disk; [`Error::Checksum`] for a file that is not what was pulled.
pub fn import(models: &ModelsFolder, name: &str, source: &Path, cancel: &AtomicBool) -> Result<Report> {
    let folder = models.of(name)?;
    let _lock = lock(models, &folder)?;
    copy_model(models, name, "main", source, None, cancel)
}

/// Fetches one model's files.
struct Fetcher<'a> {
    hub: &'a Hub<'a>,
    name: &'a str,
    commit: &'a str,
    folder: &'a Path,
    /// The same commit in the hub's own cache on this machine.
    cached: Option<PathBuf>,
    progress: &'a dyn Fn(PullProgress<'_>),
}

impl Fetcher<'_> {
    fn fetch(&self, file: &str) -> Result<FileRecord> {
        let remote = self.hub.announced(self.name, self.commit, file)?;
        let target = self.folder.join(file);
        let seen = |done| {
            (self.progress)(PullProgress {
                file,
                done,
                total: remote.bytes,
            });
        };
        if target.is_file() && remote.announced != Announced::Unknown {
            let found = Found::of_file(&target)?;
            if found.is(&remote.announced) {
                seen(remote.bytes);
                return Ok(record(&found));
            }
        }
        if let Some(found) = self.copy_cached(file, &remote, &target)? {
            seen(remote.bytes);
            return Ok(record(&found));
        }
        // Twice: a part of an earlier transfer may have been of another time, or the hub may have sent all where the rest was asked.
        let mut last = None;
        for _ in 0..2 {
            let arrived = self.hub.download(self.name, self.commit, file, &remote, &seen)?;
            let found = Found::of_file(&arrived)?;
            if found.bytes == remote.bytes && found.is(&remote.announced) {
                fs_err::rename(&arrived, &target)?;
                tracing::info!(file, bytes = found.bytes, sha256 = found.sha256, "fetched");
                return Ok(record(&found));
            }
            tracing::warn!(file, "arrived damaged; fetching it from its beginning");
            self.hub.discard(self.name, &remote)?;
            last = Some(found);
        }
        Err(self.damaged(file, &remote, last))
    }

    /// A file of the same commit and content from the hub's own cache.
    fn copy_cached(&self, file: &str, remote: &Remote, target: &Path) -> Result<Option<Found>> {
        let Some(cached) = self
            .cached
            .as_ref()
            .map(|folder| folder.join(file))
            .filter(|file| file.is_file())
        else {
            return Ok(None);
        };
        if remote.announced == Announced::Unknown || !Found::of_file(&cached)?.is(&remote.announced) {
            return Ok(None);
        }
        copy_whole(&cached, target).map(Some)
    }

    fn damaged(&self, file: &str, remote: &Remote, found: Option<Found>) -> Error {
        let found = found.as_ref();
        let is_long = found.is_some_and(|found| found.bytes == remote.bytes);
        let checked = is_long && remote.announced != Announced::Unknown;
        Error::Checksum {
            name: self.name.to_owned(),
            file: file.to_owned(),
            digest: if checked {
                remote.announced.kind()
            } else {
                "length"
            },
            expected: if checked {
                remote.announced.expected().to_owned()
            } else {
                remote.bytes.to_string()
            },
            found: found.map_or_else(String::new, |found| {
                if checked {
                    found.like(&remote.announced).to_owned()
                } else {
                    found.bytes.to_string()
                }
            }),
        }
    }
}

/// Ends a pull: the record, and what is left over of the transfer.
fn finish(
    models: &ModelsFolder,
    name: &str,
    revision: &str,
    commit: Option<String>,
    source: String,
    files: BTreeMap<String, FileRecord>,
) -> Result<Report> {
    let record = Pulled {
        repository: name.to_owned(),
        revision: revision.to_owned(),
        commit,
        source,
        at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        files,
    };
    models.write_record(&record)?;
    let leftovers = models
        .downloads()
        .join(Repo::model(name.to_owned()).folder_name());
    if leftovers.is_dir() {
        fs_err::remove_dir_all(leftovers)?;
    }
    Ok(Report {
        folder: models.of(name)?,
        was_here: false,
        record,
    })
}

/// The model from the hub's own cache.
fn from_cache(
    models: &ModelsFolder,
    name: &str,
    revision: &str,
    settings: &HubSettings,
    cancel: &AtomicBool,
) -> Result<Report> {
    let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
    let by_branch = Cache::new(settings.cache.clone()).repo(repo).get("config.json");
    let found = by_branch
        .and_then(|file| file.parent().map(Path::to_path_buf))
        .or_else(|| snapshot(&settings.cache, name, revision));
    let Some(found) = found else {
        return Err(Error::Offline {
            name: name.to_owned(),
            folder: models.root().to_owned(),
            cache: settings.cache.clone(),
        });
    };
    let commit = found
        .file_name()
        .map(|commit| commit.to_string_lossy().into_owned());
    copy_model(models, name, revision, &found, commit, cancel)
}

/// The folder of a commit in a cache of the hub's own tools.
fn snapshot(cache: &Path, name: &str, commit: &str) -> Option<PathBuf> {
    let repo = Repo::model(name.to_owned());
    let folder = Cache::new(cache.to_owned()).repo(repo).pointer_path(commit);
    folder.is_dir().then_some(folder)
}

fn copy_model(
    models: &ModelsFolder,
    name: &str,
    revision: &str,
    source: &Path,
    commit: Option<String>,
    cancel: &AtomicBool,
) -> Result<Report> {
    let mut there = Vec::new();
    for entry in fs_err::read_dir(source)? {
        there.push(entry?.file_name().to_string_lossy().into_owned());
    }
    let shown = source.display().to_string();
    let mut wanted = files::choose(&shown, there.iter().map(String::as_str))?;
    if wanted.iter().any(|file| file == INDEX) {
        wanted.extend(files::shards(&shown, &fs_err::read(source.join(INDEX))?)?);
    }
    if let Some(absent) = wanted.iter().find(|file| !source.join(file).is_file()) {
        return Err(Error::NoWeights {
            name: shown,
            what: format!("no {absent}"),
        });
    }
    let carried = carried_record(source)?.filter(|carried| carried.repository == name);
    let folder = models.of(name)?;
    models.remove_record(name)?;
    fs_err::create_dir_all(&folder)?;
    let mut records = BTreeMap::new();
    for file in &wanted {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                name: name.to_owned(),
            });
        }
        let found = copy_whole(&source.join(file), &folder.join(file))?;
        if let Some(expected) = carried.as_ref().and_then(|carried| carried.files.get(file))
            && expected.sha256 != found.sha256
        {
            fs_err::remove_file(folder.join(file))?;
            return Err(Error::Checksum {
                name: shown,
                file: file.clone(),
                digest: "SHA-256",
                expected: expected.sha256.clone(),
                found: found.sha256,
            });
        }
        records.insert(file.clone(), record(&found));
    }
    let commit = commit.or_else(|| carried.and_then(|carried| carried.commit));
    finish(models, name, revision, commit, shown, records)
}

/// The record that lies beside files which were pulled on another machine.
fn carried_record(source: &Path) -> Result<Option<Pulled>> {
    let file = source.join("pulled.json");
    if !file.is_file() {
        return Ok(None);
    }
    serde_json::from_slice(&fs_err::read(&file)?)
        .map(Some)
        .map_err(|source| Error::Record { file, source })
}

/// Copies a file so that the target is whole or absent, and reads back what arrived.
fn copy_whole(from: &Path, to: &Path) -> Result<Found> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let needed = fs_err::metadata(from)?.len();
    require_room(folder, needed)?;
    let partial = tempfile::Builder::new().prefix(".copying-").tempfile_in(folder)?;
    fs_err::copy(from, partial.path()).map_err(|error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => disk_full(folder, needed),
        _ => error.into(),
    })?;
    let found = Found::of_file(partial.path())?;
    partial.persist(to).map_err(|error| error.error)?;
    Ok(found)
}

fn record(found: &Found) -> FileRecord {
    FileRecord {
        bytes: found.bytes,
        sha256: found.sha256.clone(),
    }
}

/// Revisions go into addresses and file names.
fn check_revision(revision: &str) -> Result<()> {
    let is_safe = !revision.is_empty()
        && !revision.contains("..")
        && !revision.starts_with('/')
        && revision
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    if is_safe {
        return Ok(());
    }
    Err(Error::Setting {
        name: "--revision",
        value: revision.to_owned(),
        reason: "a branch, a tag or a commit is needed".to_owned(),
    })
}

/// Keeps other processes from writing the same model.
fn lock(models: &ModelsFolder, folder: &Path) -> Result<std::fs::File> {
    fs_err::create_dir_all(models.downloads())?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let file = fs_err::File::create(models.downloads().join(format!("{name}.lock")))?
        .into_parts()
        .0;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy {
            folder: folder.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}
