//! `breakglass prompt`: one turn, asked for once however the network behaves, and shown to its end.

use std::io::{IsTerminal, Read};
use std::time::Duration;

use clap::Args;

use super::remote::{EXIT_DATA, find_session};
use super::screen::Ink;
use super::view::View;
use super::{EXIT_USAGE, Failure};
use crate::client::{Cursor, Follow, Gateway, Incoming, Link, News, Seen};
use crate::config::{ClientConfig, ClientSettings};
use crate::ids::{Epoch, PromptKey, Seq, SessionId, TurnId};
use crate::protocol::PROMPT_BYTES_MAX;
use crate::protocol::client::{Create, Prompt, Request};
use crate::protocol::event::{Body, Outcome};
use crate::protocol::server::{Accepted, Frame};

/// The turn ended as `ok`: 0. It failed, or nobody knows:
const EXIT_FAILED: u8 = 1;
/// Somebody stopped it.
const EXIT_CANCELLED: u8 = 2;
/// It took too long: the status of `timeout`.
const EXIT_TIMEOUT: u8 = 124;
/// Left by Ctrl-C: what a shell says of a program that SIGINT ended.
const EXIT_LEFT: u8 = 130;
/// Ctrl-C waits so long for a stdout that takes nothing.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(
    override_usage = "breakglass prompt [OPTIONS] SESSION [TEXT]...\n       breakglass prompt [OPTIONS] --new [TEXT]...",
    after_help = "Exit status: 0 the turn ended `ok`; 1 `error` or `lost`, or the prompt could not be sent; 2 `cancelled`; \
                  124 `timeout`; 130 left with Ctrl-C, which never stops the turn; others as for every command: 64 bad usage or \
                  setting, 65 the prompt is refused, 66 no such session, 69 no gateway answers, 75 a turn runs already, \
                  77 not allowed."
)]
pub(super) struct PromptArgs {
    /// Which session (its id, the beginning of its id, or `last`), then the prompt; without a prompt, or with `-`, the prompt
    /// is read from stdin
    #[arg(value_name = "SESSION TEXT")]
    words: Vec<String>,
    /// Make a session first; all words are the prompt
    #[arg(long)]
    new: bool,
    /// With --new: what people call the session [default: the beginning of the prompt]
    #[arg(long, requires = "new")]
    title: Option<String>,
    /// With --new: which agent, `claude` or `drill`
    #[arg(long, requires = "new", value_name = "NAME")]
    agent: Option<String>,
    /// The model, if not the session's
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Do not wait for the turn: print its id alone on a line (with --json, the gateway's answer)
    #[arg(long)]
    no_follow: bool,
    /// Print the turn's records verbatim, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientSettings,
}

pub(super) async fn prompt(mut args: PromptArgs) -> Result<u8, Failure> {
    let config = args.client.check()?;
    let named = match (args.new, args.words.is_empty()) {
        (true, _) => None,
        (false, false) => Some(args.words.remove(0)),
        (false, true) => return Err(Failure::new(EXIT_USAGE, "which session? give its id, `last`, or --new")),
    };
    let text = text(&args.words)?;
    let mut view = if args.json { View::of_records(config.colours) } else { View::for_people(config.colours) };
    let session = match named {
        Some(named) => find_session(&config.gateway, &named).await?,
        None => {
            let session = create(&config.gateway, &args).await?;
            view.screen.say(Ink::Dim, &format!("new session {session}")).await?;
            session
        }
    };
    let request = Prompt { session, text, key: PromptKey::random(), model: args.model };
    run(config, view, request, args.no_follow.then_some(NoFollow { json: args.json })).await
}

/// The answer is printed, and nothing else.
struct NoFollow {
    json: bool,
}

async fn run(config: ClientConfig, mut view: View, prompt: Prompt, no_follow: Option<NoFollow>) -> Result<u8, Failure> {
    let session = prompt.session;
    let mut link = Link::new(config.gateway);
    let asked = tokio::select! {
        asked = ask(&mut link, &mut view, prompt) => asked?,
        _ = tokio::signal::ctrl_c() => {
            let text = format!("left; it may be that the prompt was accepted: `breakglass attach {session}` shows it");
            return Ok(leave(&mut view, &text).await);
        }
    };
    let Asked { accepted, epoch } = asked;
    if let Some(NoFollow { json }) = no_follow {
        let answer =
            if json { serde_json::to_string(&accepted).unwrap_or_default() } else { accepted.turn.to_string() };
        view.screen.put(&[&answer, "\n"]).await?;
        view.screen.flush().await?;
        return Ok(0);
    }
    let cursor = Cursor::behind(session, epoch, Seq(accepted.seq.0.saturating_sub(1)));
    let mut follow = Follow::new(link, cursor);
    let followed = tokio::select! {
        followed = to_the_end(&mut follow, &mut view, accepted.turn) => Some(followed?),
        _ = tokio::signal::ctrl_c() => None,
    };
    if let Some(outcome) = followed {
        return Ok(status(outcome));
    }
    let text = format!("left; the turn goes on in {session}: `breakglass attach` shows it, `breakglass stop` stops it");
    Ok(leave(&mut view, &text).await)
}

/// Last words, which nothing may hold up: whoever reads stdout may have stopped reading.
async fn leave(view: &mut View, text: &str) -> u8 {
    let _unsaid = tokio::time::timeout(LEAVE_TIMEOUT, view.screen.say(Ink::Notable, text)).await;
    EXIT_LEFT
}

fn status(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Error | Outcome::Lost => EXIT_FAILED,
        Outcome::Cancelled => EXIT_CANCELLED,
        Outcome::Timeout => EXIT_TIMEOUT,
    }
}

