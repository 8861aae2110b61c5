//! `geosurge segment`: ADE20K maps of photographs, with colour overlays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use datasets::{DecodeLimits, ade20k};
use image::{GrayImage, RgbImage};
use models::Checkpoint;
use models::segmentation::Segmenter;

use crate::device::DeviceKind;
use crate::progress::Bar;
use crate::settings::Settings;
use crate::{output, photos, stores};

#[derive(clap::Args)]
pub struct Args {
    /// Photo files, or folders of them
    #[arg(required = true, value_name = "PHOTO|FOLDER")]
    photos: Vec<PathBuf>,
    /// Folder for <name>.png (8-bit class ids at the photo's size, 255 unlabelled) and <name>.overlay.png
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Checkpoint whose segmenter to use [default: the active release's]
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Auto)]
    device: DeviceKind,
    /// Print one JSON object a photo: file, map, overlay, share of pixels by class
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let files = photos::find(&args.photos)?;
    let checkpoint = open_checkpoint(args, settings)?;
    let segmenter = checkpoint.segmenter(&args.device.open()?)?.with_context(|| {
        format!("the checkpoint {} was trained without a segmenter; train one with [segmenter] kind = \"compact\"", checkpoint.directory().display())
    })?;
    fs_err::create_dir_all(&args.out).context("the output folder cannot be made")?;
    let names = distinct_names(&files)?;
    let bar = Bar::new(args.json);
    let mut failed = 0;
    for (index, (file, name)) in files.iter().zip(&names).enumerate() {
        bar.show("segmenting", index as u64, files.len() as u64, "");
        match datasets::decode_image(file, &DecodeLimits::default()) {
            Ok(photo) => one(args, &segmenter, file, name, &photo)?,
            Err(error) => {
                failed += 1;
                eprintln!("error: {error}");
            }
        }
    }
    bar.finish();
    if failed > 0 {
        bail!("{failed} of {} photographs could not be read", files.len());
    }
    if !args.json {
        output::line(format!(
            "{} maps and overlays in {}",
            files.len(),
            args.out.display()
        ));
    }
    Ok(())
}

fn open_checkpoint(args: &Args, settings: &Settings) -> Result<Checkpoint> {
    if let Some(folder) = &args.checkpoint {
        return Ok(Checkpoint::open(folder)?);
    }
    stores::runtime()?.block_on(async {
        let catalog = stores::catalog(settings).await?;
        let active = catalog.active_release().await?;
        let release = active.context("no release is active: name a checkpoint with --checkpoint, or build a release with `geosurge index`")?;
        Ok(stores::checkpoints(settings).of_release(&release).await?)
    })
}

/// Output names by the files' stems, which must differ.
fn distinct_names(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut seen: BTreeMap<String, &Path> = BTreeMap::new();
    let mut names = Vec::with_capacity(files.len());
    for file in files {
        let name = file
            .file_stem()
            .with_context(|| format!("{} has no file name", file.display()))?
            .to_string_lossy()
            .into_owned();
        if let Some(other) = seen.insert(name.clone(), file) {
            ensure!(
                other == file,
                "{} and {} would write the same map; segment them into different folders",
                other.display(),
                file.display()
            );
        }
        names.push(name);
    }
    Ok(names)
}

fn one(args: &Args, segmenter: &dyn Segmenter, file: &Path, name: &str, photo: &RgbImage) -> Result<()> {
    let mut maps = segmenter.segment(std::slice::from_ref(photo))?;
    let map = maps
        .pop()
        .flatten()
        .with_context(|| format!("the segmenter gave no map for {}", file.display()))?;
    let (map_file, overlay_file) = (
        args.out.join(format!("{name}.png")),
        args.out.join(format!("{name}.overlay.png")),
    );
    save(&map_file, |path| {
        map.save_with_format(path, image::ImageFormat::Png)
    })?;
    save(&overlay_file, |path| {
        overlay(photo, &map).save_with_format(path, image::ImageFormat::Png)
    })?;
    if args.json {
        output::json(
            &serde_json::json!({ "file": file, "map": map_file, "overlay": overlay_file, "classes": shares(&map) }),
        )?;
    }
    Ok(())
}

/// Writes beside the target and renames, so that a file is whole or absent.
fn save(target: &Path, write: impl FnOnce(&Path) -> image::ImageResult<()>) -> Result<()> {
    let partial = target.with_extension("partial");
    write(&partial).with_context(|| format!("{} cannot be written", target.display()))?;
    fs_err::rename(&partial, target)?;
    Ok(())
}

/// The photo with its classes' colours over it, half and half.
fn overlay(photo: &RgbImage, map: &GrayImage) -> RgbImage {
    RgbImage::from_fn(photo.width(), photo.height(), |x, y| {
        let colour = ade20k::colour(map.get_pixel(x, y)[0]);
        let pixel = photo.get_pixel(x, y);
        image::Rgb(std::array::from_fn(|c| pixel[c].midpoint(colour[c])))
    })
}

fn shares(map: &GrayImage) -> BTreeMap<&'static str, f64> {
    let mut counts = [0_u64; 256];
    for class in map.as_raw() {
        counts[usize::from(*class)] += 1;
    }
    let pixels = map.as_raw().len().max(1) as f64;
    (0..=u8::MAX)
        .filter(|class| counts[usize::from(*class)] > 0)
        .filter_map(|class| Some((ade20k::name(class)?, counts[usize::from(class)] as f64 / pixels)))
        .collect()
}
