/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Sockets: whose they are, what is known of the flow that runs over them, and the records about both.
 *
 * Much of what happens to a socket happens in an interrupt, where no task is to be blamed. So whoever asks for
 * a connection or accepts one is remembered under the address of the socket, in se_flows, until the flow ends.
 * The entry is a record in the making: reporting means to copy it.
 *
 * A connection that is asked for is reported once, by whichever program first knows the outcome. Which one that
 * is depends on the way in:
 *
 *   connect(2), its return is watched   the return, so that the address in user memory can be compared
 *   io_uring, fast open, the kernel     the change of state to established or back to closed
 *   datagrams                           the hook itself, as there is nothing to wait for
 *
 * SE_FLOW_BY_CALL tells the first from the others, SE_FLOW_REPORTED whether it is done. What is left when the
 * socket is released, as after a kill in the middle of connect(2), is reported then.
 */
#ifndef SE_NET_BPF_H
#define SE_NET_BPF_H

#include "filter.bpf.h"
#include "object.bpf.h"
#include "syscall.bpf.h"

enum se_inet {
	SE_AF_UNSPEC = 0,
	SE_AF_UNIX = 1,
	SE_AF_INET = 2,
	SE_AF_INET6 = 10,
	SE_AF_PACKET = 17,
	SE_IPPROTO_TCP = 6,
	SE_IPPROTO_UDP = 17,
	SE_SOCK_STREAM = 1,
	SE_SOCK_DGRAM = 2,
	SE_SOCK_RAW = 3,
	SE_SOCK_TYPE = 0xf, /* without SOCK_NONBLOCK and SOCK_CLOEXEC */
	SE_SOCK_DONE = 1,   /* a bit number: the other side has sent its last byte */
	SE_TCP_ESTABLISHED = 1,
	SE_TCP_SYN_SENT = 2,
	SE_TCP_SYN_RECV = 3,
	SE_TCP_CLOSE = 7,
	SE_TCP_LISTEN = 10,
	SE_UNIX_PATH_MAX = 108,
};

enum se_flow_state {
	SE_FLOW_ASKED = 1,	/* nothing was sent yet */
	SE_FLOW_CONNECTING = 2, /* waiting for the other side */
	SE_FLOW_OPEN = 3,
	SE_FLOW_FAILED = 4,
	SE_FLOW_LISTENING = 5, /* for a port that is not known yet */
};

enum se_flow_flag {
	SE_FLOW_BY_CALL = 1,
	SE_FLOW_REPORTED = 2,
	SE_FLOW_SKIPPED = 4, /* its owner is excluded */
};

struct se_flow {
	struct se_net net; /* without header, op and hook; the duration is that of the handshake */
	__u64 since_ns;	   /* asked for; established once it is open */
	__u32 state;	   /* enum se_flow_state */
	__u32 flags;	   /* enum se_flow_flag */
};

/* By the address of the struct sock. Entries go when the flow ends; memory is only taken for those there are. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u64);
	__type(value, struct se_flow);
} se_flows SEC(".maps") __weak;

struct se_peer {
	__u64 cookie;
	__u8 address[16];
	__u32 port;
	__u32 pad;
};

enum se_peer_state {
	SE_PEER_CAME = 1, /* the peer sent the first datagram */
	SE_PEER_REPORTED = 2,
};

/* Peers of sockets that are not connected. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct se_peer);
	__type(value, __u32);
} se_peers SEC(".maps") __weak;

/* enum se_net_part */
const volatile __u32 se_net_parts __weak = ~0U;
/* Connections of Unix stream sockets are reported. */
const volatile __u8 se_unix __weak = 0;

static __always_inline struct se_flow *se_flow_of(__u64 sk)
{
	return bpf_map_lookup_elem(&se_flows, &sk);
}

/* What an entry begins as; it is too large for the stack. */
const struct se_flow se_no_flow __weak = {};

/* A new and empty entry, in the place of an old one; NULL if there is no room. */
static __always_inline struct se_flow *se_flow__add(__u64 sk)
{
	bpf_map_update_elem(&se_flows, &sk, &se_no_flow, BPF_ANY);
	return se_flow_of(sk);
}

static __always_inline __u32 se_port(__be16 port)
{
	return __builtin_bswap16(port);
}

/* The call that the current task is in, if somebody handles its return; never one of an io_uring. */
static __always_inline __u32 se_net__call_now(void)
{
	struct task_struct *task;
	struct pt_regs *regs;
	__u32 nr;

	if (!se_has_typed_current() ||
	    !bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) {
		/* The registers lie at the end of the stack. Before 5.15 nothing is kept behind them. */
		task = (void *)bpf_get_current_task();
		if (BPF_CORE_READ(task, flags) & (SE_PF_KTHREAD | SE_PF_IO_WORKER))
			return SE_CALL_NONE;
		regs = BPF_CORE_READ(task, stack) + SE_THREAD_BYTES -
		       bpf_core_type_size(struct pt_regs);
#if defined(__TARGET_ARCH_x86)
		nr = (__u32)BPF_CORE_READ(regs, orig_ax) & ~SE_X32_BIT;
#else
		nr = BPF_CORE_READ(regs, syscallno);
#endif
		return se_syscall_numbered(nr, se_syscall_is_32(regs));
	}
	task = bpf_get_current_task_btf();
	if (task->flags & (SE_PF_KTHREAD | SE_PF_IO_WORKER))
		return SE_CALL_NONE;
	return se_syscall_call((void *)bpf_task_pt_regs(task));
}

