//! The network: asking a hub, through the `hf-hub` crate, with what that crate leaves out.
//!
//! `hf-hub` knows the routes, the redirects, the cache and how to resume. It has no timeouts, and takes whatever arrives for the
//! file. So each of its calls runs on a thread of its own whose progress is watched, failures are sorted into those
//! that pass and those that do not, and a file's length is compared before it counts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use crate::checksum::Announced;
use crate::{Error, HubSettings, Result};

/// How often the watcher looks.
const TICK: Duration = Duration::from_millis(50);

/// A hub, and where its files are fetched to.
pub(crate) struct Hub<'a> {
    settings: &'a HubSettings,
    staging: PathBuf,
    cancel: &'a AtomicBool,
    api: Api,
}

/// A file as the hub announces it.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) bytes: u64,
    pub(crate) announced: Announced,
    etag: String,
}

/// What a call has done so far.
struct Pulse {
    bytes: AtomicU64,
    beat: Mutex<Instant>,
}

impl Pulse {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicU64::new(0),
            beat: Mutex::new(Instant::now()),
        })
    }

    fn beat(&self) {
        if let Ok(mut beat) = self.beat.lock() {
            *beat = Instant::now();
        }
    }

    fn silent_for(&self) -> Duration {
        self.beat.lock().map_or(Duration::ZERO, |beat| beat.elapsed())
    }
}

/// The pulse as `hf-hub` reports to it.
struct Beating(Arc<Pulse>);

impl Progress for Beating {
    fn init(&mut self, _size: usize, _filename: &str) {
        self.0.bytes.store(0, Ordering::Relaxed);
        self.0.beat();
    }

    fn update(&mut self, size: usize) {
        self.0.bytes.fetch_add(size as u64, Ordering::Relaxed);
        if size > 0 {
            self.0.beat();
        }
    }

    fn finish(&mut self) {}
}

/// What a failed call means.
enum Failure {
    /// It may pass.
    Passing(String),
    /// It will not.
    Lasting(Error),
}

