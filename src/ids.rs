//! Names for things: every id and position is a type of its own, so that they cannot be mixed up.
//!
//! Owns the text form of ids (lower-case, hyphenated UUIDs; protocol.md section 1). Knows nothing of where they are used.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a UUID like `0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55`")]
pub struct IdError {
    text: String,
}

/// The longest piece of a refused id that an error repeats.
const SHOWN_CHARS: usize = 64;

fn parse_uuid(text: &str) -> Result<Uuid, IdError> {
    // `Uuid` also reads braces, URNs and bare hex; the wire has one form only.
    let refused = || IdError { text: text.chars().take(SHOWN_CHARS).collect() };
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(refused());
    }
    Uuid::try_parse(text).map_err(|_| refused())
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID of any version.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new random id (version 4).
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The UUID itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_uuid(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": "uuid" })
            }
        }
    };
}

uuid_id!(
    /// One conversation with one agent in one workspace.
    SessionId
);
uuid_id!(
    /// One run of the agent for one prompt.
    TurnId
);
uuid_id!(
    /// One incarnation of the log: when it changes, every remembered seq is void.
    Epoch
);
uuid_id!(
    /// A client-made name for one prompt, kept for good, that makes sending it again harmless.
    PromptKey
);

/// The place of an event in its session's log: 1, 2, 3 … without a hole. 0 stands before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first event: the head of an empty log.
    pub const ZERO: Self = Self(0);

    /// The seq that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_text_form() {
        let id: SessionId = "0190A6C8-7E1D-7CC0-9D3C-2F6B7A1E4D55".parse().unwrap();
        assert_eq!(id.to_string(), "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55");
        for refused in [
            "",
            "x",
            "{0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55}",
            "0190a6c87e1d7cc09d3c2f6b7a1e4d55",
            "../../etc/passwd",
            "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d5g",
        ] {
            assert!(refused.parse::<SessionId>().is_err(), "{refused}");
        }
    }
}
