// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Operations that run through an io_uring: the same events as of the system calls they stand for.
 *
 * No system call returns them, so the request is followed instead. At its submission, in the program's own thread
 * or in the one that polls the queue, what it names is kept together with who submitted it (lib/request.bpf.h).
 * The event is made when the result is known, which is the first of
 *
 *   - the submission of the ring's next request, if this one was done at once. Completions are only announced for
 *     a whole batch, and by then a later request of the batch may have closed the descriptor that this one opened;
 *   - the completion, wherever it comes: in the submitting thread, a worker or the polling thread;
 *   - the overflow of the completion queue, as newer kernels announce no completion then.
 *
 * A request whose success is announced to nobody (IOSQE_CQE_SKIP_SUCCESS), and one for which there is no room to
 * wait, is reported at its submission and says so (SE_FILE_PENDING).
 *
 * Requests can be read from Linux 6.0 on, so bpf_loop() is there and no bounded twin is needed. Not seen: an
 * unwatched name of a link to a watched file, opened for reading with a success that is announced to nobody.
 */
#include "lib/request_file.bpf.h"
#include "lib/request_net.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum se_requests {
	SE_REQUESTS_WAITING = 256,
	SE_REQUESTS_BATCH = 128, /* looked through for those whose completion nobody announces */
	SE_REQUESTS_MULTISHOT = 4096,
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SE_REQUESTS_WAITING);
	__type(key, __u64); /* address of the request */
	__type(value, struct se_request);
} se_requests SEC(".maps");

/* Requests that accept again and again; their completions name no request. The value is the slot, as of a request. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SE_REQUESTS_MULTISHOT);
	__type(key, struct se_completion);
	__type(value, __u32);
} se_multishots SEC(".maps");

/* The file of a descriptor that a request returned. */
static __always_inline struct file *returned(struct io_ring_ctx *ring, __u32 slot, int res)
{
	if (slot)
		return se_request__direct(ring, slot == SE_REQUEST_ANY_SLOT ? res : slot - 1);
	return se_file_of((void *)bpf_get_current_task(), res);
}

/* The request is done with this result. */
static __always_inline void settle(struct io_kiocb *req, int res, const __u32 lane)
{
	__u64 key = (__u64)req;
	struct se_request *kept = bpf_map_lookup_elem(&se_requests, &key);

	if (!kept)
		return;
	kept->file = BPF_CORE_READ(req, file);
	switch (kept->opcode) {
	case SE_OP_ACCEPT:
	case SE_OP_SOCKET:
		if (res >= 0)
			se_request__net(kept->opcode,
					(__u64)returned(kept->completion.ring, kept->slot, res));
		break;
	case SE_OP_LISTEN:
		if (res >= 0)
			se_request__net(kept->opcode, (__u64)kept->file);
		break;
	default:
		se_request__report(kept, res, lane, false);
	}
	bpf_map_delete_elem(&se_requests, &key);
}

/* A completion: of a request, or one of many that a request makes. */
static __always_inline void on_complete(struct io_ring_ctx *ring, struct io_kiocb *req,
					__u64 user_data, int res)
{
	struct se_completion key = {ring, user_data};
	__u32 *slot;

	if (req) {
		settle(req, res, SE_LANE_URING_COMPLETE);
		return;
	}
	slot = bpf_map_lookup_elem(&se_multishots, &key);
	if (slot && res >= 0)
		se_request__net(SE_OP_ACCEPT, (__u64)returned(ring, *slot, res));
}

/* Of the requests that are done and not announced yet, the last one. */
static __always_inline void settle_last(struct io_ring_ctx *ring, const __u32 lane)
{
	struct io_wq_work_node *node = BPF_CORE_READ(ring, submit_state.compl_reqs.last);
	struct io_kiocb *req;

	if (!BPF_CORE_READ(ring, submit_state.compl_reqs.first) || !node)
		return;
	req = (void *)node - bpf_core_field_offset(struct io_kiocb, comp_list);
	settle(req, BPF_CORE_READ(req, cqe.res), lane);
}

static __always_inline void on_submit(struct io_kiocb *req)
{
	const __u32 lane = SE_LANE_URING_SUBMIT;
	struct se_buf *buf = se_file__buf(lane);
	struct se_request *kept;
	__u64 key = (__u64)req;

	settle_last(BPF_CORE_READ(req, ctx), lane);
	if (!buf)
		return;
	kept = (void *)buf->tail;
	__builtin_memset(kept, 0, __builtin_offsetof(struct se_request, name));
	if (!se_request__fill(kept, req))
		return;
	se_request__keep_starts(kept, lane);
	if (kept->opcode == SE_OP_ACCEPT && kept->flags & SE_ACCEPT_MULTISHOT)
		bpf_map_update_elem(&se_multishots, &kept->completion, &kept->slot, BPF_ANY);
	if (BPF_CORE_READ(req, flags) & SE_REQUEST_CQE_SKIP ||
	    bpf_map_update_elem(&se_requests, &key, kept, BPF_ANY)) {
		/* Out of the way of the record, which is built over it. */
		se_request__report(kept, 0, SE_LANE_URING_COMPLETE, true);
	}
}

SEC("tp_btf/io_uring_submit_req")
int SE_PROG(se_uring_submit, struct io_kiocb *req)
{
	on_submit(req);
	return 0;
}

/* The same under its older name. */
SEC("tp_btf/io_uring_submit_sqe")
int SE_PROG(se_uring_sqe, struct io_kiocb *req)
{
	on_submit(req);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int SE_PROG(se_uring_done, struct io_ring_ctx *ring, struct io_kiocb *req, struct io_uring_cqe *cqe)
{
	on_complete(ring, req, BPF_CORE_READ(cqe, user_data), BPF_CORE_READ(cqe, res));
	return 0;
}

/* The same before it handed over the completion. */
SEC("tp_btf/io_uring_complete")
int SE_PROG(se_uring_result, struct io_ring_ctx *ring, struct io_kiocb *req, __u64 user_data,
	    int res)
{
	on_complete(ring, req, user_data, res);
	return 0;
}

/* One request of a batch; 1 at its end. */
static long settle_step(__u32 index, struct io_wq_work_node **node)
{
	struct io_kiocb *req;

	if (!*node)
		return 1;
	req = (void *)*node - bpf_core_field_offset(struct io_kiocb, comp_list);
	settle(req, BPF_CORE_READ(req, cqe.res), SE_LANE_URING_COMPLETE);
	*node = BPF_CORE_READ(*node, next);
	return 0;
}

/*
 * The completion queue is full. Which request it is about is not said, so all are settled that are done: those
 * of the batch, or the one that this worker has at hand.
 */
SEC("tp_btf/io_uring_cqe_overflow")
int SE_PROG(se_uring_over, struct io_ring_ctx *ring)
{
	struct io_wq_work_node *node = BPF_CORE_READ(ring, submit_state.compl_reqs.first);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct io_worker *worker = BPF_CORE_READ((struct task_struct___uring *)task,
						 worker_private);
	struct io_wq_work *work;
	struct io_kiocb *req;

	if (!(BPF_CORE_READ(task, flags) & SE_PF_IO_WORKER) || !worker) {
		bpf_loop(SE_REQUESTS_BATCH, settle_step, &node, 0);
		return 0;
	}
	work = BPF_CORE_READ(worker, cur_work);
	if (!work)
		return 0;
	req = (void *)work - bpf_core_field_offset(struct io_kiocb, work);
	settle(req, BPF_CORE_READ(req, cqe.res), SE_LANE_URING_COMPLETE);
	return 0;
}
