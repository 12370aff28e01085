// SPDX-License-Identifier: Apache-2.0
#include "bpf_ring.h"

#include <bpf/libbpf.h>
#include <sys/epoll.h>

namespace pw::bpf {

namespace {

// Records taken before the thread turns to other work. The descriptor stays readable while there are more.
constexpr size_t kBatch = 1024;

}  // namespace

void RingReader::Begin(Executor& executor) {
  if (map_->info().type != BPF_MAP_TYPE_RINGBUF) {
    throw KernelError(EINVAL, "ring_buffer__new", map_->info().name, "the map is not a ring buffer");
  }
  ring_ = ring_buffer__new(map_->fd(), OnRecord, this, nullptr);
  if (ring_ == nullptr) throw KernelError(errno, "ring_buffer__new", map_->info().name);
  try {
    executor.Watch(ring_buffer__epoll_fd(ring_), EPOLLIN, [this, &executor](uint32_t) { Consume(executor); });
  } catch (...) {
    ring_buffer__free(std::exchange(ring_, nullptr));
    throw;
  }
}

void RingReader::Halt(Executor& executor) {
  if (ring_ == nullptr) return;
  executor.Unwatch(ring_buffer__epoll_fd(ring_));
  ring_buffer__free(std::exchange(ring_, nullptr));
  executor.Post([listener = listener_](Napi::Env) { listener->Forget(); });
}

void RingReader::Consume(Executor& executor) {
  ring_buffer__consume(ring_);  // an error is OnRecord's EAGAIN: enough for this round
  listener_->Deliver(executor, std::exchange(batch_, {}));
}

int RingReader::OnRecord(void* data, void* record, size_t size) {
  auto* self = static_cast<RingReader*>(data);
  if (self->listener_->HasRoom(self->batch_.size())) {
    auto* bytes = static_cast<const uint8_t*>(record);
    self->batch_.emplace_back(bytes, bytes + size);
  } else {
    self->listener_->CountDropped(1);
  }
  return self->batch_.size() >= kBatch ? -EAGAIN : 0;
}

}  // namespace pw::bpf
