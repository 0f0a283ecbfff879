//! Every test that needs machines of its own, in one program, so that as many run side by side as
//! the machine has processors.

mod access;
mod access_carried;
mod brought;
mod cloud_init;
mod cuts;
mod dhcp_names;
mod dialects;
mod failures;
mod harness;
mod identity;
mod kexec;
mod layouts;
mod licences;
mod live_tree;
mod main_path;
mod maker;
mod mirrors;
mod network_cards;
mod power_cuts;
mod ram_server;
mod refused;
mod rehearse;
mod secure_boot;
mod takeover;
mod tiny_machine;
mod tuning;
mod uefi;
mod usr;
mod volumes;
mod watchdog;
