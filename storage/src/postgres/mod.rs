//! The catalog of a team: one Postgres database, shared by any number of machines.
//!
//! Statements are checked against the schema when they are compiled, with the descriptions in `storage/.sqlx`
//! (docs/decisions/0021). Writers that change releases take turns; a reader sees a switch whole or not at all. What fails for a
//! passing reason is repeated for some seconds where that cannot do a thing twice.

mod analytics;
mod api_keys;
mod attempt;
mod audit;
mod config;
mod error;
mod gallery;
mod hold;
mod listen;
mod load;
mod migrate;
mod months;
mod prediction_row;
mod predictions;
mod releases;
mod retention;
mod row;
mod store;
mod truths;

pub use config::PostgresConfig;
pub use migrate::PostgresMigration;
pub use store::PostgresCatalog;
