# make demo     reinstall a virtual Debian 11 server as Debian 13, and report; MACHINE=ubuntu-cloud-uefi: another
# make test     every check and every test; .ci/run calls it
# make prove    the boot tests again, and those that take hours; by hand, before a release. Broken off, it goes on where
#               it was; CASES='mirrors uefi' takes those with such a name alone
# make bench    the numbers of docs/testing.md, measured here
# make demo-fleet   a night of five small virtual machines with two conductors, and its report
# make bench-fleet  the numbers of docs/fleet-design.md: two thousand simulated machines
#
# Each does its own set-up: packages through apt (scripts/packages.txt says which and why), base
# trees and disks under target/, made once. Nothing else of this machine is changed.
#
# Root filesystems need owners, device nodes and chroot, so the demo and the tests run as root.
# Cargo always compiles as the user who calls make; that user's programs are then started through
# sudo, by cargo's own means, its runner. What they make (target/base, target/images, target/vm)
# belongs to root; `make clean` removes it the same way.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ifneq ($(shell id -u),0)
SUDO := sudo -E
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER := $(SUDO)
endif
# The harness would build the programs under test itself; here they are built before, not as root.
export REROOT_PROGRAMS := built
# An error says what was attempted and what the machine showed; the way through the harness to it
# is a hundred lines that hide the next one.
export RUST_LIB_BACKTRACE := 0

# One more than there are processors: while machines run, or a test waits for another's, the next tree or
# image is made.
export RUST_TEST_THREADS := $(shell echo $$(($$(nproc) + 1)))

TARGET := $(or $(CARGO_TARGET_DIR),target)
heading = @printf '\n== %s\n' '$(1)'

.PHONY: help setup programs linked fleet-tested demo test prove bench clean demo-fleet test-fleet bench-fleet

help:
	@sed -n '1,8p' Makefile | sed 's/^# *//'

setup:
	$(call heading,packages)
	@scripts/setup.sh

programs: setup
	$(call heading,programs)
	@$(MAKE) --no-print-directory linked

# Side by side in `test`: the linker takes minutes, and one processor.
linked:
	cargo build --release --locked -p reroot -p reroot-launch -p reroot-init

fleet-tested:
	@scripts/fleet.sh test

demo: programs
	$(call heading,demo)
	cargo run --release --locked -p reroot-tests --bin demo -- $(MACHINE)

bench: programs
	$(call heading,benchmarks)
	cargo run --release --locked -p reroot-tests --bin bench

test: setup
	$(call heading,format)
	cargo fmt --all --check
	$(call heading,lints)
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(call heading,documentation)
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
	$(call heading,programs and fleet)
	@$(MAKE) --no-print-directory --jobs 2 linked fleet-tested
	$(call heading,tests)
	cargo test --workspace --locked

prove: programs
	$(call heading,proof)
	cargo test -p reroot --locked --test command -- xenial_mirror --include-ignored
	cargo test -p tree --locked --test trees -- on_btrfs_full --include-ignored
	@mkdir -p $(TARGET)/prove
	cargo test -p reroot-tests --locked --test machines --no-run --message-format=json \
	    > $(TARGET)/prove/messages
	REROOT_PROVE=1 cargo run --release --locked -p reroot-tests --bin prove -- \
	    $(abspath $(TARGET))/prove/messages $(CASES)
	$(call heading,proof of the fleet)
	@scripts/fleet.sh prove

demo-fleet: programs
	$(call heading,machines)
	cargo build --release --locked -p reroot-tests --bin fleet-machines
	$(call heading,demo of the fleet)
	@scripts/fleet.sh demo $(abspath $(TARGET))/x86_64-unknown-linux-gnu/release/fleet-machines \
	    $(abspath $(TARGET))/fleet-demo

test-fleet: setup
	$(call heading,fleet)
	@$(MAKE) --no-print-directory fleet-tested

bench-fleet: setup
	$(call heading,benchmarks of the fleet)
	@scripts/fleet.sh python bench/planner.py
	@scripts/fleet.sh python -m tests.bench

clean:
	$(SUDO) rm -rf $(TARGET)/base $(TARGET)/images $(TARGET)/vm $(TARGET)/prove $(TARGET)/fleet-demo
	cargo clean
