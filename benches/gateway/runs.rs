//! The measurements, one a file.

pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod multiplex;
pub(crate) mod replay;
pub(crate) mod slow;
pub(crate) mod start;
pub(crate) mod ways;
pub(crate) mod writer;

/// How much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Short,
    Usual,
    Big,
}

/// What the command line chose.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) size: Size,
    pub(crate) rounds: usize,
    /// Only rows whose first column contains this.
    pub(crate) only: Option<String>,
}

impl Options {
    /// Whether this row is wanted.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.only.as_ref().is_none_or(|only| row.contains(only.as_str()))
    }

    /// One of two sizes.
    pub(crate) fn pick<T>(&self, short: T, usual: T) -> T {
        if self.size == Size::Short { short } else { usual }
    }
}
