//! Cursors and page sizes of connections.

use async_graphql::OutputType;
use async_graphql::connection::{Connection, Edge};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::request_error::RequestError;

/// Items of a page when the client does not say.
pub(super) const DEFAULT_PAGE: i32 = 50;
/// Most items of a page.
pub(super) const MAX_PAGE: i32 = 500;

/// A page of a list, as Relay clients expect it.
pub(super) type Page<T> = Connection<String, T>;

/// A page of `first` items, from a list that holds one more where there is one. `before` tells whether items came before.
pub(super) fn page<T: OutputType>(
    items: Vec<T>,
    first: usize,
    before: bool,
    cursor: impl Fn(usize, &T) -> String,
) -> Page<T> {
    let mut page = Page::new(before, items.len() > first);
    let edges = items.into_iter().take(first).enumerate();
    page.edges
        .extend(edges.map(|(index, node)| Edge::new(cursor(index, &node), node)));
    page
}

/// Checks a page size.
pub(super) fn page_size(first: i32) -> Result<usize, RequestError> {
    match usize::try_from(first) {
        Ok(size) if (1..=MAX_PAGE).contains(&first) => Ok(size),
        _ => Err(RequestError::invalid(format!(
            "first is {first}, but must lie between 1 and {MAX_PAGE}"
        ))),
    }
}

/// Complexity of a page: what one item costs, times the items. Bounded, so that nested pages cannot overflow a sum.
pub(super) fn page_complexity(first: i32, of_one: usize) -> usize {
    /// Far above any limit.
    const HIGHEST: usize = 1_000_000_000;
    let items = usize::try_from(first.clamp(1, MAX_PAGE)).unwrap_or(1);
    of_one.saturating_mul(items).min(HIGHEST)
}

/// An opaque cursor: its kind keeps one list's cursor out of another list.
pub(super) fn encode(kind: &str, position: impl std::fmt::Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("{kind}:{position}"))
}

/// The position in a cursor.
pub(super) fn decode<P: std::str::FromStr>(
    kind: &str,
    cursor: Option<String>,
) -> Result<Option<P>, RequestError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let position = URL_SAFE_NO_PAD
        .decode(&cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix(kind)?.strip_prefix(':')?.parse().ok());
    match position {
        Some(position) => Ok(Some(position)),
        None => Err(RequestError::invalid(
            "after is not a cursor of this list; take endCursor of its last page",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_belong_to_one_list() {
        let cursor = encode("geocell", 17);
        assert_eq!(
            decode::<usize>("geocell", Some(cursor.clone())).unwrap(),
            Some(17)
        );
        assert!(decode::<usize>("prediction", Some(cursor)).is_err());
        assert!(decode::<usize>("geocell", Some("!!".to_owned())).is_err());
        assert_eq!(decode::<usize>("geocell", None).unwrap(), None);
    }

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!(page_size(1).unwrap(), 1);
        assert_eq!(page_size(MAX_PAGE).unwrap(), 500);
        for bad in [0, -1, MAX_PAGE + 1, i32::MAX] {
            assert!(page_size(bad).unwrap_err().message.contains("between 1 and 500"));
        }
    }
}
