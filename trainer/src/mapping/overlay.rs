//! A photo under its classes' colours, with a legend below.

use datasets::ade20k;
use font8x8::{BASIC_FONTS, UnicodeFonts};
use image::{GrayImage, Rgb, RgbImage};

/// Side of a letter in the font.
const LETTER: u32 = 8;
/// Letters that the longest class name and its share take, and the square before them.
const ENTRY_LETTERS: u32 = 30;
/// Classes told at most; the rest is told as one.
const MOST: usize = 24;
const BACKGROUND: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([20, 20, 20]);

/// The photo with its classes' colours over it, half and half, and below it every class with its colour, its name and its share
/// of the pixels, the largest first. The picture is as wide as the photo, or as the legend if that is wider.
#[must_use]
pub fn overlay(photo: &RgbImage, map: &GrayImage) -> RgbImage {
    let entries = entries(map);
    // Letters grow with the photo, so that they are read at a glance of the whole.
    let scale = (photo.width() / 640).clamp(1, 6);
    let (entry_width, line) = (ENTRY_LETTERS * LETTER * scale, (LETTER + 4) * scale);
    let columns = (photo.width() / entry_width).clamp(1, 4);
    let rows = (entries.len() as u32).div_ceil(columns);
    let width = photo.width().max(columns * entry_width);
    let mut drawn = RgbImage::from_pixel(width, photo.height() + rows * line + 4 * scale, BACKGROUND);
    for (x, y, pixel) in photo.enumerate_pixels() {
        let colour = ade20k::colour(map.get_pixel(x, y)[0]);
        drawn.put_pixel(x, y, Rgb(std::array::from_fn(|c| pixel[c].midpoint(colour[c]))));
    }
    for (index, entry) in (0_u32..).zip(&entries) {
        // Down the columns, as lists are read.
        let left = index / rows * entry_width + 2 * scale;
        let top = photo.height() + index % rows * line + 4 * scale;
        if let Some(class) = entry.class {
            square(
                &mut drawn,
                (left, top),
                LETTER * scale,
                Rgb(ade20k::colour(class)),
            );
        }
        write(&mut drawn, (left + (LETTER + 4) * scale, top), scale, &entry.text);
    }
    drawn
}

struct Entry {
    class: Option<u8>,
    text: String,
}

fn entries(map: &GrayImage) -> Vec<Entry> {
    let mut counts = [0_u64; 256];
    map.as_raw()
        .iter()
        .for_each(|class| counts[usize::from(*class)] += 1);
    let mut present: Vec<(u8, u64)> = (0..=u8::MAX)
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .collect();
    present.sort_by_key(|(class, count)| (std::cmp::Reverse(*count), *class));
    let share = |count: u64| {
        let percent = count as f64 * 100.0 / map.as_raw().len().max(1) as f64;
        if percent < 0.1 {
            "<0.1%".to_owned()
        } else {
            format!("{percent:.1}%")
        }
    };
    let mut entries: Vec<Entry> = present
        .iter()
        .take(MOST)
        .map(|(class, count)| Entry {
            class: Some(*class),
            text: format!("{} {}", ade20k::name(*class).unwrap_or("unknown"), share(*count)),
        })
        .collect();
    if present.len() > MOST {
        let rest = &present[MOST..];
        let count = rest.iter().map(|(_, count)| count).sum();
        entries.push(Entry {
            class: None,
            text: format!("{} more {}", rest.len(), share(count)),
        });
    }
    entries
}

fn square(drawn: &mut RgbImage, (left, top): (u32, u32), side: u32, colour: Rgb<u8>) {
    for y in top..(top + side).min(drawn.height()) {
        for x in left..(left + side).min(drawn.width()) {
            drawn.put_pixel(x, y, colour);
        }
    }
}

fn write(drawn: &mut RgbImage, (left, top): (u32, u32), scale: u32, text: &str) {
    for (index, letter) in (0_u32..).zip(text.chars()) {
        let Some(glyph) = BASIC_FONTS.get(letter) else {
            continue;
        };
        for (row, bits) in (0_u32..).zip(glyph) {
            for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                let corner = (left + (index * LETTER + column) * scale, top + row * scale);
                square(drawn, corner, scale, INK);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_photo_is_tinted_and_every_class_has_its_colour_in_the_legend() {
        let photo = RgbImage::from_pixel(300, 100, Rgb([100, 100, 100]));
        let map = GrayImage::from_fn(300, 100, |x, _| image::Luma([if x < 200 { 2 } else { 6 }]));
        let drawn = overlay(&photo, &map);
        assert!(drawn.width() == 300 && drawn.height() > 120);
        let tinted = |class: u8| Rgb(ade20k::colour(class).map(|c| 100_u8.midpoint(c)));
        assert_eq!(*drawn.get_pixel(10, 10), tinted(2));
        assert_eq!(*drawn.get_pixel(250, 10), tinted(6));
        for class in [2, 6] {
            let found = drawn
                .enumerate_pixels()
                .filter(|(_, y, p)| *y >= 100 && p.0 == ade20k::colour(class))
                .count();
            assert_eq!(found, 64, "{}", ade20k::NAMES[usize::from(class)]);
        }
        assert!(
            drawn.enumerate_pixels().any(|(_, y, p)| y >= 100 && *p == INK),
            "there is writing"
        );
    }

    #[test]
    fn small_photos_and_many_classes_have_room() {
        let photo = RgbImage::new(3, 50);
        let map = GrayImage::from_fn(3, 50, |x, y| image::Luma([(x + 3 * y) as u8]));
        let drawn = overlay(&photo, &map);
        assert!(drawn.width() >= 240);
        let texts: Vec<String> = entries(&map).into_iter().map(|entry| entry.text).collect();
        assert_eq!(texts.len(), MOST + 1);
        assert!(texts[MOST].starts_with("126 more"), "{}", texts[MOST]);
    }
}
