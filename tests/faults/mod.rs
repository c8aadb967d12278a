//! What a bad night brings: full and failing disks, networks that crawl and break, processes that misbehave, kills at any
//! moment. Nothing that was accepted may be lost, nothing may be seen twice, and everything must say what is wrong.
//! docs/reliability.md lists promise by promise what is tried here.

mod descriptors;
mod disk;
mod folder;
mod half_begun;
mod namespace;
mod native;
mod processes;
mod stress;
