// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The network: connections, listening sockets, datagrams, and what went over them.
 *
 * Control group hooks see the addresses that the kernel goes on with, whatever way the request came; they allow
 * everything. The tracepoint on states of TCP sees how it ends. lib/net.bpf.h tells how they share the work.
 * The returns of system calls add what only they know: which error, who accepts, what the caller's memory says.
 */
#include "lib/net.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Every program on a control group hook ends with it: none of them ever forbids anything. */
enum {
	SE_ALLOW = 1,
};

/* The address that the kernel will use. */
static __always_inline void remote_end(struct se_net *net, struct bpf_sock_addr *ctx, const bool v6)
{
	__u32 *remote = (__u32 *)net->remote;

	net->remote_port = se_port(ctx->user_port);
	if (v6) {
		remote[0] = ctx->user_ip6[0];
		remote[1] = ctx->user_ip6[1];
		remote[2] = ctx->user_ip6[2];
		remote[3] = ctx->user_ip6[3];
	} else {
		remote[0] = ctx->user_ip4;
	}
}

static __always_inline void begin_flow(struct se_flow *flow, struct bpf_sock_addr *ctx,
				       struct bpf_sock *socket, const bool v6)
{
	se_flow__own(flow);
	se_net__own_end(&flow->net, socket);
	remote_end(&flow->net, ctx, v6);
	flow->since_ns = bpf_ktime_get_boot_ns();
}

/* The table of flows is full: nobody will know how the attempt ends, so it is told at once. */
static __always_inline void report_untracked(struct bpf_sock_addr *ctx, struct bpf_sock *socket,
					     const bool v6)
{
	struct se_net *net;

	if (!se_is_wanted(SE_KIND_NET_CONNECT))
		return;
	net = se_net__fresh(SE_KIND_NET_CONNECT, SE_NET_CONNECT, SE_HOOK_CGROUP_CONNECT,
			    SE_CALL_NONE, socket->src_port, se_port(ctx->user_port));
	if (!net)
		return;
	se_net__own_end(net, socket);
	remote_end(net, ctx, v6);
	net->cookie = bpf_get_socket_cookie(ctx);
	net->flags = SE_NET_PENDING;
	se_submit(SE_KIND_NET_CONNECT, net);
}

static __always_inline int on_connect(struct bpf_sock_addr *ctx, const bool v6)
{
	__u64 sk = ctx->sk_bits;
	struct bpf_sock *socket = ctx->sk;
	struct se_flow *flow;

	/* Others are left to the return of the call. */
	if (!socket || (ctx->protocol != SE_IPPROTO_TCP && ctx->protocol != SE_IPPROTO_UDP))
		return SE_ALLOW;
	flow = se_flow_of(sk);
	if (flow)
		se_net__report_left(flow, SE_HOOK_CGROUP_CONNECT);
	flow = se_flow__add(sk);
	if (!flow) {
		report_untracked(ctx, socket, v6);
		return SE_ALLOW;
	}
	begin_flow(flow, ctx, socket, v6);
	flow->net.cookie = bpf_get_socket_cookie(ctx);
	flow->state = SE_FLOW_ASKED;
	if (se_net__is_in_connect()) {
		flow->flags |= SE_FLOW_BY_CALL;
	} else if (ctx->protocol == SE_IPPROTO_UDP) {
		flow->state = SE_FLOW_OPEN;
		se_net__report(flow, SE_HOOK_CGROUP_CONNECT, 0, 0);
	}
	return SE_ALLOW;
}

SEC("cgroup/connect4")
int se_connect4(struct bpf_sock_addr *ctx)
{
	return on_connect(ctx, false);
}

SEC("cgroup/connect6")
int se_connect6(struct bpf_sock_addr *ctx)
{
	return on_connect(ctx, true);
}

