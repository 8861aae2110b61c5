//! The checked-in schema is the one that is served.
#![allow(clippy::unwrap_used, reason = "tests")]

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
fn every_field_and_argument_of_ours_is_described() {
    let sdl = geosurge_api::sdl();
    let mut described = false;
    for line in sdl.lines() {
        let text = line.trim();
        if text.starts_with("\"\"\"") || text.ends_with("\"\"\"") {
            described = true;
        } else if line.starts_with("\t")
            && text.contains(':')
            && !line.starts_with("\t\t")
            && !text.starts_with('"')
        {
            assert!(described || text.contains('('), "not described: {text}");
            described = false;
        } else if text.is_empty() || text == "}" {
            described = false;
        }
    }
}
