//! The `breakglass` program.
#![expect(clippy::print_stdout, reason = "what a subcommand prints is its product")]

fn main() {
    let schema = serde_json::to_string_pretty(&breakglass::protocol::schema::schema()).unwrap_or_default();
    println!("{schema}");
}
