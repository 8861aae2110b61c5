//! New migrations are part of the program: build it again when one appears.

#[expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed=../migrations/sqlite");
}
