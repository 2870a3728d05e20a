//! The `turnstone` program.

fn main() {}
