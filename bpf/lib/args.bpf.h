/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Arguments and environment. Of a successful exec they are read where the kernel put them in the
 * new image, before its first instruction, so nobody can have changed them. Of a failed one there
 * is only the caller's memory.
 */
#ifndef SE_ARGS_BPF_H
#define SE_ARGS_BPF_H

#include "emit.bpf.h"

/*
 * Appends what lies between two addresses of user memory, in pieces that end at page boundaries, so
 * that a page that is not there costs only what follows it. False if one was missing. `pieces`
 * bounds the loop: one more than the most bytes divided by SE_CHUNK.
 */
static __always_inline bool se_append_user(struct se_header *header, __u32 room, struct se_str *str,
					   __u64 from, __u64 to, const int pieces)
{
	if (from >= to)
		return true;
	str->off = header->len;
#pragma clang loop unroll(disable)
	for (int i = 0; i < pieces && from < to; i++) {
		void *dst = se_room(header, room);
		__u64 left = to - from;
		__u32 len = SE_CHUNK - (from & (SE_CHUNK - 1));

		if (len > left)
			len = left;
		/* The compiler knows that len fits; the verifier has to be told. */
		barrier_var(len);
		if (len > SE_CHUNK)
			len = SE_CHUNK;
		if (!dst || bpf_probe_read_user(dst, len, (void *)from)) {
			str->len = header->len - str->off;
			return false;
		}
		se_grow(header, len);
		from += len;
	}
	str->len = header->len - str->off;
	return true;
}

/* The arguments as they lie in memory or, if they are longer than the limit, both ends of them. */
static __always_inline void se_exec__fill_args(struct se_exec *dst, __u64 start, __u64 end)
{
	const int pieces = SE_ARGS_MAX / SE_CHUNK + 1;
	const __u32 half = se_args_max / 2;
	bool ok;

	if (end <= start)
		return;
	dst->args_len = end - start;
	if (dst->args_len <= se_args_max) {
		ok = se_append_user(&dst->header, se_exec_room, &dst->args_head, start, end,
				    pieces);
	} else {
		dst->flags |= SE_EXEC_ARGS_CUT;
		ok = se_append_user(&dst->header, se_exec_room, &dst->args_head, start,
				    start + half, pieces);
		ok &= se_append_user(&dst->header, se_exec_room, &dst->args_tail, end - half, end,
				     pieces);
	}
	if (!ok)
		dst->flags |= SE_EXEC_ARGS_FAULT;
}

static __always_inline void se_exec__fill_env(struct se_exec *dst, __u64 start, __u64 end)
{
	if (end <= start)
		return;
	dst->env_len = end - start;
	if (!se_env_max)
		return;
	if (dst->env_len > se_env_max) {
		dst->flags |= SE_EXEC_ENV_CUT;
		end = start + se_env_max;
	}
	if (!se_append_user(&dst->header, se_exec_room, &dst->env, start, end,
			    SE_ENV_MAX / SE_CHUNK + 1))
		dst->flags |= SE_EXEC_ENV_FAULT;
}

/* A pointer out of an array of them in user memory; 0 at its end and where it cannot be read. */
static __always_inline __u64 se_user_pointer(__u64 array, int index, bool compat)
{
	__u64 pointer = 0;

	if (compat)
		bpf_probe_read_user(&pointer, sizeof(__u32), (void *)(array + index * 4));
	else
		bpf_probe_read_user(&pointer, sizeof(pointer), (void *)(array + index * 8));
	return pointer;
}

/* The arguments that a failed exec was given, as far as the caller's memory still tells. */
static __always_inline void se_exec_failed__fill_args(struct se_exec_failed *dst, __u64 argv,
						      bool compat)
{
	struct se_header *header = &dst->header;
	__u32 limit;

	dst->args.off = header->len;
	limit = dst->args.off + SE_FAILED_ARGS_BYTES;
#pragma clang loop unroll(disable)
	for (int i = 0; i < SE_FAILED_ARGS_MAX; i++) {
		__u64 arg = se_user_pointer(argv, i, compat);
		void *to = se_room(header, SE_FAILED_ROOM);
		long n;

		if (!arg)
			goto end;
		if (!to || header->len >= limit)
			break;
		n = bpf_probe_read_user_str(to, SE_CHUNK, (void *)arg);
		if (n <= 0)
			break;
		dst->args_count++;
		if (header->len + n > limit) {
			se_grow(header, limit - header->len);
			goto cut;
		}
		se_grow(header, n);
		if (n == SE_CHUNK)
			break;
	}
	if (!se_user_pointer(argv, SE_FAILED_ARGS_MAX, compat) &&
	    dst->args_count == SE_FAILED_ARGS_MAX)
		goto end;
cut:
	dst->flags |= SE_EXEC_FAILED_ARGS_CUT;
end:
	dst->args.len = header->len - dst->args.off;
	if (!dst->args.len)
		dst->args.off = 0;
}

#endif
