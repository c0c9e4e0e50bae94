/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is let through: se_admit() for every kind, se_judge() for files before it.
 *
 * se_judge() says what the configuration has on a path without building it: the verdict on a directory is
 * kept for some seconds, and a path is built and compared only when none is kept. Whatever takes directories to
 * other paths voids all verdicts: mounts, by the counter of their namespace, and renames, by one that the programs
 * on renames keep. Not seen is a rename on a host where the class is switched off, by another host that has the
 * file system too, or through an io_uring with a success that is announced to nobody; then a directory keeps its
 * old verdict for so long.
 *
 * se_admit() counts the attempt and everything that ends it: excluded, merged into an equal event of the
 * same window, over the limit of the bulk ring.
 */
#ifndef SE_FILTER_BPF_H
#define SE_FILTER_BPF_H

#include "actor.bpf.h"
#include "path.bpf.h"

enum se_filter {
	/* How long a verdict on a directory is kept: 2.5 to 25 seconds, by the kernel's configuration. */
	SE_JUDGED_JIFFIES = 2500,
	SE_NAMES_DEPTH = 32, /* directories looked at for names on the way up */
	SE_REFILL_NS = 10000000,
};

static __always_inline bool se_is_wanted(__u32 kind)
{
	return se_kinds >> (kind & 63) & 1;
}

static __always_inline struct se_switches *se_switches(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&se_switch, &zero);
}

/* What the configuration has on a name, in the directory with that number and anywhere. */
static __always_inline __u32 se_named(struct dentry *dentry, __u32 directory, __u32 role)
{
	struct se_watch_name key = {};
	const unsigned char *name = SE_LOAD(dentry, d_name.name);
	__u32 *found, watch = 0;

	/* A name too long for the key cannot be configured and its head must not stand for it. */
	if (bpf_probe_read_kernel_str(key.name, sizeof(key.name), name) >= (long)sizeof(key.name))
		return 0;
	if (directory) {
		key.directory = directory;
		found = bpf_map_lookup_elem(&se_watch_names, &key);
		if (found && *found & role)
			watch = *found;
		key.directory = 0;
	}
	if (!se_has_names)
		return watch;
	found = bpf_map_lookup_elem(&se_watch_names, &key);
	if (found && *found & role)
		watch |= *found;
	return watch;
}

/* Builds the directory's path and compares it; the buffer is the one that the record will be built in. */
static __always_inline struct se_verdict se_compare(struct se_buf *buf, struct task_struct *task,
						    struct vfsmount *mnt, struct dentry *dentry,
						    const enum se_walker walker)
{
	struct se_watch_path *key = (void *)buf->tail;
	struct se_verdict verdict = {}, *found;
	__u32 start;

	se_walk(&buf->walk, task, mnt, dentry, walker);
	start = se_walk_start(&buf->walk);
	/*
	 * A slash behind the path, which the root has already. The rest stays zero: an entry that ends in a zero
	 * fits this directory alone, any other those below as well.
	 */
	__builtin_memset(key, 0, sizeof(*key));
	bpf_probe_read_kernel_str(key->path, sizeof(key->path) - 1, &buf->walk.path[start]);
	start = SE_PATH_MAX - start;
	if (start > 1 && start < sizeof(key->path) - 1) {
		barrier_var(start);
		key->path[start & 0xff] = '/';
	}
	key->prefix_bits = sizeof(key->path) * 8;
	found = bpf_map_lookup_elem(&se_watch_paths, key);
	if (found)
		verdict = *found;
	if (se_has_directory_names) {
		struct dentry *at = dentry;

#pragma clang loop unroll(disable)
		for (int i = 0; i < SE_NAMES_DEPTH; i++) {
			struct dentry *parent = SE_LOAD(at, d_parent);

			verdict.watch |= se_named(at, 0, SE_WATCH_DIRECTORY) &
					 (SE_WATCH_READ | SE_WATCH_SKIP);
			if (parent == at)
				break;
			at = parent;
		}
	}
	return verdict;
}

/*
 * Voids the verdicts, after a rename that may have been one of a directory. A path is built in about a microsecond,
 * so whoever renames all the time makes opens a little slower and blinds nobody.
 */
static __always_inline void se_directories__moved(void)
{
	__u32 zero = 0, *moves = bpf_map_lookup_elem(&se_moves, &zero);

	if (moves)
		__sync_fetch_and_add(moves, 1);
}

/* What the configuration has on a directory. */
static __always_inline struct se_verdict
se_judge_directory(struct se_buf *buf, struct task_struct *task, struct vfsmount *mnt,
		   struct dentry *dentry, const enum se_walker walker)
{
	struct se_switches *switches = se_switches();
	struct se_directory key = {.mount = (__u64)mnt};
	struct se_judged *judged, fresh = {};
	/* A load, where the clock is a call. */
	__u64 now = bpf_jiffies64();
	__u32 zero = 0, *moves = bpf_map_lookup_elem(&se_moves, &zero);

