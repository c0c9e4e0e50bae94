/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Paths from dentries: up from the file to the root of the task's mount namespace, across mounts.
 *
 * So a path is what the kernel holds, not what anybody passed in, and a chroot does not shorten it.
 * The walk takes no locks: of a file that is renamed at the same moment it may mix both names.
 *
 * Components are put in front of each other from the end of a buffer, then the result is copied
 * into the record. The state lives in the buffer's map value, where the verifier knows nothing of
 * it, so every step looks alike to it and is verified once.
 */
#ifndef SE_PATH_BPF_H
#define SE_PATH_BPF_H

#include "emit.bpf.h"

enum se_walk_end {
	SE_WALK_CUT = 0, /* out of steps or room */
	SE_WALK_TOP = 1,
	SE_WALK_DETACHED = 2, /* ended somewhere else than in the namespace's root */
};

/* How a program walks: bpf_loop() came with 5.17, and older kernels do not even load a callback. */
enum se_walker {
	SE_WALK_BOUNDED,
	SE_WALK_LOOP,
};

static __always_inline struct mount *se_mount(struct vfsmount *vfsmount)
{
	return (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
}

/* Puts a slash and the dentry's name in front of the path; false if they do not fit. */
static __always_inline bool se_walk_prepend(struct se_walk *walk, struct dentry *dentry)
{
	const unsigned char *name = SE_LOAD(dentry, d_name.name);
	__u32 len = SE_LOAD(dentry, d_name.hash_len) >> 32;
	__u32 start = walk->start;

	if (len > SE_NAME_MAX)
		len = SE_NAME_MAX;
	if (len + 1 > start)
		return false;
	start -= len + 1;
	/* No more than a hint to the verifier; the path begins within the first SE_PATH_MAX bytes.
	 */
	start &= SE_PATH_MAX - 1;
	barrier_var(start);
	start &= SE_PATH_MAX - 1;
	walk->path[start] = '/';
	bpf_probe_read_kernel(&walk->path[start + 1], len & SE_NAME_MAX, name);
	walk->start = start;
	return true;
}

/* One step up; 1 at the end. */
static __always_inline long se_walk_step(struct se_walk *walk)
{
	struct dentry *dentry = walk->dentry, *parent;

	if (dentry == walk->mount_root) {
		struct mount *mount = walk->mount;
		struct mount *up = SE_LOAD(mount, mnt_parent);

		if (up == mount) {
			walk->end = mount == walk->top ? SE_WALK_TOP : SE_WALK_DETACHED;
			return 1;
		}
		walk->dentry = SE_LOAD(mount, mnt_mountpoint);
		walk->mount = up;
		walk->mount_root = SE_LOAD(up, mnt.mnt_root);
		return 0;
	}

	parent = SE_LOAD(dentry, d_parent);
	if (parent == dentry) {
		/*
		 * The root of a filesystem, not reached through this mount. Files that were never
		 * in a directory, such as a memfd, are such roots and carry their name.
		 */
		const unsigned char *name = SE_LOAD(dentry, d_name.name);
		unsigned char first = '/';

		bpf_probe_read_kernel(&first, sizeof(first), name);
		if (first == '/' || se_walk_prepend(walk, dentry))
			walk->end = SE_WALK_DETACHED;
		return 1;
	}
	if (!se_walk_prepend(walk, dentry))
		return 1;
	walk->dentry = parent;
	return 0;
}

static long se_walk_callback(__u32 index, struct se_walk **walk)
{
	return se_walk_step(*walk);
}

/* Walks from the dentry up; what was found is in walk->path from se_walk_start() on. */
static __always_inline void se_walk(struct se_walk *walk, struct task_struct *task,
				    struct vfsmount *mnt, struct dentry *dentry,
				    const enum se_walker walker)
{
	walk->dentry = dentry;
	walk->mount = se_mount(mnt);
	walk->mount_root = SE_LOAD(mnt, mnt_root);
	walk->top = SE_LOAD(task, nsproxy, mnt_ns, root);
	walk->start = SE_PATH_MAX;
	walk->end = SE_WALK_CUT;

	if (walker == SE_WALK_LOOP) {
		bpf_loop(SE_DEPTH_LOOP, se_walk_callback, &walk, 0);
	} else {
#pragma clang loop unroll(disable)
		for (int i = 0; i < SE_DEPTH_BOUNDED; i++) {
			if (se_walk_step(walk))
				break;
		}
	}
}

/* Where the path begins, below SE_PATH_MAX. */
static __always_inline __u32 se_walk_start(struct se_walk *walk)
{
	__u32 start = *(volatile __u32 *)&walk->start;

	if (start >= SE_PATH_MAX) {
		/* Nothing was prepended: the root itself, unless the walk broke off at once. */
		start = SE_PATH_MAX - 1;
		walk->path[start] = '/';
	}
	start &= SE_PATH_MAX - 1;
	barrier_var(start);
	return start & (SE_PATH_MAX - 1);
}

/*
 * Appends the path to the record. The flags `cut` and `detached` are those of the record; what they
 * mean is in abi.h.
 */
static __always_inline void se_append_path(struct se_header *header, __u32 room, struct se_str *str,
					   __u32 *flags, __u32 cut, __u32 detached,
					   struct se_walk *walk, struct task_struct *task,
					   struct vfsmount *mnt, struct dentry *dentry,
					   const enum se_walker walker)
{
	__u32 start;

	se_walk(walk, task, mnt, dentry, walker);
	start = se_walk_start(walk);
	if (walk->end == SE_WALK_CUT)
		*flags |= cut;
	else if (walk->end == SE_WALK_DETACHED)
		*flags |= detached;
	se_append_kernel(header, room, str, &walk->path[start], SE_PATH_MAX - start);
}

/* Removed from its directory: neither in the hash of names nor a root. */
static __always_inline bool se_is_deleted(struct dentry *dentry)
{
	return !SE_LOAD(dentry, d_hash.pprev) && SE_LOAD(dentry, d_parent) != dentry;
}

#endif
