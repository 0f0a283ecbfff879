//! What is done in the old OS, by the worker: stage, load, stop, prove, enter, and what undoes it. It
//! asks nobody and prints nothing, but logs; it may import `survey`, and nothing of `talk`.

pub mod abort;
mod checks_again;
mod engine;
mod enter;
pub mod fence;
mod hooks;
mod prove;
mod stage;
pub mod start;
mod stop;
pub mod worker;
