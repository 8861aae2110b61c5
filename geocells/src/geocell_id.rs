//! The checked id of an S2 cell.

use std::fmt;
use std::str::FromStr;

use s2::cell::Cell;
use s2::cellid::CellID;
use serde::{Deserialize, Serialize};

use crate::leaf_id::leaf_id;
use crate::{EARTH_RADIUS_KM, Error, LatLng, Result};

/// The deepest S2 level; its cells are about a square centimetre.
pub const MAX_S2_LEVEL: u8 = 30;

/// The id of an S2 cell, always a valid one. Ordered along the Hilbert curve, serialised as its token.
///
/// The library's own id type accepts NaN, impossible latitudes and impossible levels in silence; this one cannot hold them.
/// (S2 levels, 0 to 30, are depths of the S2 tree; the levels of a [`Hierarchy`](crate::Hierarchy) are granularities.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GeocellId(u64);

impl GeocellId {
    /// The leaf cell (S2 level 30) that contains `place`.
    pub fn leaf(place: LatLng) -> Self {
        Self(leaf_id(place.unit_vector()))
    }

    /// The cell of S2 level `s2_level` that contains `place`.
    ///
    /// # Errors
    /// [`Error::InvalidS2Level`] beyond [`MAX_S2_LEVEL`].
    pub fn containing(place: LatLng, s2_level: u8) -> Result<Self> {
        Self::leaf(place)
            .parent(s2_level)
            .ok_or(Error::InvalidS2Level { s2_level })
    }

    /// The six cells of S2 level 0, in id order.
    pub fn faces() -> [Self; 6] {
        std::array::from_fn(|face| Self(CellID::from_face(face as u64).0))
    }

    /// Every cell of S2 level `s2_level`, in id order: `6 * 4^s2_level` of them.
    pub(crate) fn all_at(s2_level: u8) -> impl Iterator<Item = Self> {
        let lsb = lsb_at(s2_level);
        let step = u128::from(lsb) << 1;
        let count = 6 * 4_u64.pow(u32::from(s2_level));
        // The product stays under 6 * 2^61 and so fits.
        (0..count).map(move |i| Self((u128::from(i) * step) as u64 + lsb))
    }

    /// Reads a token: one to sixteen hexadecimal digits, trailing zeros left off.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] when `token` names no S2 cell.
    pub fn from_token(token: &str) -> Result<Self> {
        let invalid = || Error::InvalidToken {
            token: token.chars().take(40).collect(),
        };
        let is_hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if token.is_empty() || token.len() > 16 || !is_hex {
            return Err(invalid());
        }
        let digits = u64::from_str_radix(token, 16).map_err(|_| invalid())?;
        Self::from_u64(digits << (4 * (16 - token.len()))).map_err(|_| invalid())
    }

    /// The token: the id's hexadecimal digits without its trailing zeros (`hex_id` in the field's CSV files).
    pub fn token(self) -> String {
        CellID(self.0).to_token()
    }

    /// Checks a raw 64-bit S2 id.
    ///
    /// # Errors
    /// [`Error::InvalidId`] when no S2 cell has this id.
    pub fn from_u64(id: u64) -> Result<Self> {
        if CellID(id).is_valid() {
            Ok(Self(id))
        } else {
            Err(Error::InvalidId { id })
        }
    }

    /// The raw 64-bit S2 id.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Depth in the S2 tree, 0 (a face of the cube) to [`MAX_S2_LEVEL`].
    pub const fn s2_level(self) -> u8 {
        MAX_S2_LEVEL - (self.0.trailing_zeros() >> 1) as u8
    }

    /// The face of the cube that the cell lies on, 0 to 5.
    pub const fn face(self) -> u8 {
        (self.0 >> 61) as u8
    }

    /// The cell of S2 level `s2_level` that contains this one (itself at its own level); `None` when that is deeper.
    pub fn parent(self, s2_level: u8) -> Option<Self> {
        (s2_level <= self.s2_level()).then(|| Self(CellID(self.0).parent(u64::from(s2_level)).0))
    }

    /// The four cells one S2 level deeper, in id order; `None` for a leaf.
    pub fn children(self) -> Option<[Self; 4]> {
        (self.s2_level() < MAX_S2_LEVEL).then(|| CellID(self.0).children().map(|child| Self(child.0)))
    }

    /// Whether `place` lies in this cell. A place on an edge lies in exactly one of the cells that meet there.
    pub fn contains_point(self, place: LatLng) -> bool {
        self.contains_id(Self::leaf(place))
    }

    /// Whether `other` is this cell or lies inside it.
    pub const fn contains_id(self, other: Self) -> bool {
        let (first, last) = self.range();
        first <= other.0 && other.0 <= last
    }

