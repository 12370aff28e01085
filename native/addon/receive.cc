// SPDX-License-Identifier: Apache-2.0
// Frames put into a device as if they had come in there. A program of four instructions is run over each frame
// (BPF_PROG_TEST_RUN) and puts a copy of it on the device's way in: bpf_clone_redirect with BPF_F_INGRESS, which goes
// by dev_forward_skb() into the backlog of this CPU, and from there by the ingress hook (tcx, clsact) and the device's
// master, whatever kind of device it is. Live frames of XDP would not do: they want a receive queue that is registered
// for XDP (xdp_convert_md_to_buff, net/bpf/test_run.c), and a veth or tap has none as long as nobody runs XDP there.
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "convert.h"
#include "fd.h"
#include "js_handle.h"
#include "namespace.h"
#include "route_state.h"

namespace pw {

namespace {

// r2 = skb->ifindex; r3 = BPF_F_INGRESS; return bpf_clone_redirect(skb, r2, r3)
Fd LoadProgram() {
  const bpf_insn program[] = {
      {BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(__sk_buff, ifindex), 0},
      {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, BPF_F_INGRESS},
      {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_clone_redirect},
      {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
  };
  const size_t count = sizeof program / sizeof program[0];
  Fd fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pw_receive", "Apache-2.0", program, count, nullptr));
  if (!fd) throw KernelError(errno, "BPF_PROG_LOAD", "pw_receive");
  return fd;
}

void Receive(const Fd& program, uint32_t ifindex, const std::vector<uint8_t>& frame) {
  const std::string object = "ifindex " + std::to_string(ifindex);
  __sk_buff context{};
  context.ifindex = ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_size_in = static_cast<uint32_t>(frame.size()),
              .ctx_in = &context, .ctx_size_in = sizeof context);
  if (bpf_prog_test_run_opts(program.get(), &run) < 0) throw KernelError(errno, "BPF_PROG_TEST_RUN", object);
  const auto result = static_cast<int32_t>(run.retval);
  if (result < 0) throw KernelError(result, "bpf_clone_redirect", object);
  // NET_RX_DROP (linux/netdevice.h)
  if (result > 0) throw KernelError(ENETDOWN, "bpf_clone_redirect", object, "it is down, or its backlog is full");
}

// receive(ns, ifindex, frames)
Napi::Value ReceiveFrames(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  const uint32_t ifindex = ToU32(info[1], "ifindex", INT32_MAX);
  Frames frames = FramesOf(info[2]);
  return context->executor->Run(info.Env(), [ifindex, frames = std::move(frames)] {
    if (frames.empty()) return;
    const Fd program = LoadProgram();
    for (const auto& frame : frames) Receive(program, ifindex, frame);
  });
}

}  // namespace

void InitReceive(Napi::Env, Napi::Object exports) {
  Export<ReceiveFrames>(exports, "receive");
}

}  // namespace pw
