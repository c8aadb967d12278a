//! One test binary; every module talks to a started gateway through the public door.

mod turn;
