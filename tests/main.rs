//! One test binary; every module talks to a started gateway, or to the real agent program, through the public door.

#[cfg(test)]
mod claude_direct;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod doors;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod keep;
#[cfg(test)]
mod real_claude;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod search;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod support;
#[cfg(test)]
mod turn;
#[cfg(test)]
mod turns;
#[cfg(test)]
mod wire;
