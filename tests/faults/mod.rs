//! What a bad night brings: full and failing disks, networks that crawl and break, processes that misbehave, kills at any
//! moment. Nothing that was accepted may be lost, nothing may be seen twice, and everything must say what is wrong.
//! docs/reliability.md lists promise by promise what is tried here.

mod adoption;
mod broken_disk;
mod burst;
mod clock;
mod descriptors;
mod disk;
mod folder;
mod half_begun;
mod line;
mod namespace;
mod native;
mod network;
mod processes;
mod stress;
mod torn;
mod upgrade;
