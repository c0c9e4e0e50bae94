/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Fills struct se_object, and finds the file behind a descriptor. */
#ifndef SE_OBJECT_BPF_H
#define SE_OBJECT_BPF_H

#include "image.bpf.h"

/* The file that a descriptor of the current task means now, NULL if none. */
static __always_inline struct file *se_file_of(struct task_struct *task, __u32 fd)
{
	struct fdtable *table = SE_LOAD(task, files, fdt);
	struct file **slots = SE_LOAD(table, fd), *file = NULL;

	if (fd >= SE_LOAD(table, max_fds))
		return NULL;
	/* Read by call, so that the result is a number to the verifier: some hand it on to functions of their own. */
	bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	return file;
}

static __always_inline void se_object__fill(struct se_object *dst, struct inode *inode,
					    struct dentry *dentry)
{
	struct super_block *sb = SE_LOAD(inode, i_sb);
	__u32 dev = SE_LOAD(sb, s_dev);

	if (!inode)
		return;
	dst->inode = SE_LOAD(inode, i_ino);
	dst->fs_magic = SE_LOAD(sb, s_magic);
	dst->size_bytes = SE_LOAD(inode, i_size);
	dst->mtime_ns = se_mtime_ns(inode);
	dst->ctime_ns = se_ctime_ns(inode);
	dst->dev_major = dev >> SE_MINOR_BITS;
	dst->dev_minor = dev & ((1U << SE_MINOR_BITS) - 1);
	dst->mode = SE_LOAD(inode, i_mode);
	dst->uid = SE_LOAD(inode, i_uid.val);
	dst->gid = SE_LOAD(inode, i_gid.val);
	dst->nlink = SE_LOAD(inode, i_nlink);
	if (se_is_memfd(sb, dst->fs_magic, dentry))
		dst->flags |= SE_OBJECT_MEMFD;
	else if (!dst->nlink)
		dst->flags |= SE_OBJECT_DELETED;
	if (dst->fs_magic == SE_OVERLAYFS_MAGIC) {
		dst->flags |= SE_OBJECT_OVERLAY;
		if (se_overlay_upper(inode))
			dst->flags |= SE_OBJECT_OVERLAY_UPPER;
	}
}

#endif
