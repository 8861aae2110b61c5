//! New migrations are part of the program: build it again when one appears.

fn main() {
    println!("cargo::rerun-if-changed=../migrations/postgres");
    println!("cargo::rerun-if-changed=../migrations/sqlite");
}
