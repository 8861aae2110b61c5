//! Who asks, and what that permits.

use std::sync::Arc;

use geocells::{EARTH_RADIUS_KM, GeocellId, LatLng, MAX_S2_LEVEL};
use storage::{ApiKey, PlaceName, Scope};

use crate::request_error::{Code, RequestError};

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// What it may do.
    pub(crate) scope: Scope,
    /// Its key; none where the service asks for none.
    pub(crate) key: Option<Arc<ApiKey>>,
    /// The finest S2 level that it may see; none for all.
    coarsest: Option<u8>,
}

impl Caller {
    /// A caller without a key.
    pub(crate) const fn keyless(scope: Scope) -> Self {
        Self {
            scope,
            key: None,
            coarsest: None,
        }
    }

    /// The holder of a key.
    pub(crate) fn holder(key: Arc<ApiKey>) -> Self {
        Self {
            scope: key.scope,
            coarsest: key.coarsen_km.map(s2_level_of),
            key: Some(key),
        }
    }

    /// Refuses what the caller may not do.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), RequestError> {
        if self.scope >= scope {
            return Ok(());
        }
        let message = match &self.key {
            Some(key) => format!(
                "this needs the scope {scope}, and the API key {:?} has {}; use a key with a wider scope",
                key.name, self.scope
            ),
            None => format!(
                "this needs the scope {scope}, which callers from other machines have by an API key alone; start the service with --keys"
            ),
        };
        Err(RequestError::new(Code::Forbidden, message))
    }

    /// How the audit log and records name the caller.
    pub(crate) fn name(&self) -> Option<&str> {
        self.key.as_ref().map(|key| key.name.as_str())
    }

    /// The cell as the caller may see it: itself, or the one around it that is as coarse as its key says.
    pub(crate) fn cell(&self, cell: GeocellId) -> GeocellId {
        match self.coarsest {
            Some(level) if cell.s2_level() > level => cell.parent(level).unwrap_or(cell),
            _ => cell,
        }
    }

    /// The place as the caller may see it: the centre of a cell as large as its key says.
    pub(crate) fn place(&self, place: LatLng) -> LatLng {
        match self.coarsest {
            Some(level) => GeocellId::containing(place, level).map_or(place, GeocellId::center),
            None => place,
        }
    }

    /// The name as the caller may see it: without what is finer than its key permits.
    pub(crate) fn name_of(&self, name: PlaceName) -> PlaceName {
        let Some(km) = self.key.as_ref().and_then(|key| key.coarsen_km) else {
            return name;
        };
        PlaceName {
            locality: name.locality.filter(|_| km <= places::LOCALITY_KM),
            region: name.region.filter(|_| km <= places::REGION_KM),
            ..name
        }
    }

    /// Whether coordinates are given coarsely.
    pub(crate) fn is_coarse(&self) -> bool {
        self.coarsest.is_some()
    }
}

/// The finest S2 level whose cells are at least so wide, on average.
fn s2_level_of(km: f64) -> u8 {
    let surface = 4.0 * std::f64::consts::PI * EARTH_RADIUS_KM * EARTH_RADIUS_KM;
    let width = |level: u8| (surface / (6.0 * 4_f64.powi(i32::from(level)))).sqrt();
    (0..=MAX_S2_LEVEL)
        .rev()
        .find(|level| width(*level) >= km)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(coarsen_km: Option<f64>, scope: Scope) -> Caller {
        let mut key = ApiKey::new("someone", "a".repeat(64), scope);
        key.coarsen_km = coarsen_km;
        Caller::holder(Arc::new(key))
    }

    #[test]
    fn coarse_callers_see_no_finer_place() {
        let paris = LatLng::new(48.8584, 2.2945).unwrap();
        let exact = with(None, Scope::Reader);
        assert_eq!(exact.place(paris), paris);
        for km in [1.0, 25.0, 200.0] {
            let caller = with(Some(km), Scope::Reader);
            let seen = caller.place(paris);
            assert_ne!(seen, paris);
            // Within the diagonal of a cell at most twice as wide as asked, and the same for every place of that cell.
            assert!(
                seen.distance(paris).get() < 2.5 * km,
                "{km}: {}",
                seen.distance(paris)
            );
            let cell = caller.cell(GeocellId::leaf(paris));
            assert!(cell.area_km2().sqrt() >= 0.7 * km, "{km}: {}", cell.area_km2());
            assert_eq!(caller.cell(cell), cell);
            assert!(cell.contains_point(seen));
        }
        let name = PlaceName {
            continent: "Europe".into(),
            country_code: "FR".into(),
            country: "France".into(),
            region: Some("Ile-de-France".into()),
            locality: Some("Paris".into()),
        };
        let seen = with(Some(50.0), Scope::Reader).name_of(name.clone());
        assert_eq!(
            (seen.locality, seen.region.as_deref()),
            (None, Some("Ile-de-France"))
        );
        assert_eq!(with(Some(500.0), Scope::Reader).name_of(name).region, None);
    }

    #[test]
    fn scopes_include_the_narrower_ones() {
        let analyst = with(None, Scope::Analyst);
        assert!(analyst.require(Scope::Reader).is_ok() && analyst.require(Scope::Analyst).is_ok());
        let refused = analyst.require(Scope::Admin).unwrap_err();
        assert_eq!(refused.code, Code::Forbidden);
        assert!(refused.message.contains("admin") && refused.message.contains("someone"));
    }
}
