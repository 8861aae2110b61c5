//! The held-out photos with the largest errors, as small pictures.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use geocells::LatLng;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use maud::{Markup, html};

use super::{Case, Findings};
use crate::Result;

/// Longer side of a picture, pixels.
const SIDE: u32 = 160;
const QUALITY: u8 = 80;

/// Pictures of the `most` cases with the largest errors, each with its places.
///
/// # Errors
/// A photo that can no longer be read.
pub(super) fn pictures(findings: &Findings<'_>, cases: &[Case], most: usize) -> Result<Markup> {
    let mut worst: Vec<&Case> = cases.iter().collect();
    worst.sort_by(|a, b| b.km.total_cmp(&a.km).then(a.photo.cmp(&b.photo)));
    worst.truncate(most);
    let pictures = worst
        .iter()
        .map(|case| Ok((*case, data_uri(findings, case.photo)?)))
        .collect::<Result<Vec<(&Case, String)>>>()?;
    Ok(html! {
        div class="photos" {
            @for (case, uri) in pictures {
                figure {
                    img src=(uri) alt=(name(findings, case.photo)) loading="lazy";
                    figcaption {
                        strong { (format!("{:.0} km off", case.km)) }
                        (format!("true {}", place(case.truth))) br;
                        (format!("answered {}", place(case.answer.location))) br;
                        (format!("stated within 750 km: {:.0} %", 100.0 * case.answer.within.0[3])) br;
                        code { (name(findings, case.photo)) }
                    }
                }
            }
        }
    })
}

fn name(findings: &Findings<'_>, photo: usize) -> String {
    findings.dataset.photos()[photo].path.display().to_string()
}

fn place(place: LatLng) -> String {
    let (latitude, longitude) = (place.latitude(), place.longitude());
    let (north, east) = (
        if latitude < 0.0 { 'S' } else { 'N' },
        if longitude < 0.0 { 'W' } else { 'E' },
    );
    format!("{:.2} {north}, {:.2} {east}", latitude.abs(), longitude.abs())
}

fn data_uri(findings: &Findings<'_>, photo: usize) -> Result<String> {
    let image = findings.source.read(photo, false)?.image;
    let image = if image.width() > SIDE {
        imageops::resize(&image, SIDE, SIDE, FilterType::Triangle)
    } else {
        image
    };
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(&image)
        .map_err(|error| crate::Error::Config(format!("a picture cannot be encoded: {error}")))?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}
