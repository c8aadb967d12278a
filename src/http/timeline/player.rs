//! What makes the HTML file play the history back: one style sheet, one script, and a policy that allows that script by its
//! hash and nothing else. Without scripts the file is a page to read.

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("player.js");

/// What stands before the title: nothing comes from a network, and the policy says so to the browser.
pub(super) fn head() -> String {
    let hash = BASE64.encode(&Sha256::digest(SCRIPT));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{hash}'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{CSS}</style>"
    )
}

/// What stands behind the events: the player, which only the script shows.
pub(super) fn foot() -> String {
    format!("{CONTROLS}<script>{SCRIPT}</script></html>\n")
}

const CONTROLS: &str = "<nav id=\"player\" aria-label=\"Play back\" hidden>\
    <div id=\"track\"><div id=\"marks\" aria-hidden=\"true\"></div>\
    <input id=\"when\" type=\"range\" min=\"0\" aria-label=\"Time, with pauses cut to 2 seconds\"></div>\
    <button id=\"play\" title=\"Space\">Play</button>\
    <select id=\"speed\" aria-label=\"Speed\"><option value=\"1\">1×<option value=\"4\">4×<option value=\"16\">16×</select>\
    <button id=\"command-before\" title=\"C\">◀ command</button><button id=\"command\" title=\"c\">command ▶</button>\
    <button id=\"error-before\" title=\"E\">◀ error</button><button id=\"error\" title=\"e\">error ▶</button>\
    <button id=\"all\" title=\"a\">Show all</button> <output id=\"shown\"></output></nav>";
