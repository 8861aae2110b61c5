//! The `geosurge` command.
fn main() {}
