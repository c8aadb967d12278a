//! What the agent is started with: argv, environment, working folder, standard input.

use serde_json::json;

use crate::support::agent::{Call, FakeAgent};
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::new_key;

/// The arguments of a turn, up to and without the prompt.
fn expected_argv<'a>(model: &'a str, conversation: &'a str, session: &'a str) -> Vec<&'a str> {
    vec![
        "-p",
        "--agent",
        "breakglass",
        "--dangerously-skip-permissions",
        "--output-format",
        "stream-json",
        "--verbose",
        "--model",
        model,
        conversation,
        session,
    ]
}

#[tokio::test]
async fn argv_is_the_seeds_and_the_prompt_cannot_be_an_option() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    let first = "--help; $(reboot) `x` \"q\"\n'two' lines";
    let events = scene.viewer.turn(&scene.session, first).await;
    scene.viewer.turn(&scene.session, "- item").await;
    let model = events[0].text("model");
    let mut expected = expected_argv(model, "--session-id", &scene.session);
    expected.extend(["--", first]);
    assert_eq!(agent.call(1).await.argv, expected);
    let mut expected = expected_argv(model, "--resume", &scene.session);
    expected.extend(["--", "- item"]);
    assert_eq!(agent.call(2).await.argv, expected);
}

#[tokio::test]
async fn the_model_is_the_prompts_or_else_the_sessions() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    let created = scene.viewer.request(json!({"type": "create", "agent": "claude", "model": "model-a"})).await;
    let session = created["session"].as_str().expect("`session` is a text").to_owned();
    scene.viewer.attach(&session, 0).await;
    let of_session = scene.viewer.turn(&session, "one").await;
    let request = json!({"type": "prompt", "session": session, "text": "two", "key": new_key(), "model": "model-b"});
    let accepted = scene.viewer.request(request).await;
    scene.viewer.turn_end(&session, accepted["turn"].as_str().expect("`turn` is a text")).await;
    let of_prompt = scene.viewer.events_of(&session, accepted["turn"].as_str().expect("`turn` is a text"));
    assert_eq!((of_session[0].text("model"), of_prompt[0].text("model")), ("model-a", "model-b"));
    let models: Vec<Option<String>> =
        agent.calls().iter().map(|call| call.option("--model").map(str::to_owned)).collect();
    assert_eq!(models, [Some("model-a".to_owned()), Some("model-b".to_owned())]);
}

#[tokio::test]
async fn the_environment_is_the_gateways_without_its_own_settings_and_stdin_is_closed_off() {
    let agent = FakeAgent::polite();
    let settings =
        Gateway::builder().agent(&agent).env("ANTHROPIC_API_KEY", "sk-test").env("BREAKGLASS_X_SECRET", "no");
    // An unknown setting may be warned about; it must not get through, and must not stop anything.
    let mut scene = Scene::start(settings, "claude").await;
    scene.viewer.turn(&scene.session, "hello").await;
    let call = agent.call(1).await;
    assert_eq!(call.variable("ANTHROPIC_API_KEY"), Some("sk-test"));
    assert!(call.variable("HOME").is_some_and(|home| home.ends_with("/home")), "{:?}", call.env);
    let own: Vec<&String> = call.env.iter().filter(|one| one.starts_with("BREAKGLASS_")).collect();
    assert!(own.is_empty(), "{own:?}");
    assert!(!call.env.iter().any(|one| one.contains(scene.gateway.token())), "the token is in {:?}", call.env);
    assert_eq!((call.stdin_is.as_str(), call.stdin.as_str()), ("/dev/null", ""));
}

#[tokio::test]
async fn each_session_has_a_workspace_of_its_own_that_stays() {
    let agent = FakeAgent::shell("init; echo mark >> mark; result \"$(wc -l < mark)\"");
    let mut scene = Scene::with(&agent).await;
    scene.viewer.turn(&scene.session, "one").await;
    let second = scene.viewer.turn(&scene.session, "two").await;
    assert_eq!(second.iter().find(|event| event.kind() == "result").expect("a result").text("result"), "2");
    let other = scene.viewer.open_session("claude").await;
    scene.viewer.turn(&other, "three").await;
    let folders: Vec<_> = agent.calls().into_iter().map(|call: Call| call.cwd).collect();
    assert!(folders[0].ends_with(&scene.session) && folders[0].starts_with(scene.gateway.data()), "{folders:?}");
    assert_eq!(folders[0], folders[1]);
    assert!(folders[2].ends_with(&other), "{folders:?}");
}

#[tokio::test]
async fn a_prompt_too_long_for_argv_goes_over_stdin_whole() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    // Linux allows 128 KiB with the closing NUL for one argument; the last one is the protocol's limit.
    for (number, bytes) in [(1, 131_071), (2, 131_072), (3, 262_144)] {
        let prompt = format!("é{}", "x".repeat(bytes - 2));
        let events = scene.viewer.turn(&scene.session, &prompt).await;
        assert_eq!(
            (events[0].text("text") == prompt, events.last().map(|end| end.text("outcome"))),
            (true, Some("ok"))
        );
        let call = agent.call(number).await;
        if bytes < 131_072 {
            assert!(call.argv.last() == Some(&prompt) && call.stdin.is_empty(), "{bytes} bytes are not in argv");
        } else {
            assert!(!call.argv.contains(&"--".to_owned()), "{:?}", call.argv);
            assert!(call.stdin == prompt, "{bytes} bytes came as {} over stdin", call.stdin.len());
        }
    }
    let refused = scene.viewer.prompt_as(&scene.session, &"x".repeat(262_145), &new_key()).await;
    assert_eq!(refused["code"], "too_large", "{refused}");
}

#[tokio::test]
async fn a_slash_is_text_for_the_model_and_not_a_command() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "/clear").await;
    assert_eq!(events[0].text("text"), "/clear");
    let argument = agent.call(1).await.argv.pop().expect("the prompt");
    // Only a slash as the very first character makes a command (claude-cli.md section 4).
    assert_eq!((argument.trim_start(), argument.starts_with('/')), ("/clear", false));
    let long = format!("/compact {}", "x".repeat(140_000));
    scene.viewer.turn(&scene.session, &long).await;
    let stdin = agent.call(2).await.stdin;
    assert!(stdin.trim_start() == long && !stdin.starts_with('/'), "{}", &stdin[..20]);
}