	/* All that voids a verdict is read before the path is: what changes meanwhile voids this one. */
	fresh.until = now + SE_JUDGED_JIFFIES;
	/* A root that is made ready and then entered by pivot_root() has other paths from then on. */
	fresh.mounts = SE_LOAD(task, nsproxy, mnt_ns, event);
	if (switches)
		fresh.generation = *(volatile __u32 *)&switches->generation;
	if (moves)
		fresh.moves = *(volatile __u32 *)moves;
	key.inode = SE_LOAD(dentry, d_inode, i_ino);
	judged = bpf_map_lookup_elem(&se_directories, &key);
	if (judged && judged->until > now && judged->mounts == fresh.mounts &&
	    judged->generation == fresh.generation && judged->moves == fresh.moves)
		return judged->verdict;
	fresh.verdict = se_compare(buf, task, mnt, dentry, walker);
	bpf_map_update_elem(&se_directories, &key, &fresh, BPF_ANY);
	return fresh.verdict;
}

/* What the configuration has on an entry of a directory with that verdict: enum se_watch, READ and SKIP only. */
static __always_inline __u32 se_judge_entry(struct se_verdict verdict, struct vfsmount *mnt,
					    struct dentry *dentry)
{
	__u32 *found, named, watch = verdict.watch;
	struct se_file_id id = {};

	if (se_has_names || verdict.directory) {
		named = se_named(dentry, verdict.directory, SE_WATCH_FILE);
		if (named & SE_WATCH_PROCFS && SE_LOAD(mnt, mnt_sb, s_magic) != SE_PROC_MAGIC)
			named = 0;
		watch |= named;
	}
	if (se_has_inodes) {
		id.inode = SE_LOAD(dentry, d_inode, i_ino);
		id.dev = SE_LOAD(mnt, mnt_sb, s_dev);
		found = bpf_map_lookup_elem(&se_watch_files, &id);
		if (found)
			watch |= *found;
	}
	/* What the agent does to its own files is noise; what others do to them is not. */
	if (watch & SE_WATCH_OWN && bpf_get_current_pid_tgid() >> 32 == se_agent_tgid)
		watch |= SE_WATCH_SKIP;
	return watch & (SE_WATCH_READ | SE_WATCH_SKIP);
}

/* What the configuration has on a file: enum se_watch, READ and SKIP only. */
static __always_inline __u32 se_judge(struct se_buf *buf, struct task_struct *task,
				      struct vfsmount *mnt, struct dentry *dentry,
				      const enum se_walker walker)
{
	struct dentry *parent = SE_LOAD(dentry, d_parent);

	return se_judge_entry(se_judge_directory(buf, task, mnt, parent, walker), mnt, dentry);
}

/* File systems that the kernel makes up, and devices that throw away what is written. */
static __always_inline bool se_is_pseudo(struct inode *inode, struct super_block *sb)
{
	__u64 magic = SE_LOAD(sb, s_magic);
	__u32 mode = SE_LOAD(inode, i_mode) & SE_S_IFMT, major, minor;

	switch (magic) {
	case SE_PROC_MAGIC:
	case 0x62656572: /* sysfs */
	case 0x0027e0eb: /* cgroup */
	case 0x63677270: /* cgroup2 */
	case 0x64626720: /* debugfs */
	case 0x74726163: /* tracefs */
	case 0x73636673: /* securityfs */
	case 0xf97cff8c: /* selinuxfs */
	case 0x62656570: /* configfs */
	case 0x1cd1:	 /* devpts */
	case 0x50495045: /* pipefs */
	case 0x534f434b: /* sockfs */
	case 0x09041934: /* anonymous inodes */
	case 0x6e736673: /* nsfs */
	case 0x50494446: /* pidfs */
	case 0x19800202: /* mqueue */
	case 0xcafe4a11: /* bpffs */
		return true;
	}
	if (mode == SE_S_IFIFO || mode == SE_S_IFSOCK)
		return true;
	if (mode != SE_S_IFCHR)
		return false;
	major = SE_LOAD(inode, i_rdev) >> SE_MINOR_BITS;
	minor = SE_LOAD(inode, i_rdev) & ((1U << SE_MINOR_BITS) - 1);
	/* null, zero, full, random, urandom, kmsg; terminals. Memory and ports stay. */
	return (major == 1 && minor != 1 && minor != 2 && minor != 4) || major == 5 ||
	       (major >= 136 && major <= 143);
}

