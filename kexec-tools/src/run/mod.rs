//! What is done in the old OS: stage, load, stop, prove, enter.

pub mod abort;
pub mod checks_again;
pub mod engine;
pub mod enter;
pub mod prove;
pub mod stage;
pub mod stop;
pub mod worker;
