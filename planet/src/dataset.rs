//! A planet's photographs as a dataset on disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use datasets::{Dataset, Photo};
use image::ImageEncoder as _;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::random::mix;
use crate::{Error, Place, Planet, PlanetConfig, Result, Scene};

/// Raised whenever the same settings would give other pictures than before, so that old folders aren't taken for new ones.
const GENERATION: u32 = 1;
/// The file that says which planet a folder holds.
const DESCRIPTION: &str = "planet.json";
const MANIFEST: &str = "photos.parquet";

/// How far a planet's photographs have been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Photographs that are on disk.
    pub done: usize,
    /// Photographs asked for.
    pub total: usize,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Description {
    generation: u32,
    config: PlanetConfig,
}

/// Renders a planet's photographs into a folder: `images/*.jpg`, `maps/*.png` (ADE20K ids) and `photos.parquet`.
///
/// The work is parallel and can be stopped at any moment: a second call with the same settings goes on, and one after the end only
/// opens the dataset. Every file appears whole or not at all.
///
/// # Errors
/// [`Error::OtherPlanet`] when the folder holds other settings, [`Error::Occupied`] when it holds something else, and what the disk says.
pub fn write_dataset(
    config: &PlanetConfig,
    out: &Path,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Dataset> {
    let planet = Planet::new(config)?;
    claim(config, out)?;
    let total = config.photos;
    if out.join(MANIFEST).is_file() {
        progress(Progress { done: total, total });
        return Ok(Dataset::open(out)?);
    }
    fs_err::create_dir_all(out.join("images"))?;
    fs_err::create_dir_all(out.join("maps"))?;
    let places = planet.places(total, 0)?;
    let done = AtomicUsize::new(0);
    let photos = places
        .par_iter()
        .enumerate()
        .map(|(index, place)| {
            let photo = write_photo(&planet, place, index, out)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { done, total });
            Ok(photo)
        })
        .collect::<Result<Vec<_>>>()?;
    let dataset = Dataset::new(out, photos);
    dataset.save()?;
    Ok(dataset)
}

/// Makes sure that the folder is this planet's, and writes down that it is.
fn claim(config: &PlanetConfig, out: &Path) -> Result<()> {
    let description = Description {
        generation: GENERATION,
        config: config.clone(),
    };
    let path = out.join(DESCRIPTION);
    fs_err::create_dir_all(out)?;
    if path.is_file() {
        let text = fs_err::read(&path)?;
        let found: Description = serde_json::from_slice(&text).map_err(|source| Error::Description {
            path: path.clone(),
            source,
        })?;
        if found != description {
            return Err(Error::OtherPlanet(out.to_owned()));
        }
        return Ok(());
    }
    if fs_err::read_dir(out)?.next().is_some() {
        return Err(Error::Occupied(out.to_owned()));
    }
    let text = serde_json::to_vec_pretty(&description).map_err(|source| Error::Description {
        path: path.clone(),
        source,
    })?;
    write_whole(&path, &text)
}

fn write_photo(planet: &Planet, place: &Place, index: usize, out: &Path) -> Result<Photo> {
    let image = PathBuf::from(format!("images/{index:06}.jpg"));
    let map = PathBuf::from(format!("maps/{index:06}.png"));
    let (image_path, map_path) = (out.join(&image), out.join(&map));
    if !(image_path.is_file() && map_path.is_file()) {
        let scene = planet.render(place, mix(planet.config().seed, index as u64));
        write_whole(&map_path, &encode_map(&scene, &map_path)?)?;
        write_whole(&image_path, &encode_image(&scene, &image_path)?)?;
    }
    let mut photo = Photo::new(image, place.location);
    photo.segmentation = Some(map);
    photo.uploader = Some(place.uploader.clone());
    photo.place = place.city.map(|city| planet.cities()[city].name.clone());
    photo.captured_at = Some(place.captured_at);
    Ok(photo)
}

fn encode_image(scene: &Scene, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    JpegEncoder::new_with_quality(&mut bytes, scene.jpeg_quality)
        .encode_image(&scene.image)
        .map_err(|source| Error::Encode {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

fn encode_map(scene: &Scene, path: &Path) -> Result<Vec<u8>> {
    let map = &scene.segmentation;
    let mut bytes = Vec::with_capacity(4 * 1024);
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Up)
        .write_image(
            map.as_raw(),
            map.width(),
            map.height(),
            image::ExtendedColorType::L8,
        )
        .map_err(|source| Error::Encode {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

/// Writes a file so that its name never shows a part of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // Temporary files are private to their owner unless told otherwise; photographs are for everyone whom the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| Error::Io(error.error))?;
    Ok(())
}
