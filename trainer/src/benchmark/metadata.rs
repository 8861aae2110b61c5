//! A benchmark's own metadata file and a folder of images become a dataset; what is missing is listed.
//!
//! The field's files name their columns differently (`IMG_ID,AUTHOR,LAT,LON`, `path,lat,lon`, `IMG_ID,LAT,LON`); they are found by name.
//! Images are looked for by the path that the file names, then by file name anywhere in the folder, then by the name without its
//! extension, as collections are unpacked in several ways.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use datasets::{Dataset, Photo};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The five benchmarks that the paper reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Benchmark {
    /// IM2GPS (Hays and Efros, 2008).
    Im2gps,
    /// IM2GPS3k (Vo, Jacobs and Hays, 2017).
    Im2gps3k,
    /// YFCC4k (Vo, Jacobs and Hays, 2017).
    Yfcc4k,
    /// YFCC26k (Müller-Budack, Pustu-Iren and Ewerth, 2018).
    Yfcc26k,
    /// GWS15k (Clark et al., 2023).
    Gws15k,
}

impl Benchmark {
    /// All of them, in the order of the paper's Tables I to V.
    pub const ALL: [Self; 5] = [
        Self::Im2gps,
        Self::Im2gps3k,
        Self::Yfcc4k,
        Self::Yfcc26k,
        Self::Gws15k,
    ];

    /// Its name in file names and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Im2gps => "im2gps",
            Self::Im2gps3k => "im2gps3k",
            Self::Yfcc4k => "yfcc4k",
            Self::Yfcc26k => "yfcc26k",
            Self::Gws15k => "gws15k",
        }
    }

    /// Its name in print.
    pub fn title(self) -> &'static str {
        match self {
            Self::Im2gps => "IM2GPS",
            Self::Im2gps3k => "IM2GPS3k",
            Self::Yfcc4k => "YFCC4k",
            Self::Yfcc26k => "YFCC26k",
            Self::Gws15k => "GWS15k",
        }
    }

    /// The table of the paper that reports it.
    pub fn table(self) -> &'static str {
        match self {
            Self::Im2gps => "I",
            Self::Im2gps3k => "II",
            Self::Yfcc4k => "III",
            Self::Yfcc26k => "IV",
            Self::Gws15k => "V",
        }
    }

    /// The benchmark whose name is this.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.name() == name.to_lowercase())
    }

    /// The benchmark that a metadata file's name speaks of (`im2gps3k_places365.csv`, `yfcc25600_places365.csv`, `gws15k.csv`).
    pub fn detect(metadata: &Path) -> Option<Self> {
        let name: String = metadata
            .file_name()?
            .to_string_lossy()
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric())
            .collect();
        // The longer name first: im2gps3k begins with im2gps.
        let spoken = [
            ("im2gps3k", Self::Im2gps3k),
            ("im2gps", Self::Im2gps),
            ("yfcc26k", Self::Yfcc26k),
            ("yfcc25600", Self::Yfcc26k),
            ("yfcc4k", Self::Yfcc4k),
            ("gws15k", Self::Gws15k),
        ];
        spoken
            .into_iter()
            .find(|(spoken, _)| name.contains(spoken))
            .map(|(_, benchmark)| benchmark)
    }
}

/// An image that the metadata name and the folder does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingImage {
    /// Its name in the metadata.
    pub name: String,
    /// Why it is not there.
    pub reason: String,
}

/// A benchmark's photos that are at hand, and those that are not.
#[derive(Debug, Clone)]
pub struct BenchmarkPhotos {
    /// Which benchmark it is, if that is known.
    pub benchmark: Option<Benchmark>,
    /// The photos whose image was found, with absolute paths or paths below the folder.
    pub dataset: Dataset,
    /// Photos that the metadata list.
    pub listed: usize,
    /// Those whose image was not found.
    pub missing: Vec<MissingImage>,
}

impl BenchmarkPhotos {
    /// Reads a metadata file and finds its images below `images`. Without `benchmark` its name is taken from the file's.
    ///
    /// # Errors
    /// Metadata that cannot be read, a folder that cannot be listed, or not one image found.
    pub fn open(metadata: &Path, images: &Path, benchmark: Option<Benchmark>) -> Result<Self> {
        let listed = Dataset::open(metadata)?;
        let folder = ImageFolder::list(images)?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for photo in listed.photos() {
            match folder.find(&photo.path) {
                Ok(path) => found.push(Photo {
                    path,
                    // Maps and digests in the metadata, if any, speak of another folder.
                    segmentation: None,
                    sha256: None,
                    ..photo.clone()
                }),
                Err(reason) => missing.push(MissingImage {
                    name: photo.path.to_string_lossy().into_owned(),
                    reason,
                }),
            }
        }
        if found.is_empty() {
            let first = missing.first().map_or("", |missing| missing.name.as_str());
            return Err(Error::Dataset(format!(
                "none of the {} images that {} names is below {} (the first: {first}); give the folder that they were unpacked into",
                listed.len(),
                metadata.display(),
                images.display()
            )));
        }
        Ok(Self {
            benchmark: benchmark.or_else(|| Benchmark::detect(metadata)),
            dataset: Dataset::new(images, found),
            listed: listed.len(),
            missing,
        })
    }
}

