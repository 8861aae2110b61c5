//! Raster tiles that an operator puts over the map's own offline base map.

use axum::http::Uri;

use crate::{Error, Result};

/// An address of raster tiles, checked, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiles {
    url: String,
    origin: Option<String>,
    attribution: String,
}

impl Tiles {
    /// Tiles at `url`, which has `{z}`, `{x}` and `{y}` in its path and is either of this service's own host (`/tiles/{z}/{x}/{y}.png`)
    /// or http(s). `attribution` is shown on the map.
    ///
    /// # Errors
    /// [`Error::Setting`] for an address that is neither, or lacks one of the three.
    pub fn new(url: &str, attribution: &str) -> Result<Self> {
        let refused = |expected| Error::Setting {
            setting: "tiles",
            value: url.to_owned(),
            expected,
        };
        if ["{z}", "{x}", "{y}"].iter().any(|part| !url.contains(part)) {
            return Err(refused("an address with {z}, {x} and {y}"));
        }
        let filled = url.replace("{z}", "0").replace("{x}", "0").replace("{y}", "0");
        let parsed: Uri = filled.parse().map_err(|_| refused("a URL"))?;
        let origin = match (parsed.scheme_str(), parsed.authority()) {
            (None, None) if url.starts_with('/') => None,
            (Some(scheme @ ("http" | "https")), Some(authority)) if !authority.as_str().contains('@') => {
                let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next());
                if host.is_none_or(|host| host.contains('{')) {
                    return Err(refused("an address without placeholders in its host"));
                }
                Some(format!("{scheme}://{authority}"))
            }
            _ => {
                return Err(refused(
                    "an address that begins with https://, http:// or /, without a user",
                ));
            }
        };
        // What goes into a header of every answer has to be plain.
        if origin.as_deref().is_some_and(|origin| !plain(origin)) {
            return Err(refused(
                "an address whose host has letters, digits, - and . alone",
            ));
        }
        Ok(Self {
            url: url.to_owned(),
            origin,
            attribution: attribution.to_owned(),
        })
    }

    /// The address with its placeholders.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Scheme and host, as a content security policy names them; none for this service's own host.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whose the tiles are.
    pub fn attribution(&self) -> &str {
        &self.attribution
    }
}

fn plain(origin: &str) -> bool {
    origin
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || "-.:/[]".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_for_the_policy() {
        let tiles = Tiles::new(
            "https://tiles.example.org:8443/a/{z}/{x}/{y}.png?key=1",
            "Example",
        )
        .unwrap();
        assert_eq!(tiles.origin(), Some("https://tiles.example.org:8443"));
        assert_eq!(tiles.attribution(), "Example");
        assert_eq!(Tiles::new("/tiles/{z}/{x}/{y}.png", "").unwrap().origin(), None);
    }

    #[test]
    fn what_is_no_address_of_tiles_is_refused() {
        for url in [
            "https://tiles.example.org/{z}/{x}.png",
            "ftp://tiles.example.org/{z}/{x}/{y}.png",
            "tiles/{z}/{x}/{y}.png",
            "https://{z}.example.org/{x}/{y}.png",
            "https://user@example.org/{z}/{x}/{y}.png",
            "https://a;script-src *.example.org/{z}/{x}/{y}",
        ] {
            assert!(Tiles::new(url, "").is_err(), "{url}");
        }
    }
}