struct Asked {
    accepted: Accepted,
    /// The log that it was accepted into.
    epoch: Epoch,
}

/// Sends the prompt until it is accepted or refused. Its key makes sending it again harmless, as long as the log is the same.
async fn ask(link: &mut Link, view: &mut View, prompt: Prompt) -> Result<Asked, Failure> {
    let session = prompt.session;
    let request = Request::Prompt(prompt);
    let mut sent_to: Option<Epoch> = None;
    let mut awaited = None;
    loop {
        match link.next().await? {
            News::Opened(hello) => {
                view.back().await?;
                if sent_to.is_some_and(|epoch| epoch != hello.epoch) {
                    return Err(restored(session));
                }
                let (text, id) = link.prepare(&request);
                if text.len() > hello.limits.max_frame {
                    let (bytes, max) = (text.len(), hello.limits.max_frame);
                    let message = format!("the prompt takes {bytes} bytes as JSON; the gateway reads {max} at most");
                    return Err(Failure::new(EXIT_DATA, message));
                }
                link.send(text);
                (sent_to, awaited) = (Some(hello.epoch), Some(id));
            }
            News::Lost(lost) => view.lost(&lost).await?,
            News::Frame(Incoming::Reply(reply)) if reply.id.is_some() && reply.id == awaited => match reply.frame {
                Frame::Accepted(accepted) => {
                    let epoch = sent_to.ok_or_else(|| restored(session))?;
                    return Ok(Asked { accepted, epoch });
                }
                Frame::Error(error) => return Err(crate::client::GatewayError::Refused(Box::new(error)).into()),
                _ => {}
            },
            News::Frame(_) => {}
        }
    }
}

/// Sending the prompt again might run it twice, and what became of it cannot be known here.
fn restored(session: SessionId) -> Failure {
    let text = "the gateway's log was restored from a backup meanwhile, and whether the prompt is in it is not known";
    Failure::new(EXIT_FAILED, format!("{text}; `breakglass attach {session}` shows what is there"))
}

async fn to_the_end(follow: &mut Follow, view: &mut View, turn: TurnId) -> Result<Outcome, Failure> {
    loop {
        match view.next(follow).await? {
            Seen::Event(event) if event.turn() == turn => {
                view.event(&event).await?;
                if let Some(Body::TurnEnd(end)) = event.record().map(|record| record.body) {
                    view.screen.flush().await?;
                    return Ok(end.outcome);
                }
            }
            Seen::Anew => return Err(restored(follow.cursor().session())),
            Seen::Event(_) | Seen::Attached(_) | Seen::CaughtUp | Seen::Lost(_) | Seen::Reply(_) => {}
        }
    }
}

async fn create(gateway: &Gateway, args: &PromptArgs) -> Result<SessionId, Failure> {
    let session = Some(SessionId::random());
    let create = Create { session, title: args.title.clone(), agent: args.agent.clone(), model: args.model.clone() };
    Ok(gateway.create(&create).await?.session)
}

fn text(words: &[String]) -> Result<String, Failure> {
    let usage = |message: &str| Failure::new(EXIT_USAGE, message);
    let text = match words {
        [] if std::io::stdin().is_terminal() => {
            return Err(usage("what shall the agent do? give the prompt behind the session, or pipe it into stdin"));
        }
        [] => from_stdin()?,
        [dash] if dash == "-" => from_stdin()?,
        words => words.join(" "),
    };
    if text.trim().is_empty() {
        return Err(usage("the prompt is empty; say what the agent shall do"));
    }
    if text.len() > PROMPT_BYTES_MAX {
        let message = format!(
            "the prompt is longer than {PROMPT_BYTES_MAX} bytes; put what is long into a file that the agent can read"
        );
        return Err(Failure::new(EXIT_DATA, message));
    }
    Ok(text)
}

fn from_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // One more than fits, so that what does not fit is seen.
    let read = std::io::stdin().take(PROMPT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(1, format!("cannot read the prompt from stdin: {error}")))?;
    if bytes.len() > PROMPT_BYTES_MAX {
        // A character may be cut at the end; the caller refuses it for its length.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::new(EXIT_DATA, "the prompt on stdin is not UTF-8 text"))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}
