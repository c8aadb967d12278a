//! What is masked, and that nothing else is.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn masks() -> Masks {
    Masks::new(&["hunter2-and-more".to_owned(), "hunter2".to_owned(), "päßwörd.*".to_owned()]).unwrap()
}

fn masked(text: &str) -> (String, u64) {
    let mut text = text.to_owned();
    let count = masks().text(&mut text);
    (text, count)
}

/// Texts that hold one secret each: what stands before it, the secret, what stands behind. Made here from parts, so that no
/// scanner takes this file for a leak.
fn secrets() -> Vec<(&'static str, String, &'static str)> {
    let body = |count: usize| "Ab3".repeat(count / 3 + 1)[..count].to_owned();
    let key = format!("-----BEGIN RSA {0} KEY-----\nMIIE{1}\n{1}==\n-----END RSA {0} KEY-----", "PRIVATE", body(60));
    let cut_key = format!("-----BEGIN {} KEY-----\\nMIIE{}", "PRIVATE", body(60));
    vec![
        ("key:\n", key, "\n# end"),
        ("", cut_key, ""),
        ("link #token=", format!("bg_{}", "0a".repeat(29)), " !"),
        ("id=", format!("AKIA{}", "A1B2C3D4".repeat(2)), ";"),
        ("aws_secret_access_key = ", body(40), "\n"),
        ("{\"AWS_SESSION_TOKEN\": \"", body(90), "\"}"),
        ("x ", format!("AIza{}", body(35)), " y"),
        ("", format!("ghp_{}", body(36)), "."),
        ("", format!("github_pat_{}", body(40)), "\""),
        ("", format!("glpat-{}", body(20)), ""),
        ("", format!("xoxb-{}", "1234567890-abc"), ""),
        ("", format!("sk_live_{}", body(24)), ""),
        ("ANTHROPIC_API_KEY=", format!("sk-ant-{}", body(40)), "\n"),
        ("", format!("eyJ{0}.eyJ{0}.{0}", body(20)), ""),
        ("Authorization: Bearer ", body(32), "\r\n"),
        ("authorization: Basic ", "dXNlcjpwYXNz".to_owned(), ""),
        ("postgres://app:", "s3cr:t!".to_owned(), "@db.example/x"),
        ("https://:", "pw".to_owned(), "@h/"),
        ("my ", "hunter2-and-more".to_owned(), " ok"),
        ("my ", "hunter2".to_owned(), "-and"),
        ("is ", "päßwörd.*".to_owned(), "x"),
    ]
}

#[test]
fn secrets_go_and_what_stands_around_them_stays() {
    for (before, secret, behind) in secrets() {
        let (text, count) = masked(&format!("{before}{secret}{behind}"));
        assert_eq!((text, count), (format!("{before}{MASK}{behind}"), 1), "{before}…{behind}");
    }
}

#[test]
fn what_only_resembles_a_secret_stays() {
    for text in [
        "the bearer of bad news",
        "Bearer token",
        "risk-based-authentication-flow-and-more",
        "task-force-one-two-three-four-five",
        "http://localhost:8080/path",
        "https://example.org/a:b@c",
        "git@github.com:owner/repo.git",
        "ssh://host:22/x",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "AKIA is a prefix",
        "aws_secret_access_key is not set",
        "päßwörd",
        "12:30 user@host",
    ] {
        assert_eq!(masked(text), (text.to_owned(), 0));
    }
}

#[test]
fn values_deep_in_a_tools_input_are_masked_and_counted() {
    let input = json!({"command": "curl -u x:hunter2 y", "env": [{"A": "hunter2"}, 7, null, true], "n": 1.0});
    let mut body = Body::Tool { name: json!("Bash"), input };
    assert_eq!(masks().apply(&mut body), 2);
    let expected = json!({"command": "curl -u x:[masked] y", "env": [{"A": "[masked]"}, 7, null, true], "n": 1.0});
    assert_eq!(body, Body::Tool { name: json!("Bash"), input: expected });
    let mut prompt = Body::User { text: "use hunter2".into(), by: "a".into(), model: "m".into() };
    let before = prompt.clone();
    assert_eq!((masks().apply(&mut prompt), prompt), (0, before));
}

#[test]
fn switched_off_it_does_nothing_and_short_values_are_refused_without_being_said() {
    let mut text = format!("ghp_{}", "a".repeat(36));
    assert_eq!(Masks::none().text(&mut text), 0);
    let error = Masks::new(&["long enough".to_owned(), "abc".to_owned()]).unwrap_err();
    assert_eq!(error, MaskError::TooShort { place: 2 });
    assert!(!error.to_string().contains("abc"));
}

/// What masking costs, for docs/security.md: `cargo test --lib mask -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn the_cost_of_a_mebibyte() {
    let cases = [
        ("a service's log", "2026-11-21T03:14:15Z host app[123]: GET /api/items?id=7 200 12ms user=ana\n"),
        ("many addresses", "http://host.example:8080/path?a=b "),
        ("hostile: beginnings of everything", "bearer eyJ sk- ghp_ AKIA x://y:z -----BEGIN A PRIVATE KEY----- "),
        ("one run of letters", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("not ASCII", "größenänderung des dateisystems übersprungen – ünïcödé\n"),
        ("all secrets", "token=ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "),
    ];
    let masks = masks();
    for (name, unit) in cases {
        let text = unit.repeat((1 << 20) / unit.len());
        let mut masked = text.clone();
        let begun = std::time::Instant::now();
        let count = masks.text(&mut masked);
        println!("{name}: {:.1} ms a MiB, {count} masked", begun.elapsed().as_secs_f64() * 1_000.0);
    }
}

proptest! {
    #[test]
    fn a_text_without_a_secret_is_not_changed(text in r"[ -9<-@G-Zg-z\n]{0,200}") {
        // No letters of a-f and no colon: none of the shapes can be in it.
        prop_assert_eq!(masked(&text), (text, 0));
    }

    #[test]
    fn it_is_total_and_masking_twice_is_masking_once(text in any::<String>(), index in 0usize..21, at in any::<prop::sample::Index>()) {
        let (before, secret, behind) = secrets().swap_remove(index);
        let mut cut = at.index(text.len() + 1);
        while !text.is_char_boundary(cut) { cut -= 1; }
        let (head, tail) = text.split_at(cut);
        // A space keeps the surroundings from becoming a part of the secret.
        let (once, count) = masked(&format!("{head} {before}{secret}{behind} {tail}"));
        prop_assert!(count >= 1 && !once.contains(&secret), "{once}");
        prop_assert_eq!(masked(&once), (once.clone(), 0));
    }

    #[test]
    fn around_the_secrets_every_byte_stays(words in prop::collection::vec(r"[g-z ]{0,12}", 1..6), picks in prop::collection::vec(0usize..21, 5)) {
        let secrets = secrets();
        let (mut text, mut expected, mut count) = (String::new(), String::new(), 0);
        for (word, pick) in words.iter().zip(&picks) {
            let (before, secret, behind) = &secrets[*pick];
            if secret.contains("KEY-----") { continue; }
            text += &format!("{word} \n{before}{secret}{behind} ");
            expected += &format!("{word} \n{before}{MASK}{behind} ");
            count += 1;
        }
        prop_assert_eq!(masked(&text), (expected, count));
    }
}