/* A datagram with an address of its own: the first to a peer is an event. */
static __always_inline int on_sendmsg(struct bpf_sock_addr *ctx, const bool v6)
{
	__u64 sk = ctx->sk_bits;
	__u32 reported = SE_PEER_REPORTED, *state;
	struct bpf_sock *socket = ctx->sk;
	struct se_peer peer = {};
	struct se_flow *flow;
	struct se_net *net;

	if (!socket)
		return SE_ALLOW;
	peer.cookie = bpf_get_socket_cookie(ctx);
	peer.port = se_port(ctx->user_port);
	if (v6) {
		__u32 *address = (__u32 *)peer.address;

		address[0] = ctx->user_ip6[0];
		address[1] = ctx->user_ip6[1];
		address[2] = ctx->user_ip6[2];
		address[3] = ctx->user_ip6[3];
	} else {
		*(__u32 *)peer.address = ctx->user_ip4;
	}
	state = bpf_map_lookup_elem(&se_peers, &peer);
	if (state && *state == SE_PEER_REPORTED)
		return SE_ALLOW;
	bpf_map_update_elem(&se_peers, &peer, &reported, BPF_ANY);
	flow = se_flow_of(sk);
	if (flow) {
		se_flow__claim(flow);
	} else {
		flow = se_flow__add(sk);
		if (flow) {
			begin_flow(flow, ctx, socket, v6);
			flow->net.cookie = peer.cookie;
			flow->net.flags = state ? SE_NET_INCOMING : 0;
			flow->state = SE_FLOW_OPEN;
			flow->flags |= SE_FLOW_REPORTED;
		}
	}
	if (!se_is_wanted(SE_KIND_NET_CONNECT))
		return SE_ALLOW;
	net = se_net__fresh(SE_KIND_NET_CONNECT, SE_NET_DATAGRAM, SE_HOOK_CGROUP_SENDMSG,
			    SE_CALL_NONE, socket->src_port, peer.port);
	if (!net)
		return SE_ALLOW;
	se_net__own_end(net, socket);
	__builtin_memcpy(net->remote, peer.address, sizeof(net->remote));
	net->cookie = peer.cookie;
	if (state)
		net->flags |= SE_NET_INCOMING;
	se_submit(SE_KIND_NET_CONNECT, net);
	return SE_ALLOW;
}

SEC("cgroup/sendmsg4")
int se_sendmsg4(struct bpf_sock_addr *ctx)
{
	return on_sendmsg(ctx, false);
}

SEC("cgroup/sendmsg6")
int se_sendmsg6(struct bpf_sock_addr *ctx)
{
	return on_sendmsg(ctx, true);
}

/* The address is taken and the port known, also where any was asked for. */
static __always_inline int on_bound(struct bpf_sock *ctx, const bool v6)
{
	struct se_net *net;

	if (!se_is_wanted(SE_KIND_NET_BIND))
		return SE_ALLOW;
	net = se_net__fresh(SE_KIND_NET_BIND, SE_NET_BIND, SE_HOOK_CGROUP_POST_BIND, SE_CALL_NONE,
			    ctx->src_port, 0);
	if (!net)
		return SE_ALLOW;
	net->family = ctx->family;
	net->socket_type = ctx->type;
	net->protocol = ctx->protocol;
	net->cookie = bpf_get_socket_cookie(ctx);
	if (v6) {
		__u32 *local = (__u32 *)net->local;

		local[0] = ctx->src_ip6[0];
		local[1] = ctx->src_ip6[1];
		local[2] = ctx->src_ip6[2];
		local[3] = ctx->src_ip6[3];
	} else {
		*(__u32 *)net->local = ctx->src_ip4;
	}
	se_submit(SE_KIND_NET_BIND, net);
	return SE_ALLOW;
}

SEC("cgroup/post_bind4")
int se_post_bind4(struct bpf_sock *ctx)
{
	return on_bound(ctx, false);
}

SEC("cgroup/post_bind6")
int se_post_bind6(struct bpf_sock *ctx)
{
	return on_bound(ctx, true);
}

/* Raw sockets; those of packets do not come by here. */
SEC("cgroup/sock_create")
int se_sock_create(struct bpf_sock *ctx)
{
	struct se_net *net;

	if (ctx->type != SE_SOCK_RAW || !se_is_wanted(SE_KIND_NET_SOCKET))
		return SE_ALLOW;
	net = se_net__fresh(SE_KIND_NET_SOCKET, SE_NET_SOCKET, SE_HOOK_CGROUP_SOCK_CREATE,
			    SE_CALL_NONE, 0, 0);
	if (!net)
		return SE_ALLOW;
	net->family = ctx->family;
	net->socket_type = ctx->type;
	net->protocol = ctx->protocol;
	net->cookie = bpf_get_socket_cookie(ctx);
	se_submit(SE_KIND_NET_SOCKET, net);
	return SE_ALLOW;
}

