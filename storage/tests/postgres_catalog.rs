//! The Postgres catalog passes the conformance suite. The server is `GEOSURGE_TEST_POSTGRES_URL`, or the one of this machine.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::Database;

geosurge_storage::catalog_conformance!(if Database::migrated().await);
