# The commands of daily work. `make demo` and `make test` do all the set-up that a fresh machine needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Scale factor of the demo's TPC-H data; 1 is about 1 GB.
SF ?= 0.1

# How long `make chaos` goes on.
CHAOS_SECONDS ?= 600

# What it does when; printed, so that a run can be repeated.
CHAOS_SEED ?= $(shell date +%s)

# How many days `make soak` simulates, how many rounds two pipelines have, and what happens in them.
SOAK_DAYS ?= 60
SOAK_ROUNDS ?= 50
SOAK_SEED ?= $(shell date +%s)

export CARGO_TERM_COLOR ?= auto

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: ## Install what is missing: a C compiler, Postgres, Python for the independent readers
	@scripts/setup

# The whole workspace is selected each time: cargo unifies features over what is selected, and another set would compile DataFusion again.
bins: setup
	@scripts/first-build-notice
	cargo build --workspace --bins --locked

build: bins ## Compile everything, tests included
	cargo build --workspace --all-targets --locked

demo: bins ## Run the example pipeline on TPC-H data (SF=0.1)
	@SF=$(SF) scripts/demo

demo-clean: ## Remove the demo's data
	@scripts/demo --clean

test: build ## Run all tests
	@scripts/test

chaos: build ## Kill, freeze and cut off a fleet for ten minutes (CHAOS_SECONDS=600)
	@HEADWATER_CHAOS_SECONDS=$(CHAOS_SECONDS) HEADWATER_CHAOS_SEED=$(CHAOS_SEED) scripts/test --test suite chaos -- --nocapture

soak: build ## Simulate 60 days of schedules, and 50 rounds of pairs of pipelines (SOAK_DAYS=60 SOAK_ROUNDS=50)
	@HEADWATER_SIMULATION_DAYS=$(SOAK_DAYS) HEADWATER_SIMULATION_SEED=$(SOAK_SEED) HEADWATER_TWO_PIPELINES_ROUNDS=$(SOAK_ROUNDS) \
		HEADWATER_TWO_PIPELINES_SEED=$(SOAK_SEED) scripts/test --test suite -- simulation two_pipelines --nocapture

lint: setup ## Formatting, clippy, documentation, licences, SQL metadata
	@scripts/lint

eval: bins ## Judge sentences without a model against tests/evaluation
	@scripts/eval

bench: setup ## Measure against the peers and the floors
	@scripts/bench

dev: bins ## Run everything in one process, with the demo's data directory
	@scripts/demo --serve

install: setup ## Install the headwater command into cargo's bin folder
	cargo install --path cli --locked

.PHONY: help setup bins build demo demo-clean test chaos soak lint eval bench dev install
