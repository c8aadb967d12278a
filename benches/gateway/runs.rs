//! The measurements, one a file.

pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod replay;
pub(crate) mod slow;
pub(crate) mod start;
pub(crate) mod writer;

/// How much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Short,
    Usual,
    Big,
}

/// What the command line chose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) size: Size,
    pub(crate) rounds: usize,
}

impl Options {
    /// One of two sizes.
    pub(crate) fn pick<T>(&self, short: T, usual: T) -> T {
        if self.size == Size::Short { short } else { usual }
    }
}
