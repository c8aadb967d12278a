//! A mock of the Messages API on loopback, scripted by directives in the prompt (see `mock_script`).
//!
//! It keeps every request, so that a test can ask what the model saw, and answers from the request alone; the only state
//! is how often a scripted error was given and which gates are open.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::mock_script::{self, Directive};
use super::wait::{background, within};

/// One request as the mock got it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `METHOD /path?query`.
    pub(crate) line: String,
    /// Its JSON body, null when it had none.
    pub(crate) body: Value,
}

impl Request {
    /// The texts of all messages of one role, in order.
    pub(crate) fn texts(&self, role: &str) -> Vec<String> {
        let messages = self.body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        messages.iter().filter(|message| message["role"] == role).flat_map(mock_script::texts).collect()
    }

    /// The prompt that this request answers.
    pub(crate) fn prompt(&self) -> String {
        mock_script::position(self.body["messages"].as_array().map_or(&[], Vec::as_slice)).prompt
    }
}

#[derive(Default)]
struct Shared {
    requests: watch::Sender<Vec<Request>>,
    open_gates: watch::Sender<HashSet<String>>,
    errors_given: Mutex<HashMap<String, u32>>,
    next_id: AtomicU64,
}

/// The running mock; ends when dropped.
pub(crate) struct MockApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: AbortOnDropHandle<()>,
}

impl MockApi {
    /// Listens on a free port of loopback.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared::default());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = background(async move {
            axum::serve(listener, app).await.expect("the mock serves until it is dropped");
        });
        Self { address, shared, _server: server }
    }

    /// What `ANTHROPIC_BASE_URL` is to be.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// The requests that answered a prompt which contains `needle`.
    pub(crate) fn requests_for(&self, needle: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.prompt().contains(needle)).collect()
    }

    /// Waits until the model was asked to answer a prompt which contains `needle`.
    pub(crate) async fn asked(&self, needle: &str) {
        let mut requests = self.shared.requests.subscribe();
        let seen = requests.wait_for(|all| all.iter().any(|request| request.prompt().contains(needle)));
        within(&format!("the model to be asked `{needle}`"), seen).await.expect("the mock lives");
    }

    /// Lets `[[gate:NAME]]` answer, now and later.
    pub(crate) fn open(&self, gate: &str) {
        self.shared.open_gates.send_modify(|open| {
            open.insert(gate.to_owned());
        });
    }
}

async fn answer(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    shared.requests.send_modify(|all| all.push(Request { line: format!("{method} {uri}"), body: body.clone() }));
    match (method, uri.path()) {
        (Method::HEAD, "/") => StatusCode::OK.into_response(),
        (Method::POST, "/v1/messages/count_tokens") => json_response(StatusCode::OK, &json!({"input_tokens": 10})),
        (Method::POST, "/v1/messages") => message(&shared, &body).await,
        _ => refusal(404),
    }
}

async fn message(shared: &Shared, request: &Value) -> Response {
    let position = mock_script::position(request["messages"].as_array().map_or(&[], Vec::as_slice));
    let directives = mock_script::round(&position.prompt, position.round);
    for directive in &directives {
        match directive {
            Directive::Hang => std::future::pending().await,
            Directive::Gate(name) => {
                let mut open = shared.open_gates.subscribe();
                open.wait_for(|open| open.contains(name)).await.expect("the mock lives");
            }
            Directive::Error(status, times) => {
                let mut given = shared.errors_given.lock().expect("no test panics while it holds this");
                let given = given.entry(position.prompt.clone()).or_default();
                if times.is_none_or(|times| *given < times) {
                    *given += 1;
                    return refusal(*status);
                }
            }
            Directive::Text(_) | Directive::Bash(_) | Directive::Background(_) => {}
        }
    }
    let id = format!("mock{:06}", shared.next_id.fetch_add(1, Ordering::Relaxed));
    let (content, stop) = mock_script::content(&directives, &id);
    let model = request["model"].as_str().unwrap_or("mock");
    if request["stream"] == true { streamed(&id, model, &content, stop) } else { whole(&id, model, &content, stop) }
}

fn whole(id: &str, model: &str, content: &[Value], stop: &str) -> Response {
    let message = json!({
        "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5},
    });
    json_response(StatusCode::OK, &message)
}

/// Server-sent events as the API streams them: each block opened empty, filled by one delta, closed.
fn streamed(id: &str, model: &str, content: &[Value], stop: &str) -> Response {
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": format!("msg_{id}"), "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1},
    }})];
    for (index, block) in content.iter().enumerate() {
        let mut opened = block.clone();
        let delta = if block["type"] == "text" {
            opened["text"] = json!("");
            json!({"type": "text_delta", "text": block["text"]})
        } else {
            opened["input"] = json!({});
            json!({"type": "input_json_delta", "partial_json": block["input"].to_string()})
        };
        events.push(json!({"type": "content_block_start", "index": index, "content_block": opened}));
        events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let delta = json!({"stop_reason": stop, "stop_sequence": null});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}}));
    events.push(json!({"type": "message_stop"}));
    let lines: String = events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
        .collect();
    ([(header::CONTENT_TYPE, "text/event-stream")], lines).into_response()
}

fn refusal(status: u16) -> Response {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let body = json!({"type": "error", "error": {"type": kind, "message": format!("mock {status}")}});
    json_response(StatusCode::from_u16(status).expect("[[error:STATUS]] takes a status"), &body)
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
