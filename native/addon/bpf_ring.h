// SPDX-License-Identifier: Apache-2.0
// A reader of a BPF ring buffer on a namespace's thread.
#pragma once

#include "batch_listener.h"
#include "bpf_types.h"

struct ring_buffer;

namespace pw::bpf {

class RingReader : public Source {
 public:
  using Listener = BatchListener<Bytes>;
  RingReader(ObjectRef map, std::shared_ptr<Listener> listener)
      : map_(std::move(map)), listener_(std::move(listener)) {}
  Listener& listener() { return *listener_; }

 protected:
  void Begin(Executor& executor) override;
  void Halt(Executor& executor) override;

 private:
  void Consume(Executor& executor);
  static int OnRecord(void* self, void* data, size_t size);

  ObjectRef map_;
  std::shared_ptr<Listener> listener_;
  ring_buffer* ring_ = nullptr;
  std::vector<Bytes> batch_;
};

}  // namespace pw::bpf