    /// The first leaf inside this cell.
    pub const fn range_min(self) -> Self {
        Self(self.range().0)
    }

    /// The last leaf inside this cell.
    pub const fn range_max(self) -> Self {
        Self(self.range().1)
    }

    /// First and last leaf inside the cell, as raw ids; any descendant's id lies between them.
    pub(crate) const fn range(self) -> (u64, u64) {
        let half = (self.0 & self.0.wrapping_neg()) - 1;
        (self.0 - half, self.0 + half)
    }

    /// The centre of the cell.
    pub fn center(self) -> LatLng {
        LatLng::from_s2_point(s2::point::Point::from(CellID(self.0)))
    }

    /// The four corners, counter-clockwise seen from above. Edges between them are great circles.
    pub fn vertices(self) -> [LatLng; 4] {
        Cell::from(CellID(self.0)).vertices().map(LatLng::from_s2_point)
    }

    /// Approximate area in square kilometres (within 3 % at S2 levels 0 and 1, 0.1 % deeper).
    pub fn area_km2(self) -> f64 {
        Cell::from(CellID(self.0)).approx_area() * EARTH_RADIUS_KM * EARTH_RADIUS_KM
    }
}

const fn lsb_at(s2_level: u8) -> u64 {
    1 << (2 * (MAX_S2_LEVEL - s2_level))
}

impl fmt::Display for GeocellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.token())
    }
}

impl fmt::Debug for GeocellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GeocellId({})", self.token())
    }
}

impl FromStr for GeocellId {
    type Err = Error;

    fn from_str(token: &str) -> Result<Self> {
        Self::from_token(token)
    }
}

impl TryFrom<String> for GeocellId {
    type Error = Error;

    fn try_from(token: String) -> Result<Self> {
        Self::from_token(&token)
    }
}

impl From<GeocellId> for String {
    fn from(id: GeocellId) -> Self {
        id.token()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn refuses_tokens_that_name_no_cell() {
        // No digits, not hexadecimal, a sign, too long, zero, two low bits, faces 6 and 7.
        let too_long = "1".repeat(17);
        for bad in ["", "X", "+1", "0x1", " 1", "0", "89c3", "d8", "f", "é", &too_long] {
            let rejected = GeocellId::from_token(bad);
            assert_eq!(rejected.is_ok(), bad == "89c3", "{bad:?} gave {rejected:?}");
        }
        assert!(GeocellId::from_u64(0).is_err());
        assert!(GeocellId::from_u64(2).is_err());
        assert!(GeocellId::from_u64(u64::MAX).is_err());
    }

    #[test]
    fn impossible_levels_give_nothing() {
        let place = LatLng::new(48.85, 2.35).unwrap();
        let leaf = GeocellId::leaf(place);
        assert_eq!(leaf.s2_level(), MAX_S2_LEVEL);
        assert!(leaf.children().is_none());
        assert!(leaf.parent(31).is_none());
        assert!(GeocellId::containing(place, 31).is_err());
        let face = leaf.parent(0).unwrap();
        assert!(face.parent(1).is_none());
        assert!(face.contains_id(leaf) && !leaf.contains_id(face));
        assert_eq!(GeocellId::faces()[usize::from(face.face())], face);
    }

    #[test]
    fn every_cell_of_a_level_is_listed_in_order() {
        for s2_level in 0..=3 {
            let cells: Vec<_> = GeocellId::all_at(s2_level).collect();
            assert_eq!(cells.len(), 6 * 4_usize.pow(u32::from(s2_level)));
            assert!(
                cells
                    .windows(2)
                    .all(|pair| pair[0].range().1 + 2 == pair[1].range().0)
            );
            assert!(
                cells
                    .iter()
                    .all(|id| id.s2_level() == s2_level && GeocellId::from_u64(id.as_u64()).is_ok())
            );
            let area: f64 = cells.iter().map(|id| id.area_km2()).sum();
            let sphere = 4.0 * std::f64::consts::PI * EARTH_RADIUS_KM * EARTH_RADIUS_KM;
            assert!(
                (area / sphere - 1.0).abs() < 0.03,
                "{s2_level}: {area} of {sphere}"
            );
        }
    }

    #[test]
    fn json_is_the_token() {
        let id = GeocellId::from_token("89C25").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"89c25\"");
        assert_eq!(serde_json::from_str::<GeocellId>("\"89c25\"").unwrap(), id);
        assert!(serde_json::from_str::<GeocellId>("\"xyz\"").is_err());
        assert_eq!(format!("{id} {id:?}"), "89c25 GeocellId(89c25)");
    }
}
