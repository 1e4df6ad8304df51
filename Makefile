# Thin: what the machine lacks, then cargo. Each verb is complete, and what is done already costs a second.
.DEFAULT_GOAL := help
.PHONY: help demo test frameworks build control-plane cluster conformance bench fuzz toolchain

help: ## say what there is
	@echo 'make VERB, one of:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile

demo: toolchain ## train something for real on this machine: 1 master and 2 workers, no cluster
	@python=$$(setup/python pytorch) && \
	echo 'demo: building trainyard (usually three minutes the first time)' && \
	cargo build --locked --package trainyard && \
	PATH="$$(dirname "$$python"):$$PATH" target/debug/trainyard run -f examples/pytorch/digits.yaml
	@echo
	@echo 'That was a PyTorchJob, the very file that kubectl apply takes. What else to try:'
	@echo '  target/debug/trainyard plan -f examples/pytorch/digits.yaml   the pods and services a cluster would get'
	@echo '  target/debug/trainyard run --help                             your own jobs, on this machine'
	@echo '  make cluster                                                  a Kubernetes control plane to apply them to'

test: toolchain control-plane ## run every test, and say how many of each kind ran
	@tests/summary cargo test --workspace --locked

frameworks: ## install all that examples/ trains with (five minutes, 5 GB); make test trains with what it finds
	@for each in jax paddle pytorch tensorflow xgboost; do setup/python $$each >/dev/null || exit 1; done

build: toolchain ## build target/release/trainyard
	cargo build --release --locked --package trainyard

control-plane: ## build etcd, kube-apiserver and the like, once (ten minutes), or take them from KUBEBUILDER_ASSETS
	@if [ "$$TRAINYARD_SKIP_CONTROL_PLANE" != 1 ] || [ -n "$$CI" ]; then tests/control-plane/build; fi

cluster: control-plane ## start a control plane with fake nodes and say how to use it; Ctrl-C ends it
	@cargo run --quiet --locked --package trainyard-tests --bin control-plane

conformance: toolchain control-plane ## compare with Training Operator v1.9.4; CASES='mpijob/*' for others than those that pass
	@cargo run --quiet --locked --package trainyard-tests --bin conformance -- $(CASES)

bench: build control-plane ## what the operator costs, in a table and a plot; BENCH='--jobs 50' for other options
	@cargo run --release --quiet --locked --package trainyard-tests --bin bench -- $(BENCH)

fuzz: toolchain ## feed random bytes to what reads strangers', a minute each; FUZZ='--seconds 600 scan' for longer, or one
	@fuzz/run $(FUZZ)

toolchain: ## install what compiles, plugins to WebAssembly too
	@setup/toolchain
