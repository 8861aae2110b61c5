//! Line charts as SVG.

use std::ops::Range;

use plotters::prelude::*;

use super::curves::Curve;
use crate::{Error, Result};

/// Colours that stay apart for most kinds of colour vision (Okabe and Ito).
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(70, 70, 70),
];

const SIZE: (u32, u32) = (560, 320);

/// A named line.
pub(super) struct Series<'a> {
    pub(super) name: String,
    pub(super) points: &'a Curve,
}

/// What a chart's axes are.
pub(super) struct Axes<'a> {
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    /// The ranges, where the data should not decide them.
    pub(super) x_range: Option<Range<f64>>,
    pub(super) y_range: Option<Range<f64>>,
    /// Whether to draw the diagonal of a calibration diagram.
    pub(super) diagonal: bool,
}

impl Default for Axes<'_> {
    fn default() -> Self {
        Self {
            x: "step",
            y: "",
            x_range: None,
            y_range: None,
            diagonal: false,
        }
    }
}

/// Draws lines with points; `None` when there is no point at all.
///
/// # Errors
/// The drawing's.
pub(super) fn lines(series: &[Series<'_>], axes: &Axes<'_>) -> Result<Option<String>> {
    if series.iter().all(|series| series.points.is_empty()) {
        return Ok(None);
    }
    let mut svg = String::new();
    draw(&mut svg, series, axes).map_err(|e| Error::Config(format!("a chart cannot be drawn: {e}")))?;
    Ok(Some(svg))
}

fn draw(
    svg: &mut String,
    series: &[Series<'_>],
    axes: &Axes<'_>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let all = || series.iter().flat_map(|series| series.points.iter().copied());
    let x = axes.x_range.clone().unwrap_or_else(|| range(all().map(|p| p.0)));
    let y = axes.y_range.clone().unwrap_or_else(|| range(all().map(|p| p.1)));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(120, 120, 120))
        .label_style(("sans-serif", 12))
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_labels(6)
        .y_labels(6)
        .draw()?;
    if axes.diagonal {
        let ends = [(x.start, x.start), (x.end, x.end)];
        chart.draw_series(LineSeries::new(ends, RGBColor(150, 150, 150)))?;
    }
    for (k, line) in series.iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let style = colour.stroke_width(2);
        let drawn = chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
        if series.len() > 1 {
            drawn
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        // A curve of many points needs no dots.
        if line.points.len() <= 40 {
            let dot = |point: &(f64, f64)| Circle::new(*point, 3, colour.filled());
            chart.draw_series(line.points.iter().map(dot))?;
        }
    }
    if series.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .label_font(("sans-serif", 12))
            .draw()?;
    }
    root.present()?;
    Ok(())
}

/// A range that holds the values with a little room.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| {
        (least.min(v), most.max(v))
    });
    let room = ((most - least) * 0.05).max(most.abs() * 1e-3).max(1e-9);
    least - room..most + room
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_chart_has_its_lines_names_and_axes() {
        let (a, b) = (vec![(0.0, 1.0), (10.0, 0.5)], vec![(5.0, 0.7)]);
        let series = [("first", &a), ("second", &b)].map(|(name, points)| Series {
            name: name.to_owned(),
            points,
        });
        let axes = Axes {
            y: "loss",
            ..Axes::default()
        };
        let svg = lines(&series, &axes).unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["first", "second", "loss", "step"] {
            assert!(svg.contains(text), "{text}");
        }
        let none = Vec::new();
        let empty = [Series {
            name: String::new(),
            points: &none,
        }];
        assert_eq!(lines(&empty, &Axes::default()).unwrap(), None);
    }
}