impl<'a> Hub<'a> {
    pub(crate) fn new(settings: &'a HubSettings, staging: PathBuf, cancel: &'a AtomicBool) -> Result<Self> {
        let api = ApiBuilder::from_cache(Cache::new(staging.clone()))
            .with_endpoint(settings.endpoint.clone())
            .with_token(settings.token.clone())
            .with_progress(false)
            .with_retries(0)
            .build()
            .map_err(|error| Error::NotAHub {
                endpoint: settings.endpoint.clone(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            settings,
            staging,
            cancel,
            api,
        })
    }

    /// The commit of a revision, and the files in it.
    pub(crate) fn files(&self, name: &str, revision: &str) -> Result<(String, Vec<String>)> {
        let repo = repo(name, revision);
        let api = self.api.clone();
        let info = self.ask(name, &format!("model {name} at {revision}"), &|_| (), move |_| {
            api.repo(repo.clone()).info()
        })?;
        let is_commit = !info.sha.is_empty() && info.sha.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_commit {
            return Err(self.not_a_hub("it named no commit"));
        }
        Ok((
            info.sha,
            info.siblings.into_iter().map(|file| file.rfilename).collect(),
        ))
    }

    /// What the hub says of a file.
    pub(crate) fn announced(&self, name: &str, commit: &str, file: &str) -> Result<Remote> {
        let api = self.api.clone();
        let url = self.repo(name, commit).url(file);
        let metadata = self.ask(name, &format!("file {file} in {name}"), &|_| (), move |_| {
            api.metadata(&url)
        })?;
        let etag = metadata.etag().to_owned();
        if etag.is_empty() || etag.contains(['/', '\\']) || etag.starts_with('.') {
            return Err(self.not_a_hub("a file's ETag is no name"));
        }
        Ok(Remote {
            bytes: metadata.size() as u64,
            announced: Announced::of_etag(&etag),
            etag,
        })
    }

    /// Fetches a file, going on with what an earlier call left. `seen` is told the bytes that are there.
    pub(crate) fn download(
        &self,
        name: &str,
        commit: &str,
        file: &str,
        remote: &Remote,
        seen: &dyn Fn(u64),
    ) -> Result<PathBuf> {
        let blob = self.blob(name, remote);
        let part = blob.with_extension("part");
        if blob.is_file() && length(&blob) == remote.bytes {
            return Ok(blob);
        }
        match length(&part) {
            // All of it arrived, and the process ended before it was renamed: a hub refuses to send the rest of nothing.
            there if there == remote.bytes && part.is_file() => {
                fs_err::rename(&part, &blob)?;
                return Ok(blob);
            }
            there if there > remote.bytes => fs_err::remove_file(&part)?,
            there => require_room(&self.staging, remote.bytes - there)?,
        }
        let (api, repo, wanted) = (self.api.clone(), repo(name, commit), file.to_owned());
        let (expected, whole) = (remote.bytes, blob.clone());
        self.ask(name, &format!("file {file} in {name}"), seen, move |pulse| {
            api.repo(repo.clone())
                .download_with_progress(&wanted, Beating(pulse))?;
            let arrived = length(&whole);
            if arrived < expected {
                // It counted as whole: call it a part again, to go on from there.
                fs_err::rename(&whole, whole.with_extension("part"))?;
                let short = format!("{arrived} of {expected} bytes arrived");
                return Err(ApiError::IoError(std::io::Error::new(
                    std::io::ErrorKind::UnexpectedEof,
                    short,
                )));
            }
            Ok(())
        })?;
        Ok(blob)
    }

    /// Forgets what was fetched of a file.
    pub(crate) fn discard(&self, name: &str, remote: &Remote) -> Result<()> {
        let blob = self.blob(name, remote);
        for file in [blob.with_extension("part"), blob] {
            match fs_err::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Where a file's content is fetched to.
    fn blob(&self, name: &str, remote: &Remote) -> PathBuf {
        Cache::new(self.staging.clone())
            .repo(repo(name, "main"))
            .blob_path(&remote.etag)
    }

    fn repo(&self, name: &str, revision: &str) -> ApiRepo {
        self.api.repo(repo(name, revision))
    }

    /// Calls `work` on a thread of its own until it succeeds, fails for good, or has failed too often without getting further.
    fn ask<T: Send + 'static>(
        &self,
        name: &str,
        what: &str,
        seen: &dyn Fn(u64),
        work: impl Fn(Arc<Pulse>) -> std::result::Result<T, ApiError> + Clone + Send + 'static,
    ) -> Result<T> {
        let (mut failures, mut furthest) = (0, 0);
        loop {
            let pulse = Pulse::new();
            let failure = match self.watch(name, what, seen, &pulse, work.clone())? {
                Ok(done) => return Ok(done),
                Err(error) => self.sort(error, name, what),
            };
            let reason = match failure {
                Failure::Lasting(error) => return Err(error),
                Failure::Passing(reason) => reason,
            };
            let reached = pulse.bytes.load(Ordering::Relaxed);
            // Whoever gets further may go on for ever.
            failures = if reached > furthest { 1 } else { failures + 1 };
            furthest = furthest.max(reached);
            tracing::warn!(what, failures, reason, "the hub failed");
            if failures >= self.settings.attempts {
                return Err(Error::Unavailable {
                    endpoint: self.settings.endpoint.clone(),
                    attempts: failures,
                    reason,
                });
            }
            let pause = self.settings.pause * (1 << (failures - 1).min(5));
            let until = Instant::now() + pause;
            while Instant::now() < until {
                self.check_cancelled(name)?;
                std::thread::sleep(TICK.min(pause));
            }
        }
    }

    /// Runs `work` and watches it. A thread that hangs is left behind: it holds nothing but its connection and ends with
    /// the process.
    fn watch<T: Send + 'static>(
        &self,
        name: &str,
        what: &str,
        seen: &dyn Fn(u64),
        pulse: &Arc<Pulse>,
        work: impl FnOnce(Arc<Pulse>) -> std::result::Result<T, ApiError> + Send + 'static,
    ) -> Result<std::result::Result<T, ApiError>> {
        let (sender, receiver) = mpsc::channel();
        let worker = pulse.clone();
        std::thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || {
                // Nobody listens any more when the call was given up.
                let _ = sender.send(work(worker));
            })?;
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(done) => {
                    seen(pulse.bytes.load(Ordering::Relaxed));
                    return Ok(done);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                // The thread panicked inside the client, which trusts some headers more than it should.
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(self.not_a_hub("its answer could not be understood"));
                }
            }
            seen(pulse.bytes.load(Ordering::Relaxed));
            self.check_cancelled(name)?;
            if pulse.silent_for() > self.settings.stall {
                return Err(Error::Stalled {
                    endpoint: self.settings.endpoint.clone(),
                    what: what.to_owned(),
                    seconds: self.settings.stall.as_secs_f64().ceil() as u64,
                });
            }
        }
    }

    fn check_cancelled(&self, name: &str) -> Result<()> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled {
                name: name.to_owned(),
            });
        }
        Ok(())
    }

    fn not_a_hub(&self, reason: impl Into<String>) -> Error {
        Error::NotAHub {
            endpoint: self.settings.endpoint.clone(),
            reason: reason.into(),
        }
    }

    fn sort(&self, error: ApiError, name: &str, what: &str) -> Failure {
        let endpoint = || self.settings.endpoint.clone();
        match error {
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(status @ (401 | 403)) => Failure::Lasting(Error::Refused {
                    name: name.to_owned(),
                    endpoint: endpoint(),
                    status,
                }),
                ureq::Error::StatusCode(404) => Failure::Lasting(Error::NotFound {
                    what: what.to_owned(),
                    endpoint: endpoint(),
                }),
                ureq::Error::StatusCode(status @ (408 | 425 | 429 | 500..=599)) => {
                    Failure::Passing(format!("status {status}"))
                }
                ureq::Error::StatusCode(status) => {
                    Failure::Lasting(self.not_a_hub(format!("status {status}")))
                }
                ureq::Error::Json(error) => Failure::Lasting(self.not_a_hub(format!("no JSON: {error}"))),
                error => Failure::Passing(error.to_string()),
            },
            ApiError::IoError(error) => self.sort_io(error),
            ApiError::InvalidResume => Failure::Passing("what was there before does not fit".to_owned()),
            ApiError::LockAcquisition(folder) => Failure::Lasting(Error::Busy { folder }),
            error
            @ (ApiError::MissingHeader(_) | ApiError::InvalidHeader(_) | ApiError::ParseIntError(_)) => {
                Failure::Lasting(self.not_a_hub(error.to_string()))
            }
            error => Failure::Passing(error.to_string()),
        }
    }

    /// An error of reading from the network passes; one of writing to the disk does not.
    fn sort_io(&self, error: std::io::Error) -> Failure {
        use std::io::ErrorKind::{
            NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
        };
        match error.kind() {
            StorageFull | QuotaExceeded => Failure::Lasting(disk_full(&self.staging, 0)),
            PermissionDenied | ReadOnlyFilesystem | NotFound => Failure::Lasting(Error::Io(
                std::io::Error::new(error.kind(), format!("{}: {error}", self.staging.display())),
            )),
            _ => Failure::Passing(error.to_string()),
        }
    }
}

fn repo(name: &str, revision: &str) -> Repo {
    Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned())
}

/// A file's length; 0 for one that is not there.
fn length(file: &Path) -> u64 {
    fs_err::metadata(file).map_or(0, |found| found.len())
}

/// Refuses to begin what cannot end.
pub(crate) fn require_room(folder: &Path, needed: u64) -> Result<()> {
    match fs4::available_space(folder) {
        Ok(free) if free < needed => Err(disk_full(folder, needed)),
        _ => Ok(()),
    }
}

/// The error of a full disk.
pub(crate) fn disk_full(folder: &Path, needed: u64) -> Error {
    Error::DiskFull {
        folder: folder.to_owned(),
        needed,
        free: fs4::available_space(folder).unwrap_or(0),
    }
}
