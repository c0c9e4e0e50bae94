# SentinelEdge: `make run` is the one command to see it work, `make test` the one that CI runs.
# The work is done by packaging/scripts/; each target here says what it needs and calls one of them.

# Rust from rustup may be installed without being on the PATH of a non-login shell.
export PATH := $(PATH):$(HOME)/.cargo/bin
scripts := packaging/scripts
# Arguments for the agent: make run ARGS="--log-level debug"
ARGS ?=
# One kernel of tests/vm/kernels: make test-vm KERNEL=6.1
KERNEL ?=
# Another machine to build for, and to test on emulated: make package ARCH=aarch64
ARCH ?=
machine := $(or $(ARCH),$(shell uname -m))
cross := $(if $(filter-out $(shell uname -m),$(machine)),cross)

.DEFAULT_GOAL := help
.PHONY: help build run test test-vm package test-package test-container lint bench docs clean

help: ## This list
	@awk -F ': .*## ' '/^[a-z-]+: .*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## The release binary, target/release/sentinel-edge
	@$(scripts)/bootstrap.sh build $(cross)
	@$(scripts)/build.sh

run: build ## Build, then run the agent here and show events as they happen (Ctrl-C stops it)
	@$(scripts)/run.sh $(ARGS)

test: ## Lint and every test that this machine can run; as root also those that load BPF
	@$(scripts)/bootstrap.sh build lint test
	@$(scripts)/bootstrap.sh vm vm-$(machine) package guest container || echo "without these packages the tests in guests will be skipped"
	@$(scripts)/lint.sh
	@$(scripts)/test.sh

test-vm: ## The tests that load BPF on Debian's kernels in QEMU, all or KERNEL=6.1, or of ARCH=aarch64; writes docs/kernels.md
	@$(scripts)/bootstrap.sh build vm vm-$(machine) $(cross)
	@$(scripts)/test-vm.sh $(KERNEL)

package: ## .deb, .rpm, tarball, list of components and checksums in target/package; also for ARCH=aarch64
	@$(scripts)/bootstrap.sh build package $(cross)
	@$(scripts)/package.sh

test-package: ## The packages on real systemd machines in QEMU: install, upgrade, crash, reboot, remove (root)
	@$(scripts)/bootstrap.sh build package vm vm-$(machine) guest
	@$(scripts)/test-package.sh

test-container: ## The container image without an engine, and the files for compose, Kubernetes and Helm (root)
	@$(scripts)/bootstrap.sh build container
	@$(scripts)/test-container.sh

lint: ## rustfmt, clippy, clang-format, shellcheck
	@$(scripts)/bootstrap.sh build lint
	@$(scripts)/lint.sh

bench: build ## Measure speed and memory against auditd and bpftrace, write docs/performance.md (root)
	@$(scripts)/bootstrap.sh bench
	cargo bench --locked --profile harness --bench host -- $(ARGS)

docs: ## Write the generated documents and golden files anew from the tables in the source
	@$(scripts)/bootstrap.sh build
	WRITE_GOLDEN=1 cargo test --quiet --test docs --test config --test lines --test golden
	WRITE_GOLDEN=1 cargo test --quiet --test monitoring the_dashboard_is_fresh

clean: ## Remove everything that was built
	cargo clean
