/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The only way out of the kernel. Every record is counted once as attempted and once by what became
 * of it, so that per kind attempted = submitted + ring full + what was left out on purpose,
 * exactly.
 *
 * Counters are per CPU and still added to atomically: a preemptible kernel may switch to another
 * task in the middle of a program, and a plain increment would then lose one.
 *
 * Two shapes: se_reserve() and se_submit() for records of a fixed size, built in the ring (in the bulk
 * ring: se_reserve_bulk()); se_begin() or se_open(), se_room() and se_output() for records with a tail,
 * built in a buffer. What se_admit() (filter.bpf.h) let through was counted as attempted there. A record's
 * header.len is at all times its length so far. It is reloaded for every piece, which keeps the
 * pieces independent of each other for the verifier: each proves its own bound and no ranges pile
 * up.
 */
#ifndef SE_EMIT_BPF_H
#define SE_EMIT_BPF_H

#include "knobs.bpf.h"
#include "maps.bpf.h"

static __always_inline void se_count(__u32 kind, __u32 outcome)
{
	__u32 zero = 0;
	struct se_ledger *ledger = bpf_map_lookup_elem(&se_counters, &zero);

	/* Into a register: 6.1's verifier forgets the bound of a number that is read from the stack once more. */
	if (!__builtin_constant_p(kind))
		barrier_var(kind);
	if (ledger && kind < SE_KIND_MAX)
		__sync_fetch_and_add(&ledger->count[kind][outcome], 1);
}

static __always_inline void se_stamp_at(struct se_header *header, __u32 kind, __u32 len,
					__u64 ts_ns)
{
	header->ts_ns = ts_ns;
	header->len = len;
	header->kind = kind;
	header->cpu = bpf_get_smp_processor_id();
}

static __always_inline void se_stamp(struct se_header *header, __u32 kind, __u32 len)
{
	se_stamp_at(header, kind, len, bpf_ktime_get_boot_ns());
}

/* Zeroed and stamped room in the ring for a record of a fixed size, or NULL and counted. */
#define se_reserve(kind, type)                                                   \
	({                                                                       \
		se_count(kind, SE_ATTEMPTED);                                    \
		type *__record = bpf_ringbuf_reserve(&se_ring, sizeof(type), 0); \
		if (__record) {                                                  \
			__builtin_memset(__record, 0, sizeof(type));             \
			se_stamp(&__record->header, kind, sizeof(type));         \
		} else {                                                         \
			se_count(kind, SE_RING_FULL);                            \
		}                                                                \
		__record;                                                        \
	})

/* The same in the bulk ring, for a record that se_admit() let through. */
#define se_reserve_bulk(kind, type, ts_ns)                                         \
	({                                                                         \
		type *__record = bpf_ringbuf_reserve(&se_bulk, sizeof(type), 0);   \
		if (__record) {                                                    \
			__builtin_memset(__record, 0, sizeof(type));               \
			se_stamp_at(&__record->header, kind, sizeof(type), ts_ns); \
		} else {                                                           \
			se_count(kind, SE_RING_FULL);                              \
		}                                                                  \
		__record;                                                          \
	})

static __always_inline void se_submit(__u32 kind, void *record)
{
	bpf_ringbuf_submit(record, 0);
	se_count(kind, SE_SUBMITTED);
}

/* The buffer of this CPU, with the fixed part of its record zeroed and stamped. */
#define se_begin(kind, bufs, type, member)                                            \
	({                                                                            \
		__u32 __cpu = bpf_get_smp_processor_id();                             \
		type *__buf = bpf_map_lookup_elem(bufs, &__cpu);                      \
		se_count(kind, SE_ATTEMPTED);                                         \
		if (__buf) {                                                          \
			__builtin_memset(&__buf->member, 0, sizeof(__buf->member));   \
			se_stamp(&__buf->member.header, kind, sizeof(__buf->member)); \
		} else {                                                              \
			se_count(kind, SE_RING_FULL);                                 \
		}                                                                     \
		__buf;                                                                \
	})

/*
 * The buffer of this CPU and lane with a zeroed and stamped record of `fixed` bytes, a constant, for
 * what se_admit() let through at ts_ns.
 */
static __always_inline struct se_buf *se_open(__u32 lane, __u32 kind, const __u32 fixed,
					      __u64 ts_ns)
{
	__u32 at = bpf_get_smp_processor_id() * se_lanes + lane;
	struct se_buf *buf = bpf_map_lookup_elem(&se_bufs, &at);

	if (!buf) {
		se_count(kind, SE_RING_FULL);
		return NULL;
	}
	__builtin_memset(&buf->header, 0, fixed);
	se_stamp_at(&buf->header, kind, fixed, ts_ns);
	return buf;
}

/* The end of the record so far, where at most SE_CHUNK bytes may be written; NULL beyond room. */
static __always_inline void *se_room(struct se_header *header, __u32 room)
{
	__u32 len = *(volatile __u32 *)&header->len;

	if (len > room)
		return NULL;
	return (void *)header + len;
}

/* Takes the len bytes at se_room() into the record. */
static __always_inline void se_grow(struct se_header *header, __u32 len)
{
	*(volatile __u32 *)&header->len += len;
}

static __always_inline bool se_is_bulk(__u32 kind)
{
	return SE_BULK_KINDS >> (kind & 63) & 1;
}

/* Hands a record that was built in a buffer to its ring; size is the room from header on. */
static __always_inline void se_output(struct se_header *header, __u32 kind, __u32 size)
{
	__u32 len = *(volatile __u32 *)&header->len;
	long refused;

	/* Cannot be: nothing grows a record beyond its buffer. The verifier wants to see it. */
	if (len > size)
		len = size;
	if (se_is_bulk(kind))
		refused = bpf_ringbuf_output(&se_bulk, header, len, 0);
	else
		refused = bpf_ringbuf_output(&se_ring, header, len, 0);
	if (refused)
		se_count(kind, SE_RING_FULL);
	else
		se_count(kind, SE_SUBMITTED);
}

/* Appends len bytes of kernel memory, at most SE_CHUNK. */
static __always_inline bool se_append_kernel(struct se_header *header, __u32 room,
					     struct se_str *str, const void *src, __u32 len)
{
	void *dst = se_room(header, room);

	if (!dst)
		return false;
	if (len > SE_CHUNK)
		len = SE_CHUNK;
	if (bpf_probe_read_kernel(dst, len, src))
		return false;
	str->off = header->len;
	str->len = len;
	se_grow(header, len);
	return true;
}

/*
 * Appends a string of kernel memory without its NUL; true if it was longer than SE_CHUNK - 1. The
 * destination is never at the start of a page-sized value: kernels up to 6.1 without the fix write
 * one byte in front of it when the read faults.
 */
static __always_inline bool se_append_string(struct se_header *header, __u32 room,
					     struct se_str *str, const void *src, __u32 max)
{
	void *dst = se_room(header, room);
	long n;

	if (!dst)
		return false;
	n = bpf_probe_read_kernel_str(dst, max, src);
	if (n <= 0)
		return false;
	str->off = header->len;
	str->len = n - 1;
	se_grow(header, n - 1);
	return n == max;
}

#endif
