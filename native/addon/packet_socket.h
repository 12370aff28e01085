// SPDX-License-Identifier: Apache-2.0
// An AF_PACKET socket that a namespace's thread reads for JavaScript.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "batch_listener.h"
#include "fd.h"

namespace pw {

struct Frame {
  std::vector<uint8_t> data;
  bool tagged = false;
  uint16_t tpid = 0, tci = 0;
  uint8_t packet_type = 0;
  int64_t timestamp_ns = 0;
};

struct PacketOptions {
  uint32_t ifindex = 0;
  uint16_t protocol = 0;  // host byte order
  bool promiscuous = false, outgoing = false;
};

class PacketSocket : public Source {
 public:
  using Listener = BatchListener<Frame>;
  PacketSocket(const PacketOptions& options, std::shared_ptr<Listener> listener)
      : options_(options), listener_(std::move(listener)) {}
  Listener& listener() { return *listener_; }

  // Namespace's thread.
  void Send(Executor& executor, const std::vector<uint8_t>& frame);

 protected:
  void Begin(Executor& executor) override;
  void Halt(Executor& executor) override;

 private:
  Fd Open() const;
  void Read(Executor& executor);

  const PacketOptions options_;
  std::shared_ptr<Listener> listener_;
  Fd fd_;
  uint32_t kernel_drops_ = 0;  // as SO_RXQ_OVFL counts them
};

}  // namespace pw
