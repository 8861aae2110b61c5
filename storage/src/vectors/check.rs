//! What every backend refuses before it stores or searches.

use crate::{CollectionSpec, Error, Point, PointId, Result};

/// The next id in the order of ids.
pub(crate) fn successor(id: PointId) -> Option<PointId> {
    match id {
        PointId::Number(u64::MAX) => Some(PointId::Uuid(uuid::Uuid::nil())),
        PointId::Number(number) => Some(PointId::Number(number + 1)),
        PointId::Uuid(id) => id
            .as_u128()
            .checked_add(1)
            .map(|id| PointId::Uuid(uuid::Uuid::from_u128(id))),
    }
}

/// Checks that every point has every vector of the specification, whole and finite, and no other.
pub(crate) fn check_points(spec: &CollectionSpec, points: &[Point]) -> Result<()> {
    for point in points {
        for vector in &spec.vectors {
            let values = point.vectors.get(&vector.name).ok_or_else(|| {
                Error::Invalid(format!("point {} lacks the vector {:?}", point.id, vector.name))
            })?;
            check_vector(
                &format!("point {}", point.id),
                &vector.name,
                vector.dimension,
                values,
            )?;
        }
        if let Some(unknown) = point.vectors.keys().find(|name| spec.vector(name).is_none()) {
            return Err(Error::Invalid(format!(
                "point {} has a vector {unknown:?} that the collection has not",
                point.id
            )));
        }
    }
    Ok(())
}

/// Checks a vector of a point or a query.
pub(crate) fn check_vector(whose: &str, name: &str, dimension: usize, values: &[f32]) -> Result<()> {
    if values.len() != dimension {
        return Err(Error::Invalid(format!(
            "the vector {name:?} of {whose} has {} components, the collection {dimension}",
            values.len()
        )));
    }
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::Invalid(format!(
            "the vector {name:?} of {whose} is not finite: component {at} is {}",
            values[at]
        )));
    }
    Ok(())
}
