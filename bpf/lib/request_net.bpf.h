/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Events of the network from requests of an io_uring: what only the returns of system calls tell else. Connects,
 * binds, datagrams and the ends of flows come from hooks that see an io_uring at work; here are who accepts, sockets
 * of packets, and listeners whose port the kernel chose late.
 */
#ifndef SE_REQUEST_NET_BPF_H
#define SE_REQUEST_NET_BPF_H

#include "net.bpf.h"
#include "request.bpf.h"

static __always_inline struct sock *se_request__sock(struct file *file)
{
	struct socket *socket;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & SE_S_IFMT) != SE_S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

/* A request to listen has worked, and the port was only chosen then. */
static __always_inline void se_request__listened(struct file *file)
{
	struct sock *sk = se_request__sock(file);
	__u64 key = (__u64)sk;
	struct se_flow *flow = se_flow_of(key);
	struct se_net *net;

	if (!sk || !flow || flow->state != SE_FLOW_LISTENING)
		return;
	bpf_map_delete_elem(&se_flows, &key);
	net = se_net__fresh(SE_KIND_NET_LISTEN, SE_NET_LISTEN, SE_HOOK_IO_URING_COMPLETE,
			    SE_CALL_NONE, BPF_CORE_READ(sk, __sk_common.skc_num), 0);
	if (!net)
		return;
	se_net__ends(net, sk, false);
	net->backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
	net->actor.flags |= SE_ACTOR_IO_URING;
	se_submit(SE_KIND_NET_LISTEN, net);
}

/* A socket of packets was made. */
static __always_inline void se_request__socket(struct file *file)
{
	struct sock *sk = se_request__sock(file);
	struct se_net *net;

	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != SE_AF_PACKET)
		return;
	net = se_net__fresh(SE_KIND_NET_SOCKET, SE_NET_SOCKET, SE_HOOK_IO_URING_COMPLETE,
			    SE_CALL_NONE, 0, 0);
	if (!net)
		return;
	net->family = SE_AF_PACKET;
	net->socket_type = BPF_CORE_READ(sk, sk_type);
	net->protocol = se_port(BPF_CORE_READ((struct packet_sock *)sk, num));
	net->cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	net->actor.flags |= SE_ACTOR_IO_URING;
	se_submit(SE_KIND_NET_SOCKET, net);
}

/*
 * A request that has worked; `file` is the new socket, or the one to listen at. Who acts is the current task: it is
 * the program's own, or a thread that works for it.
 */
__noinline int se_request__net(__u32 opcode, __u64 file)
{
	struct sock *sk;

	switch (opcode) {
	case SE_OP_ACCEPT:
		sk = se_request__sock((void *)file);
		if (sk)
			se_net__accepted(sk, SE_HOOK_IO_URING_COMPLETE, SE_CALL_NONE);
		break;
	case SE_OP_LISTEN:
		se_request__listened((void *)file);
		break;
	case SE_OP_SOCKET:
		se_request__socket((void *)file);
		break;
	}
	return 0;
}

#endif