/// Every file below a folder, by name.
struct ImageFolder {
    root: PathBuf,
    by_name: HashMap<String, Vec<PathBuf>>,
    by_stem: HashMap<String, Vec<PathBuf>>,
}

impl ImageFolder {
    fn list(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(below) = path.strip_prefix(root) {
                    files.insert(below.to_path_buf(), ());
                }
            }
        }
        let mut found = Self {
            root: root.to_path_buf(),
            by_name: HashMap::new(),
            by_stem: HashMap::new(),
        };
        for path in files.into_keys() {
            let name = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().to_lowercase());
            if let (Some(name), Some(stem)) = (name(path.file_name()), name(path.file_stem())) {
                found.by_name.entry(name).or_default().push(path.clone());
                found.by_stem.entry(stem).or_default().push(path);
            }
        }
        Ok(found)
    }

    /// The image's path below the folder, or why there is none.
    fn find(&self, named: &Path) -> Result<PathBuf, String> {
        if named.is_relative() && self.root.join(named).is_file() {
            return Ok(named.to_path_buf());
        }
        let name = named
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        let stem = Path::new(&name)
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        // An id without an extension may hold a dot of its own, so the whole name is tried as a stem too.
        let candidates = [
            self.by_name.get(&name),
            self.by_stem.get(&name),
            self.by_stem.get(&stem),
        ];
        match candidates.into_iter().flatten().next().map(Vec::as_slice) {
            None | Some([]) => Err("no image of this name in the folder".to_owned()),
            Some([one]) => Ok(one.clone()),
            Some([one, two, ..]) => Err(format!(
                "several images have this name: {} and {}",
                one.display(),
                two.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn file_names_tell_the_benchmark() {
        for (name, wanted) in [
            ("im2gps_places365.csv", Some(Benchmark::Im2gps)),
            ("im2gps3k_places365.csv", Some(Benchmark::Im2gps3k)),
            ("meta/IM2GPS3K.csv", Some(Benchmark::Im2gps3k)),
            ("yfcc4k.csv", Some(Benchmark::Yfcc4k)),
            ("yfcc25600_places365.csv", Some(Benchmark::Yfcc26k)),
            ("GWS15K.parquet", Some(Benchmark::Gws15k)),
            ("my_photos.csv", None),
        ] {
            assert_eq!(Benchmark::detect(Path::new(name)), wanted, "{name}");
        }
        assert!(
            Benchmark::ALL
                .into_iter()
                .all(|b| Benchmark::named(b.name()) == Some(b))
        );
    }

    /// The headers of the field's files; images in subfolders, with other extensions, absent, and twice.
    #[test]
    fn images_are_found_as_collections_are_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        for path in [
            "a_78841376@N00.jpg",
            "deep/er/b.PNG",
            "x/twice.jpg",
            "y/twice.jpg",
            "gsv_0.jpeg",
        ] {
            let path = images.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, b"not looked at").unwrap();
        }
        let open = |name: &str, text: &str| {
            let metadata = folder.path().join(name);
            fs_err::write(&metadata, text).unwrap();
            BenchmarkPhotos::open(&metadata, &images, None)
        };
        let found = open(
            "im2gps3k_places365.csv",
            "IMG_ID,AUTHOR,LAT,LON,S3_Label,Prob_urban\n\
             a_78841376@N00.jpg,78841376@N00,32.3,-64.7,2,0.6\n\
             b.jpg,someone,1.0,2.0,0,0.1\n\
             twice.jpg,someone,1.0,2.0,0,0.1\n\
             gone.jpg,someone,1.0,2.0,0,0.1\n",
        )
        .unwrap();
        assert_eq!((found.benchmark, found.listed), (Some(Benchmark::Im2gps3k), 4));
        let paths: Vec<_> = found.dataset.photos().iter().map(|p| p.path.clone()).collect();
        assert_eq!(
            paths,
            [PathBuf::from("a_78841376@N00.jpg"), "deep/er/b.PNG".into()]
        );
        assert_eq!(
            found.dataset.photos()[0].uploader.as_deref(),
            Some("78841376@N00")
        );
        assert_eq!(found.missing.len(), 2);
        assert!(found.missing[0].reason.contains("several") && found.missing[1].name == "gone.jpg");
        let found = open("gws15k.csv", "path,lat,lon\ngsv_0.jpg,31.9,102.2\n").unwrap();
        assert_eq!(
            (found.benchmark, found.dataset.len()),
            (Some(Benchmark::Gws15k), 1)
        );
        let said = open("yfcc4k.csv", "IMG_ID,LAT,LON\n10201275523.jpg,43.6,-79.3\n")
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("10201275523.jpg") && said.contains("none of the 1"),
            "{said}"
        );
    }
}
