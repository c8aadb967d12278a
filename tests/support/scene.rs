//! The usual beginning of a test: a gateway, one operator attached to one new session.

use super::agent::FakeAgent;
use super::gateway::{Builder, Gateway};
use super::viewer::Viewer;

/// A gateway, and an operator who looks at a session. The viewer goes first when it ends.
pub(crate) struct Scene {
    /// The operator, attached to [`Self::session`].
    pub(crate) viewer: Viewer,
    /// The session.
    pub(crate) session: String,
    /// The gateway.
    pub(crate) gateway: Gateway,
}

impl Scene {
    /// With a fake agent as `claude`.
    pub(crate) async fn with(agent: &FakeAgent) -> Self {
        Self::start(Gateway::builder().agent(agent), "claude").await
    }

    /// With the built-in rehearsal agent.
    pub(crate) async fn drill() -> Self {
        Self::start(Gateway::builder(), "drill").await
    }

    /// With any settings; `agent` is the session's.
    pub(crate) async fn start(settings: Builder, agent: &str) -> Self {
        let gateway = settings.start().await;
        let mut viewer = Viewer::connect(&gateway).await;
        let session = viewer.open_session(agent).await;
        Self { viewer, session, gateway }
    }

    /// Another operator, by a token of that name, attached from the beginning.
    pub(crate) async fn operator(&self, name: &str) -> Viewer {
        let token = self.gateway.add_token(name, "operator").await;
        let mut viewer = Viewer::connect_as(self.gateway.address(), &token).await;
        viewer.attach(&self.session, 0).await;
        viewer
    }
}
