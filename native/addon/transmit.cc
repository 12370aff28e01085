// SPDX-License-Identifier: Apache-2.0
// Frames sent out of a device, by a socket that receives nothing and is gone when they are on their way.
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <vector>

#include "convert.h"
#include "fd.h"
#include "js_handle.h"
#include "namespace.h"
#include "route_state.h"

namespace pw {

namespace {

// The promise resolves when the socket is closed, which takes some 10 ms: the kernel waits until nobody can use it any
// more (packet_release, net/packet/af_packet.c).
void Transmit(uint32_t ifindex, const Frames& frames) {
  const std::string device = "ifindex " + std::to_string(ifindex);
  // Protocol 0: it is bound to none, so nothing that arrives is of interest.
  const Fd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd) throw KernelError(errno, "socket AF_PACKET", device);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(ifindex);
  for (const auto& frame : frames) {
    const auto* to = reinterpret_cast<const sockaddr*>(&address);
    if (sendto(fd.get(), frame.data(), frame.size(), MSG_DONTWAIT, to, sizeof address) < 0) {
      throw KernelError(errno, "send AF_PACKET", device, std::to_string(frame.size()) + " bytes");
    }
  }
}

// transmit(ns, ifindex, frames)
Napi::Value TransmitFrames(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  const uint32_t ifindex = ToU32(info[1], "ifindex", INT32_MAX);
  Frames frames = FramesOf(info[2]);
  return context->executor->Run(info.Env(), [ifindex, frames = std::move(frames)] { Transmit(ifindex, frames); });
}

}  // namespace

void InitTransmit(Napi::Env, Napi::Object exports) {
  Export<TransmitFrames>(exports, "transmit");
}

}  // namespace pw