/* Its owner is done with the socket: the end of a flow of datagrams, and of what was never decided. */
SEC("cgroup/sock_release")
int se_sock_release(struct bpf_sock *ctx)
{
	__u64 sk = (__u64)ctx, now_ns;
	struct se_flow *flow;
	struct se_net *net;

	/* Of TCP only what was never decided ends here. */
	if (ctx->protocol == SE_IPPROTO_TCP && ctx->state != SE_TCP_CLOSE &&
	    ctx->state != SE_TCP_SYN_SENT)
		return SE_ALLOW;
	flow = se_flow_of(sk);
	if (!flow)
		return SE_ALLOW;
	se_net__report_left(flow, SE_HOOK_CGROUP_SOCK_RELEASE);
	if (ctx->protocol == SE_IPPROTO_TCP) {
		/* What is open goes on until both sides are done; its state tells. */
		if (flow->state == SE_FLOW_ASKED || flow->state == SE_FLOW_FAILED)
			bpf_map_delete_elem(&se_flows, &sk);
		return SE_ALLOW;
	}
	if (se_is_wanted(SE_KIND_NET_FLOW) && flow->state == SE_FLOW_OPEN) {
		se_flow__claim(flow);
		net = se_net__of_flow(flow, SE_KIND_NET_FLOW, SE_NET_END,
				      SE_HOOK_CGROUP_SOCK_RELEASE);
		if (net) {
			now_ns = net->header.ts_ns;
			net->duration_ns = now_ns - flow->since_ns;
			se_submit(SE_KIND_NET_FLOW, net);
		}
	}
	bpf_map_delete_elem(&se_flows, &sk);
	return SE_ALLOW;
}

/* The first segment goes out: addresses are settled. */
static __always_inline void on_syn_sent(const struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct se_flow *flow = se_flow_of(key);

	if (flow && flow->state == SE_FLOW_ASKED) {
		flow->state = SE_FLOW_CONNECTING;
		return;
	}
	/* There are no hooks. */
	flow = se_flow__add(key);
	if (!flow)
		return;
	se_flow__own(flow);
	se_net__ends(&flow->net, sk, true);
	flow->since_ns = bpf_ktime_get_boot_ns();
	flow->state = SE_FLOW_CONNECTING;
	if (se_net__is_in_connect())
		flow->flags |= SE_FLOW_BY_CALL;
}

static __always_inline void on_established(const struct sock *sk, int old)
{
	__u64 key = (__u64)sk, now_ns;
	struct se_flow *flow;
	struct se_net *net;

	if (old == SE_TCP_SYN_SENT) {
		flow = se_flow_of(key);
		if (!flow)
			return;
		/* Where it went out of is known only now. */
		se_net__ends(&flow->net, sk, true);
		now_ns = bpf_ktime_get_boot_ns();
		flow->net.duration_ns = now_ns - flow->since_ns;
		flow->since_ns = now_ns;
		flow->state = SE_FLOW_OPEN;
		if (!(flow->flags & SE_FLOW_BY_CALL))
			se_net__report(flow, SE_HOOK_INET_SOCK_SET_STATE, 0, 0);
		return;
	}
	if (se_net_parts & SE_NET_PART_ACCEPT || !se_is_wanted(SE_KIND_NET_ACCEPT))
		return;
	/* Nobody will see it together with the task that accepts it. */
	flow = se_flow__add(key);
	if (!flow)
		return;
	se_net__ends(&flow->net, sk, true);
	flow->net.actor.net_ns = sk->__sk_common.skc_net.net->ns.inum;
	flow->net.actor.loginuid = -1;
	flow->net.flags = SE_NET_INCOMING | SE_NET_UNOWNED;
	flow->since_ns = bpf_ktime_get_boot_ns();
	flow->state = SE_FLOW_OPEN;
	flow->flags = SE_FLOW_REPORTED;
	net = se_net__of_flow(flow, SE_KIND_NET_ACCEPT, SE_NET_ACCEPT, SE_HOOK_INET_SOCK_SET_STATE);
	if (net)
		se_submit(SE_KIND_NET_ACCEPT, net);
}

static __always_inline void on_listen(const struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct se_net *net;

	if (!se_is_wanted(SE_KIND_NET_LISTEN))
		return;
	if (!sk->__sk_common.skc_num && se_net__call_now() == SE_CALL_LISTEN) {
		struct se_flow *flow = se_flow__add(key);

		/* The port comes after this; the return of the call reports it. */
		if (flow)
			flow->state = SE_FLOW_LISTENING;
		return;
	}
	net = se_net__fresh(SE_KIND_NET_LISTEN, SE_NET_LISTEN, SE_HOOK_INET_SOCK_SET_STATE,
			    SE_CALL_NONE, sk->__sk_common.skc_num, 0);
	if (!net)
		return;
	se_net__ends(net, sk, true);
	net->backlog = sk->sk_max_ack_backlog;
	se_submit(SE_KIND_NET_LISTEN, net);
}

