//! The checked-in schema is the one that the types give: clients generate their own types from it.

use std::process::Command;

#[test]
fn the_schema_in_docs_is_the_programs_own() {
    let printed = Command::new(env!("CARGO_BIN_EXE_breakglass")).arg("schema").output().expect("the program runs");
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).expect("UTF-8");
    let kept = include_str!("../docs/protocol.schema.json");
    assert!(
        printed == kept,
        "the wire's types changed: `breakglass schema > docs/protocol.schema.json`, then `npm run types` in web"
    );
}
