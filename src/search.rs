//! Search through all sessions: an index beside the log, never in its way.
//!
//! Invariant: a hit is in the log as it is now. The index, in a file of its own, only says where to look; each hit is read from the log and
//! checked before it is shown, so what was redacted or is gone is never found, whatever the index still holds. The
//! indexing thread follows the log behind its commits, with a connection that only reads; the log's writer knows nothing of it. Nothing runs while nothing is written. Knows nothing of HTTP.

mod index;
mod indexer;
mod query;
mod text;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::db::OpenError;
use crate::hub::Hub;
use crate::ids::{Epoch, SessionId};
use crate::log::{Feed, Shown};
use crate::protocol::search::{Hit, SearchAnswer};
use crate::tasks::Tasks;

use index::Candidate;
pub use index::discard;
use indexer::Alarm;
pub use query::{Asked, BadQuery, Query};

/// Searches at the same time: more than the cores gain nothing.
const SEARCHES_MAX: usize = 2;
/// A search that takes longer gives what it has, or gives up.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Where the log and the index are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The log.
    pub log: PathBuf,
    /// The index.
    pub index: PathBuf,
}

/// A handle to the search. Clones are handles to the same one.
#[derive(Clone)]
pub struct Search {
    places: Arc<Places>,
    alarm: Alarm,
    permits: Arc<Semaphore>,
}

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There is no such session.
    #[error("there is no session `{0}`")]
    NoSession(SessionId),
    /// It took too long, and nothing had been found.
    #[error("nothing was found in {} s, and not all was looked through: name a session, or a shorter time", TIME_MAX.as_secs())]
    TooLong,
    /// The index is being made.
    #[error("the search index is being made; try again in a moment")]
    NotReady,
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Stopping,
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(rusqlite::Error),
    /// The index cannot be read.
    #[error("the search index cannot be read: {0}")]
    Index(rusqlite::Error),
}

impl Search {
    /// Starts the indexing of a log. Whatever is wrong with the index, this does not fail: searches will say so.
    ///
    /// # Errors
    /// When the log cannot be opened, or no thread be started.
    pub fn start(places: Places, epoch: Epoch, hub: &Hub, tasks: &Tasks) -> Result<Self, OpenError> {
        let alarm = indexer::start(&places, epoch, hub, tasks)?;
        Ok(Self { places: Arc::new(places), alarm, permits: Arc::new(Semaphore::new(SEARCHES_MAX)) })
    }

    /// Answers a question.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn find(&self, query: Query) -> Result<SearchAnswer, SearchError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| SearchError::Stopping)?;
        let (places, edition) = (Arc::clone(&self.places), self.alarm.edition());
        let looking = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            look(&places, &query)
        });
        let answer = looking.await.map_err(|_| SearchError::Stopping)?;
        if let Err(SearchError::Index(error)) = &answer
            && index::is_damage(error)
        {
            tracing::warn!(%error, "the search index cannot be read");
            self.alarm.ring(edition);
            return Err(SearchError::NotReady);
        }
        answer
    }
}

fn look(places: &Places, query: &Query) -> Result<SearchAnswer, SearchError> {
    let deadline = Instant::now() + TIME_MAX;
    let feed = Feed::open(&places.log)?;
    let session = match query.session {
        Some(id) => Some(feed.session_key(id).map_err(SearchError::Log)?.ok_or(SearchError::NoSession(id))?),
        None => None,
    };
    // Before the index is looked at: what is added meanwhile counts as behind rather than as found.
    let newest = feed.newest().map_err(SearchError::Log)?;
    let (mut hits, mut places_found) = (Vec::<Hit>::new(), Vec::new());
    let (mut is_late, mut failed) = (false, None);
    let searched = index::Search::open(&places.index, deadline).and_then(|mut search| {
        search.each(query, session, |candidate| {
            match check(&feed, query, candidate) {
                Ok(Some(hit)) => {
                    hits.push(hit);
                    places_found.push(candidate.id);
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
            is_late = Instant::now() > deadline;
            hits.len() <= query.limit && !is_late && failed.is_none()
        })
    });
    if let Some(error) = failed {
        return Err(SearchError::Log(error));
    }
    let reaches = match searched {
        Ok(reaches) => Some(reaches),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => None,
        Err(error) => return Err(SearchError::Index(error)),
    };
    if (is_late || reaches.is_none()) && hits.is_empty() {
        return Err(SearchError::TooLong);
    }
    let more = hits.len() > query.limit || is_late || reaches.is_none();
    hits.truncate(query.limit);
    places_found.truncate(query.limit);
    let next = places_found.last().filter(|_| more).map(i64::to_string);
    let behind = u64::try_from(newest - reaches.unwrap_or(newest)).unwrap_or(0);
    Ok(SearchAnswer { hits, next, behind })
}

/// The candidate as the log has it now, if it is still there and still fits.
fn check(feed: &Feed, query: &Query, candidate: &Candidate) -> rusqlite::Result<Option<Hit>> {
    let Some(Shown { session, title, seq, turn, time, kind, record }) = feed.shown(candidate.id)? else {
        return Ok(None);
    };
    let text = text::of_record(&record);
    let Some(marks) = words::marks(&query.terms, &text) else { return Ok(None) };
    let (time, by) = (time.rfc3339(), Some(candidate.by.clone()));
    Ok(Some(Hit { session, title, seq, turn: Some(turn), time, kind, by, snippet: text::snippet(&text, &marks) }))
}
