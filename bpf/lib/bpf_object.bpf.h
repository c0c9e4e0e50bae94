/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Maps, programs and links of BPF behind descriptors, and whether they are the agent's. */
#ifndef SE_BPF_OBJECT_BPF_H
#define SE_BPF_OBJECT_BPF_H

#include "maps.bpf.h"

#define SE_ANON_INODE_MAGIC 0x09041934ULL

struct se_bpf_object {
	struct se_bpf_id id;
	__u32 subtype; /* of the map, program or link */
	__u32 program; /* behind a link */
	__u64 tag;     /* of the program, 0 for a map */
	const void *name;
};

static __always_inline void se_bpf_object__fill_program(struct se_bpf_object *dst,
							struct bpf_prog *program)
{
	struct bpf_prog_aux *aux = BPF_CORE_READ(program, aux);

	dst->program = BPF_CORE_READ(aux, id);
	bpf_core_read(&dst->tag, sizeof(dst->tag), &program->tag);
	dst->name = &aux->name;
}

/* All such files are on one inode without a name of its own; the dentry says what they are. dst is zeroed. */
static __always_inline void se_bpf_object__fill(struct se_bpf_object *dst, struct file *file)
{
	struct file___private *private = (void *)file;
	const unsigned char *text = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	void *behind = BPF_CORE_READ(private, private_data);
	char kind[8] = {};

	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != SE_ANON_INODE_MAGIC)
		return;
	/* "bpf-map", "bpf-prog", "bpf_link" or "bpf-link". */
	bpf_probe_read_kernel(kind, 5, text);
	if (kind[0] != 'b' || kind[1] != 'p' || kind[2] != 'f')
		return;
	if (kind[4] == 'm') {
		struct bpf_map *map = behind;

		dst->id.type = SE_BPF_MAP;
		dst->id.id = BPF_CORE_READ(map, id);
		dst->subtype = BPF_CORE_READ(map, map_type);
		dst->name = &map->name;
	} else if (kind[4] == 'p') {
		struct bpf_prog *program = behind;

		se_bpf_object__fill_program(dst, program);
		dst->id.type = SE_BPF_PROGRAM;
		dst->id.id = dst->program;
		dst->subtype = BPF_CORE_READ(program, type);
	} else if (kind[4] == 'l') {
		struct bpf_link *link = behind;

		se_bpf_object__fill_program(dst, BPF_CORE_READ(link, prog));
		dst->id.type = SE_BPF_LINK;
		dst->id.id = BPF_CORE_READ(link, id);
		dst->subtype = BPF_CORE_READ(link, type);
	}
}

static __always_inline bool se_bpf_is_own(struct se_bpf_id *id)
{
	return id->type && bpf_map_lookup_elem(&se_own_ids, id);
}

#endif
