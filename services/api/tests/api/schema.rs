//! The checked-in schema is the one that is served.

use std::path::Path;

#[test]
fn the_checked_in_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.graphql");
    let sdl = geosurge_api::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs_err::write(&path, &sdl).unwrap();
    }
    let checked_in = fs_err::read_to_string(&path).unwrap();
    assert_eq!(
        checked_in, sdl,
        "the schema changed: look at the change as a client would, then run this test with UPDATE_SCHEMA=1"
    );
}

#[test]
fn every_field_is_described() {
    let sdl = geosurge_api::sdl();
    let (mut described, mut of_ours) = (false, false);
    let mut fields = 0;
    for line in sdl.lines() {
        let text = line.trim();
        if line.ends_with('{') {
            of_ours = ["type ", "input "].iter().any(|kind| line.starts_with(kind));
            described = false;
        } else if text.ends_with("\"\"\"") {
            described = true;
        } else if of_ours && line.starts_with('\t') && !line.starts_with("\t\t") && is_field(text) {
            assert!(described, "not described: {text}");
            (described, fields) = (false, fields + 1);
        }
    }
    assert!(fields > 80, "only {fields} fields were seen");
}

/// `name: Type` or `name(argument: Type, ...): Type`.
fn is_field(text: &str) -> bool {
    let name = text.split([':', '(']).next().unwrap_or_default();
    text.contains(':') && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
