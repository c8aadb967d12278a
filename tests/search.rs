//! Search: found is what is in the log, whoever asks, whatever is typed, whatever became of the index.

mod find;
mod index;
mod reference;
mod terminal;

use std::time::Duration;

use serde_json::Value;

use crate::support::http::Http;
use crate::support::wait::within;

/// How often the index is looked at while it catches up.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Percent-encodes everything but letters and digits.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Waits until everything that is in the log now can be found.
async fn settled(http: &Http) {
    let mut again = tokio::time::interval(LOOK_EVERY);
    within("the index to catch up", async {
        loop {
            again.tick().await;
            let answer = http.get("/api/search?q=zzzz&limit=1").await;
            if answer.status == 200 && answer.json()["behind"] == 0 {
                return;
            }
        }
    })
    .await;
}

/// All pages of a search; each hit's seq with its session.
async fn all(http: &Http, query: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = http.get(&format!("/api/search?{query}{cursor}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let page = answer.json();
        found.extend(hits(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn hits(page: &Value) -> Vec<(String, u64)> {
    let hits = page["hits"].as_array().map_or(&[][..], Vec::as_slice);
    let place =
        |hit: &Value| (hit["session"].as_str().unwrap_or_default().to_owned(), hit["seq"].as_u64().unwrap_or(0));
    hits.iter().map(place).collect()
}
