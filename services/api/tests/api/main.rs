//! The service as clients see it. One program: each test program would link the vector engine again, which takes half a minute.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

mod candidates;
mod clients;
mod explore;
mod fuzz;
mod keys;
mod operations;
mod options;
mod schema;
mod server;
mod service;
mod store_calls;
mod subscriptions;
mod switching;