/* The task's executable, control group or user is excluded. */
static __always_inline bool se_is_skipped(struct task_struct *task)
{
	struct se_file_id id = {};
	struct inode *inode;
	__u32 uid;

	if (se_skips & SE_SKIP_EXECUTABLE) {
		inode = SE_LOAD(task, mm, exe_file, f_inode);
		id.inode = SE_LOAD(inode, i_ino);
		id.dev = SE_LOAD(inode, i_sb, s_dev);
		if (bpf_map_lookup_elem(&se_skip_exes, &id))
			return true;
	}
	if (se_skips & SE_SKIP_CGROUP) {
		__u64 cgroup_id = 0;
		__u32 hierarchy = 0;

		se_cgroup__fill(&cgroup_id, &hierarchy, task, false);
		if (bpf_map_lookup_elem(&se_skip_cgroups, &cgroup_id))
			return true;
	}
	if (se_skips & SE_SKIP_USER) {
		uid = SE_LOAD(task, cred, uid.val);
		if (bpf_map_lookup_elem(&se_skip_users, &uid))
			return true;
	}
	return false;
}

/*
 * Counts the event to an equal one of this window; false if it is the first. Without room in the map it is
 * reported on its own.
 */
static __always_inline bool se_is_merged(struct se_merge_key *key, __u64 now_ns)
{
	struct se_switches *switches = se_switches();
	struct se_merge *merge, first = {};
	bool odd = switches && switches->window & 1;

	merge = odd ? bpf_map_lookup_elem(&se_merge_odd, key)
		    : bpf_map_lookup_elem(&se_merge_even, key);
	if (!merge) {
		long refused;

		first.first_ns = now_ns;
		first.last_ns = now_ns;
		first.cpu = bpf_get_smp_processor_id();
		refused = odd ? bpf_map_update_elem(&se_merge_odd, key, &first, BPF_NOEXIST)
			      : bpf_map_update_elem(&se_merge_even, key, &first, BPF_NOEXIST);
		if ((int)refused != -17 /* EEXIST: another thread of the process was faster */)
			return false;
		merge = odd ? bpf_map_lookup_elem(&se_merge_odd, key)
			    : bpf_map_lookup_elem(&se_merge_even, key);
		if (!merge)
			return false;
	}
	__sync_fetch_and_add(&merge->count, 1);
	merge->last_ns = now_ns;
	return true;
}

/*
 * Takes a token of the bulk ring. Two CPUs may refill at the same moment, which gives a hundredth of a
 * second's tokens too many. With backpressure an event costs more while the ring is nearly full.
 */
static __always_inline bool se_is_over_rate(__u64 now_ns)
{
	__u64 waiting_bytes;
	__s64 cost = 1, most = se_bulk_rate;
	struct se_bucket *bucket;
	__u32 zero = 0;

	if (!se_bulk_rate)
		return false;
	bucket = bpf_map_lookup_elem(&se_buckets, &zero);
	if (!bucket)
		return false;
	if (now_ns - bucket->refilled_ns > SE_REFILL_NS) {
		__u64 elapsed_ns = now_ns - bucket->refilled_ns;
		__s64 tokens = bucket->tokens;

		if (elapsed_ns > 1000000000)
			elapsed_ns = 1000000000;
		bucket->refilled_ns = now_ns;
		tokens += elapsed_ns * se_bulk_rate / 1000000000;
		bucket->tokens = tokens > most ? most : tokens;
	}
	if (se_backpressure) {
		waiting_bytes = bpf_ringbuf_query(&se_bulk, BPF_RB_AVAIL_DATA);
		if (waiting_bytes > se_bulk_bytes / 4 * 3)
			cost = 4;
		if (waiting_bytes > se_bulk_bytes / 8 * 7)
			cost = 16;
	}
	if (bucket->tokens < cost)
		return true;
	__sync_fetch_and_add(&bucket->tokens, -cost);
	return false;
}

/*
 * Counts an attempt and whatever ends it. The time of the event if the record is to be made, else 0; by
 * this time and the CPU the user side finds the record that later ones were merged into. `key` may be NULL:
 * nothing is merged then. Its kind and process are set here.
 */
static __always_inline __u64 se_admit(__u32 kind, struct task_struct *task,
				      struct se_merge_key *key)
{
	__u64 now_ns = bpf_ktime_get_boot_ns();

	se_count(kind, SE_ATTEMPTED);
	if (se_skips && se_is_skipped(task)) {
		se_count(kind, SE_FILTERED);
		return 0;
	}
	if (key && se_merge_window_ns) {
		key->kind = kind;
		key->pid = SE_LOAD(task, tgid);
		key->start_ns = SE_LOAD(task, group_leader, start_boottime);
		if (se_is_merged(key, now_ns)) {
			se_count(kind, SE_DEDUPLICATED);
			return 0;
		}
	}
	if (se_is_bulk(kind) && se_is_over_rate(now_ns)) {
		se_count(kind, SE_RATE_LIMITED);
		return 0;
	}
	return now_ns;
}

#endif
