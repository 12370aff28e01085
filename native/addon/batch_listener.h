// SPDX-License-Identifier: Apache-2.0
// A JavaScript callback that a namespace's thread feeds with batches, and a bound on what waits for it: beyond that,
// items are dropped and counted instead of filling the memory.
#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_set>
#include <utility>
#include <vector>

#include "executor.h"

namespace pw {

template <class Item>
class BatchListener : public std::enable_shared_from_this<BatchListener<Item>> {
 public:
  using Convert = Napi::Value (*)(Napi::Env, const Item&);

  // JavaScript thread.
  BatchListener(const Napi::Function& fn, size_t limit, Convert convert)
      : fn_(Napi::Persistent(fn)), limit_(limit), convert_(convert) {
    fn_.SuppressDestruct();  // released by Forget() only, which runs on the right thread
  }
  void Forget() { fn_.Reset(); }

  // Namespace's thread.
  bool HasRoom(size_t more) const { return pending_ + more < limit_; }
  void CountDropped(uint64_t n) { dropped_ += n; }
  void Deliver(Executor& executor, std::vector<Item> items) {
    if (items.empty()) return;
    pending_ += items.size();
    auto batch = std::make_shared<std::vector<Item>>(std::move(items));
    executor.Post([self = this->shared_from_this(), batch](Napi::Env env) {
      self->pending_ -= batch->size();
      if (self->fn_.IsEmpty()) return;
      Napi::Array array = Napi::Array::New(env, batch->size());
      for (size_t i = 0; i < batch->size(); i++) {
        Napi::HandleScope scope(env);
        array.Set(static_cast<uint32_t>(i), self->convert_(env, (*batch)[i]));
      }
      self->fn_.Call({array});
    });
  }

  // Any thread.
  uint64_t dropped() const { return dropped_; }

 private:
  Napi::FunctionReference fn_;
  const size_t limit_;
  const Convert convert_;
  std::atomic<size_t> pending_{0};
  std::atomic<uint64_t> dropped_{0};
};

// What watches a descriptor on a namespace's thread until it is stopped; at the latest when the thread ends.
class Source : public std::enable_shared_from_this<Source> {
 public:
  virtual ~Source() = default;
  void Start(Executor& executor) {  // namespace's thread
    thread_local std::unordered_set<std::shared_ptr<Source>>* running = nullptr;
    if (running == nullptr) {
      running = new std::unordered_set<std::shared_ptr<Source>>();
      executor.AtEnd([&executor] {
        for (const auto& source : std::exchange(*running, {})) source->Halt(executor);
        delete std::exchange(running, nullptr);
      });
    }
    Begin(executor);
    owner_ = &executor;
    running->insert(shared_from_this());
    running_ = running;
  }
  void Stop(Executor& executor) {  // namespace's thread; idempotent
    CheckThread(executor);
    auto self = shared_from_this();
    if (running_ && running_->erase(self)) Halt(executor);
  }

  // The thread that it is called on must be the one that it runs on.
  void CheckThread(Executor& executor) const {
    if (owner_ != &executor) throw KernelError(EINVAL, "close", "", "it was opened by another namespace's thread");
  }

 protected:
  virtual void Begin(Executor& executor) = 0;
  virtual void Halt(Executor& executor) = 0;

 private:
  Executor* owner_ = nullptr;
  std::unordered_set<std::shared_ptr<Source>>* running_ = nullptr;
};

}  // namespace pw