/* What went over a connection. SYN and FIN have numbers too but are no bytes of anybody. */
static __always_inline void count_bytes(struct se_net *net, const struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock((void *)sk);

	if (!tcp)
		return;
	net->bytes_sent = tcp->bytes_sent - tcp->bytes_retrans;
	net->bytes_received = tcp->bytes_received;
	if (net->bytes_received && sk->__sk_common.skc_flags & 1UL << SE_SOCK_DONE)
		net->bytes_received--;
	net->packets_sent = tcp->segs_out;
	net->packets_received = tcp->segs_in;
	/* A port that was not asked for is given back before this. */
	net->local_port = se_port(tcp->inet_conn.icsk_inet.inet_sport);
}

static __always_inline void on_flow_end(const struct sock *sk, struct se_flow *flow)
{
	struct se_net *net;
	__u64 now_ns;

	if (!se_is_wanted(SE_KIND_NET_FLOW))
		return;
	if (flow) {
		net = se_net__of_flow(flow, SE_KIND_NET_FLOW, SE_NET_END,
				      SE_HOOK_INET_SOCK_SET_STATE);
		if (!net)
			return;
		now_ns = net->header.ts_ns;
		net->duration_ns = now_ns - flow->since_ns;
	} else {
		/* Older than the agent, or nobody ever accepted it. */
		now_ns = se_net__admit(SE_KIND_NET_FLOW, false, sk->__sk_common.skc_num,
				       se_port(sk->__sk_common.skc_dport));
		if (!now_ns)
			return;
		net = se_reserve_bulk(SE_KIND_NET_FLOW, struct se_net, now_ns);
		if (!net)
			return;
		se_net__ends(net, sk, true);
		net->op = SE_NET_END;
		net->flags = SE_NET_UNOWNED;
		net->actor.hook = SE_HOOK_INET_SOCK_SET_STATE;
		net->actor.net_ns = sk->__sk_common.skc_net.net->ns.inum;
		net->actor.loginuid = -1;
	}
	count_bytes(net, sk);
	net->error = -sk->sk_err;
	se_submit(SE_KIND_NET_FLOW, net);
}

static __always_inline void on_closed(const struct sock *sk, int old)
{
	__u64 key = (__u64)sk;
	struct se_flow *flow;

	if (old == SE_TCP_CLOSE || old == SE_TCP_SYN_RECV)
		return;
	flow = se_flow_of(key);
	if (old == SE_TCP_SYN_SENT) {
		if (!flow)
			return;
		flow->net.error = -sk->sk_err;
		if (flow->flags & SE_FLOW_REPORTED) {
			/* It was pending, and now it is known that it never came to be. */
			if (flow->net.error)
				on_flow_end(sk, flow);
		} else if (flow->flags & SE_FLOW_BY_CALL) {
			flow->state = SE_FLOW_FAILED;
			return;
		} else {
			flow->state = SE_FLOW_FAILED;
			se_net__report_left(flow, SE_HOOK_INET_SOCK_SET_STATE);
		}
	} else if (old != SE_TCP_LISTEN) {
		/* Over before connect(2) has returned. */
		if (flow)
			se_net__report(flow, SE_HOOK_INET_SOCK_SET_STATE, 0, 0);
		on_flow_end(sk, flow);
	}
	if (flow)
		bpf_map_delete_elem(&se_flows, &key);
}

SEC("tp_btf/inet_sock_set_state")
int SE_PROG(se_sock_state, const struct sock *sk, const int old, const int new)
{
	if (new != SE_TCP_ESTABLISHED &&new != SE_TCP_CLOSE &&new != SE_TCP_SYN_SENT &&new !=
	    SE_TCP_LISTEN)
		return 0;
	if (sk->sk_protocol != SE_IPPROTO_TCP)
		return 0;
	switch (new) {
	case SE_TCP_SYN_SENT:
		on_syn_sent(sk);
		break;
	case SE_TCP_ESTABLISHED:
		on_established(sk, old);
		break;
	case SE_TCP_LISTEN:
		on_listen(sk);
		break;
	default:
		on_closed(sk, old);
	}
	return 0;
}
