//! Pixels with their classes, and the shapes that are painted on them.

use image::{GrayImage, RgbImage};

use crate::colour::Rgb;

/// Canvas pixels along each side of a pixel of the photograph.
pub(crate) const OVERSAMPLING: usize = 2;

/// A colour and the ADE20K class of what has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ink {
    pub(crate) rgb: Rgb,
    pub(crate) class: u8,
}

impl Ink {
    pub(crate) fn new(rgb: Rgb, class: u8) -> Self {
        Self { rgb, class }
    }
}

/// A square picture at twice the photograph's resolution.
pub(crate) struct Canvas {
    pub(crate) side: usize,
    rgb: Vec<[u8; 3]>,
    class: Vec<u8>,
}

impl Canvas {
    /// For a photograph of `size` x `size` pixels.
    pub(crate) fn new(size: u32) -> Self {
        let side = size as usize * OVERSAMPLING;
        Self {
            side,
            rgb: vec![[0; 3]; side * side],
            class: vec![0; side * side],
        }
    }

    pub(crate) fn put(&mut self, x: usize, y: usize, ink: Ink) {
        let at = y * self.side + x;
        self.rgb[at] = ink.rgb.map(|c| c as u8);
        self.class[at] = ink.class;
    }

    /// The whole pixels from `low` to `high` that are on the canvas.
    pub(crate) fn span(&self, low: f32, high: f32) -> std::ops::Range<usize> {
        let side = self.side as f32;
        let from = (low + 0.5).clamp(0.0, side) as usize;
        let to = (high + 0.5).clamp(0.0, side) as usize;
        from..to.max(from)
    }

    fn fill(&mut self, y: usize, xs: std::ops::Range<usize>, ink: Ink) {
        let row = y * self.side;
        self.rgb[row + xs.start..row + xs.end].fill(ink.rgb.map(|c| c as u8));
        self.class[row + xs.start..row + xs.end].fill(ink.class);
    }

    pub(crate) fn rectangle(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, ink: Ink) {
        let xs = self.span(x0, x1);
        for y in self.span(y0, y1) {
            self.fill(y, xs.clone(), ink);
        }
    }

    pub(crate) fn ellipse(&mut self, cx: f32, cy: f32, rx: f32, ry: f32, ink: Ink) {
        for y in self.span(cy - ry, cy + ry) {
            let t = (y as f32 + 0.5 - cy) / ry;
            let half = rx * (1.0 - t * t).max(0.0).sqrt();
            let xs = self.span(cx - half, cx + half);
            self.fill(y, xs, ink);
        }
    }

    /// Mixes a soft-edged ellipse into the colours; classes stay.
    pub(crate) fn glow(&mut self, cx: f32, cy: f32, rx: f32, ry: f32, rgb: Rgb, opacity: f32) {
        for y in self.span(cy - ry, cy + ry) {
            let ty = (y as f32 + 0.5 - cy) / ry;
            for x in self.span(cx - rx, cx + rx) {
                let tx = (x as f32 + 0.5 - cx) / rx;
                let inside = 1.0 - tx * tx - ty * ty;
                if inside > 0.0 {
                    let share = opacity * (inside * 2.0).min(1.0);
                    let pixel = &mut self.rgb[y * self.side + x];
                    for (p, c) in pixel.iter_mut().zip(rgb) {
                        let old = f32::from(*p);
                        *p = (old + (c - old) * share) as u8;
                    }
                }
            }
        }
    }

    /// Any simple polygon of up to 16 corners.
    pub(crate) fn polygon(&mut self, corners: &[(f32, f32)], ink: Ink) {
        let low = corners.iter().map(|c| c.1).fold(f32::MAX, f32::min);
        let high = corners.iter().map(|c| c.1).fold(f32::MIN, f32::max);
        for y in self.span(low, high) {
            let line = y as f32 + 0.5;
            let mut crossings = [0.0f32; 16];
            let mut n = 0;
            for (i, &(x0, y0)) in corners.iter().enumerate() {
                let (x1, y1) = corners[(i + 1) % corners.len()];
                if (y0 <= line) != (y1 <= line) && n < crossings.len() {
                    crossings[n] = x0 + (line - y0) / (y1 - y0) * (x1 - x0);
                    n += 1;
                }
            }
            crossings[..n].sort_by(f32::total_cmp);
            for pair in crossings[..n].chunks_exact(2) {
                let xs = self.span(pair[0], pair[1]);
                self.fill(y, xs, ink);
            }
        }
    }

    /// The photograph: each pixel is the mean of its canvas pixels, seen through `develop(x, y, mean)`.
    pub(crate) fn photograph(&self, develop: impl Fn(u32, u32, Rgb) -> Rgb) -> RgbImage {
        let size = (self.side / OVERSAMPLING) as u32;
        RgbImage::from_fn(size, size, |x, y| {
            let mut sum = [0u16; 3];
            for dy in 0..OVERSAMPLING {
                let start = (y as usize * OVERSAMPLING + dy) * self.side + x as usize * OVERSAMPLING;
                for pixel in &self.rgb[start..start + OVERSAMPLING] {
                    for (s, &p) in sum.iter_mut().zip(pixel) {
                        *s += u16::from(p);
                    }
                }
            }
            let area = (OVERSAMPLING * OVERSAMPLING) as f32;
            let mean = sum.map(|s| f32::from(s) / area);
            image::Rgb(develop(x, y, mean).map(|c| (c + 0.5) as u8))
        })
    }

    /// The class of every pixel of the photograph: that of its upper left canvas pixel.
    pub(crate) fn segmentation(&self) -> GrayImage {
        let size = (self.side / OVERSAMPLING) as u32;
        GrayImage::from_fn(size, size, |x, y| {
            let at = y as usize * OVERSAMPLING * self.side + x as usize * OVERSAMPLING;
            image::Luma([self.class[at]])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(canvas: &Canvas) -> usize {
        canvas.class.iter().filter(|&&c| c == 7).count()
    }

    #[test]
    fn shapes_cover_their_area() {
        let ink = Ink::new([9.0, 8.0, 7.0], 7);
        let mut canvas = Canvas::new(50);
        canvas.rectangle(10.0, 20.0, 30.0, 25.0, ink);
        assert_eq!(area(&canvas), 100);
        let mut canvas = Canvas::new(50);
        canvas.ellipse(50.0, 50.0, 30.0, 20.0, ink);
        let expected = std::f32::consts::PI * 600.0;
        assert!((area(&canvas) as f32 - expected).abs() < 0.02 * expected);
        let mut canvas = Canvas::new(50);
        canvas.polygon(&[(10.0, 10.0), (70.0, 10.0), (10.0, 90.0)], ink);
        assert!((area(&canvas) as f32 - 2400.0).abs() < 60.0);
    }

    #[test]
    fn shapes_outside_the_canvas_are_cut() {
        let ink = Ink::new([1.0; 3], 7);
        let mut canvas = Canvas::new(20);
        canvas.rectangle(-1e9, -50.0, 1e9, 5.0, ink);
        canvas.ellipse(-500.0, 900.0, 1.0, 1.0, ink);
        canvas.polygon(&[(-90.0, -9.0), (-80.0, 500.0), (-99.0, 3.0)], ink);
        assert_eq!(area(&canvas), 40 * 5);
    }
}
