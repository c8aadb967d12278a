//! The measurements, one a file.

pub(crate) mod latency;

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
