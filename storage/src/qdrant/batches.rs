//! Writes in pieces that one message and the server's log can hold.

use std::collections::HashSet;

use super::payload;
use crate::Point;

/// Bytes of one message; a point that is larger goes alone.
const BYTES: usize = 8 << 20;

/// Ids named in one message.
pub(super) const IDS: usize = 2000;

/// Searches in one message.
pub(super) const SEARCHES: usize = 64;

/// About how many bytes a point takes in a message.
fn size(point: &Point) -> usize {
    let vectors = point
        .vectors
        .iter()
        .map(|(name, values)| 32 + name.len() + 4 * values.len());
    let payload = point
        .payload
        .iter()
        .map(|(field, value)| 16 + field.len() + payload::size(value));
    64 + vectors.sum::<usize>() + payload.sum::<usize>()
}

/// Splits points, in their order, into pieces of at most [`BYTES`].
pub(super) fn split(points: &[Point]) -> Vec<&[Point]> {
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, point) in points.iter().enumerate() {
        let size = size(point);
        if at > start && bytes + size > BYTES {
            pieces.push(&points[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < points.len() {
        pieces.push(&points[start..]);
    }
    pieces
}

/// Leaves the last of several points of one id.
pub(super) fn keep_last(points: Vec<Point>) -> Vec<Point> {
    let mut seen = HashSet::with_capacity(points.len());
    let mut kept: Vec<Point> = points
        .into_iter()
        .rev()
        .filter(|point| seen.insert(point.id))
        .collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn point(id: u64, dimension: usize) -> Point {
        Point::new(id, [("v", vec![0.0; dimension])])
    }

    #[test]
    fn pieces_hold_every_point_once_in_order() {
        assert!(split(&[]).is_empty());
        let small: Vec<Point> = (0..2500).map(|id| point(id, 768)).collect();
        let pieces = split(&small);
        assert_eq!(pieces.len(), 1);
        let large: Vec<Point> = (0..10).map(|id| point(id, 1 << 19)).collect();
        let mut mixed = small;
        mixed.splice(5..5, large);
        let pieces = split(&mixed);
        assert!(pieces.len() >= 3);
        for piece in &pieces {
            assert!(piece.len() == 1 || piece.iter().map(size).sum::<usize>() <= BYTES);
        }
        assert_eq!(pieces.concat(), mixed);
        assert_eq!(split(&[point(1, 4 << 20)]).len(), 1);
    }

    #[test]
    fn the_last_of_a_batch_wins() {
        let mut points = vec![point(1, 1), point(2, 1), point(1, 2)];
        points.push(point(3, 1));
        let kept: Vec<(crate::PointId, usize)> = keep_last(points)
            .iter()
            .map(|point| (point.id, point.vectors["v"].len()))
            .collect();
        assert_eq!(kept, [(2.into(), 1), (1.into(), 2), (3.into(), 1)]);
    }
}
