//! Countries by code and by name.

use crate::continent;

/// The code of a country that is named by its code or, in English, by its name; letters of either case.
///
/// # Example
/// ```
/// assert_eq!(geosurge_places::country_code("fr"), Some("FR"));
/// assert_eq!(geosurge_places::country_code("United Kingdom"), Some("GB"));
/// assert_eq!(geosurge_places::country_code("Atlantis"), None);
/// ```
pub fn country_code(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let by_code = countries()
        .map(|(code, _)| code)
        .find(|code| code.eq_ignore_ascii_case(text));
    by_code.or_else(|| country_emoji::code(text).filter(|code| continent::of(code).is_some()))
}

/// Every country with its code and its usual English name, continent by continent.
pub fn countries() -> impl Iterator<Item = (&'static str, &'static str)> {
    continent::CONTINENTS
        .iter()
        .flat_map(|(_, codes)| codes.split_ascii_whitespace())
        .filter_map(|code| Some((code, country_emoji::code_to_name(code)?)))
}
