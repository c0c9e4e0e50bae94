// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Programs that do nothing, to find out whether their kind can be had on this host; see
 * src/kernel/support/trial.rs. An object of its own, as one program that is refused fails a whole load.
 */
#include "lib/common.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("fentry/security_file_open")
int se_probe(void *ctx)
{
	return 0;
}

SEC("lsm/file_open")
int se_probe_lsm(void *ctx)
{
	return 0;
}