static __always_inline bool se_net__is_in_connect(void)
{
	__u32 call = se_net__call_now();

	return call == SE_CALL_CONNECT || call == SE_CALL_SOCKETCALL;
}

static __always_inline bool se_net__is_port_skipped(__u32 local, __u32 remote)
{
	if (!(se_skips & SE_SKIP_PORT))
		return false;
	return bpf_map_lookup_elem(&se_skip_ports, &local) ||
	       bpf_map_lookup_elem(&se_skip_ports, &remote);
}

/*
 * Like se_admit(), for what may happen in an interrupt: whether the owner is excluded was found out when it was
 * at hand. Nothing is merged, as every connection counts.
 */
static __always_inline __u64 se_net__admit(__u32 kind, bool skipped, __u32 local, __u32 remote)
{
	__u64 now_ns = bpf_ktime_get_boot_ns();

	se_count(kind, SE_ATTEMPTED);
	if (se_skips && (skipped || se_net__is_port_skipped(local, remote))) {
		se_count(kind, SE_FILTERED);
		return 0;
	}
	if (se_is_over_rate(now_ns)) {
		se_count(kind, SE_RATE_LIMITED);
		return 0;
	}
	return now_ns;
}

/* Who acts; the one place where hooks of the network ask whether an io_uring is behind it. */
static __always_inline void se_net__act(struct se_actor *actor, __u32 hook, __u32 call)
{
	se_actor__fill(actor, hook, call);
}

/* Makes the current task the owner of a flow. */
static __always_inline void se_flow__own(struct se_flow *flow)
{
	se_net__act(&flow->net.actor, SE_HOOK_NONE, SE_CALL_NONE);
	if (se_skips && se_is_skipped((void *)bpf_get_current_task()))
		flow->flags |= SE_FLOW_SKIPPED;
}

/* Makes the current task the owner of a flow that began with what came in. */
static __always_inline void se_flow__claim(struct se_flow *flow)
{
	if (!(flow->net.flags & SE_NET_UNOWNED))
		return;
	flow->net.flags &= ~SE_NET_UNOWNED;
	__builtin_memset(&flow->net.actor, 0, sizeof(flow->net.actor));
	se_flow__own(flow);
}

/*
 * A record of the flow, for the caller to add to and hand to se_submit(). NULL if it is not to be made; that is
 * counted then.
 */
static __always_inline struct se_net *se_net__of_flow(const struct se_flow *flow, __u32 kind,
						      __u32 op, __u32 hook)
{
	struct se_net *net;
	__u64 now_ns;

	now_ns = se_net__admit(kind, flow->flags & SE_FLOW_SKIPPED, flow->net.local_port,
			       flow->net.remote_port);
	if (!now_ns)
		return NULL;
	net = bpf_ringbuf_reserve(&se_bulk, sizeof(*net), 0);
	if (!net) {
		se_count(kind, SE_RING_FULL);
		return NULL;
	}
	__builtin_memcpy(net, &flow->net, sizeof(*net));
	se_stamp_at(&net->header, kind, sizeof(*net), now_ns);
	net->op = op;
	net->actor.hook = hook;
	return net;
}

/* A record without a flow, about what the current task does. */
static __always_inline struct se_net *se_net__fresh(__u32 kind, __u32 op, __u32 hook, __u32 call,
						    __u32 local, __u32 remote)
{
	bool skipped = se_skips && se_is_skipped((void *)bpf_get_current_task());
	__u64 now_ns = se_net__admit(kind, skipped, local, remote);
	struct se_net *net;

	if (!now_ns)
		return NULL;
	net = se_reserve_bulk(kind, struct se_net, now_ns);
	if (!net)
		return NULL;
	se_net__act(&net->actor, hook, call);
	net->op = op;
	net->local_port = local;
	net->remote_port = remote;
	return net;
}

/*
 * The outcome of a connect, as far as it is known; the first who knows it reports it. NULL if there is nothing to
 * report any more.
 */
static __always_inline struct se_net *se_net__connected(struct se_flow *flow, __u32 hook,
							__s32 error, __u32 flags)
{
	struct se_net *net;

	if (flow->flags & SE_FLOW_REPORTED)
		return NULL;
	flow->flags |= SE_FLOW_REPORTED;
	if (!se_is_wanted(SE_KIND_NET_CONNECT))
		return NULL;
	net = se_net__of_flow(flow, SE_KIND_NET_CONNECT, SE_NET_CONNECT, hook);
	if (!net)
		return NULL;
	net->error = error;
	net->flags |= flags;
	if (flow->state != SE_FLOW_OPEN && !(flags & SE_NET_PENDING))
		net->duration_ns = net->header.ts_ns - flow->since_ns;
	return net;
}

static __always_inline void se_net__report(struct se_flow *flow, __u32 hook, __s32 error,
					   __u32 flags)
{
	struct se_net *net = se_net__connected(flow, hook, error, flags);

	if (net)
		se_submit(SE_KIND_NET_CONNECT, net);
}

/* What nobody has reported when the socket is used for something else or goes. */
static __always_inline void se_net__report_left(struct se_flow *flow, __u32 hook)
{
	if (flow->state == SE_FLOW_FAILED && flow->net.error)
		se_net__report(flow, hook, flow->net.error, 0);
	else if (flow->state != SE_FLOW_OPEN && flow->state != SE_FLOW_LISTENING)
		se_net__report(flow, hook, 0, SE_NET_PENDING);
}

/* Both ends of a socket, its kind and its cookie. `trusted` as in SE_READ(). */
static __always_inline void se_net__ends(struct se_net *net, const struct sock *sk,
					 const bool trusted)
{
	net->family = SE_READ(trusted, sk, __sk_common.skc_family);
	net->socket_type = SE_READ(trusted, sk, sk_type);
	net->protocol = SE_READ(trusted, sk, sk_protocol);
	net->local_port = SE_READ(trusted, sk, __sk_common.skc_num);
	net->remote_port = se_port(SE_READ(trusted, sk, __sk_common.skc_dport));
	net->cookie = SE_READ(trusted, sk, __sk_common.skc_cookie.counter);
	net->ifindex = SE_READ(trusted, sk, __sk_common.skc_bound_dev_if);
	if (net->family == SE_AF_INET) {
		*(__u32 *)net->local = SE_READ(trusted, sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)net->remote = SE_READ(trusted, sk, __sk_common.skc_daddr);
	} else if (net->family == SE_AF_INET6) {
		bpf_core_read(net->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(net->remote, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

static __always_inline bool se_is_inet(__u32 family)
{
	return family == SE_AF_INET || family == SE_AF_INET6;
}

/* The current task has accepted a connection: from here on it owns the flow. */
static __always_inline void se_net__accepted(struct sock *sk, __u32 hook, __u32 call)
{
	struct se_flow *flow;
	struct se_net *net;
	__u64 key = (__u64)sk;

	if (se_can_cast())
		sk = SE_CAST(struct sock, sk);
	if (!se_is_inet(SE_READ(se_can_cast(), sk, __sk_common.skc_family)))
		return;
	flow = se_flow__add(key);
	if (!flow) {
		/* The table is full: no end will be told of this flow, but its beginning is. */
		if (!se_is_wanted(SE_KIND_NET_ACCEPT))
			return;
		net = se_net__fresh(SE_KIND_NET_ACCEPT, SE_NET_ACCEPT, hook, call, 0, 0);
		if (!net)
			return;
		se_net__ends(net, sk, se_can_cast());
		net->flags = SE_NET_INCOMING;
		se_submit(SE_KIND_NET_ACCEPT, net);
		return;
	}
	se_flow__own(flow);
	se_net__ends(&flow->net, sk, se_can_cast());
	flow->net.flags = SE_NET_INCOMING;
	flow->since_ns = bpf_ktime_get_boot_ns();
	flow->state = SE_FLOW_OPEN;
	flow->flags |= SE_FLOW_REPORTED;
	if (se_is_wanted(SE_KIND_NET_ACCEPT)) {
		net = se_net__of_flow(flow, SE_KIND_NET_ACCEPT, SE_NET_ACCEPT, hook);
		if (net) {
			net->actor.call = call;
			se_submit(SE_KIND_NET_ACCEPT, net);
		}
	}
	/* It may have ended before it was accepted, and nobody would take the entry away. */
	if (flow->net.protocol != SE_IPPROTO_TCP ||
	    SE_READ(se_can_cast(), sk, __sk_common.skc_state) == SE_TCP_CLOSE)
		bpf_map_delete_elem(&se_flows, &key);
}

/* The same of the socket that a control group hook is about; the other end is the caller's to know. */
static __always_inline void se_net__own_end(struct se_net *net, struct bpf_sock *sk)
{
	__u32 *local = (__u32 *)net->local;

	net->family = sk->family;
	net->socket_type = sk->type;
	net->protocol = sk->protocol;
	net->local_port = sk->src_port;
	net->ifindex = sk->bound_dev_if;
	if (net->family == SE_AF_INET6) {
		local[0] = sk->src_ip6[0];
		local[1] = sk->src_ip6[1];
		local[2] = sk->src_ip6[2];
		local[3] = sk->src_ip6[3];
	} else {
		local[0] = sk->src_ip4;
	}
}

#endif
