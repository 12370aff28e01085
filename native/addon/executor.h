// SPDX-License-Identifier: Apache-2.0
// A thread that has entered one network namespace, and the only way to do kernel work there. JavaScript submits work
// and gets a promise; the thread never touches JavaScript: results go back through one thread-safe function.
#pragma once

#include <napi.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "error.h"

namespace pw {

class Executor {
 public:
  using Work = std::function<void()>;
  using JsCall = std::function<void(Napi::Env)>;

  // JavaScript thread. The new thread is in the process's own namespace until work moves it.
  static std::shared_ptr<Executor> Start(Napi::Env env, const char* thread_name);
  ~Executor();

  // JavaScript thread: run `work` on this thread; `convert` makes the JavaScript value of its result. A KernelError (or
  // any std::exception) thrown by `work` rejects the promise, after `on_error` has undone what JavaScript's side had
  // prepared. After Close() the promise rejects with ESHUTDOWN. `work` and `convert` are destroyed on either thread:
  // they must hold no reference to a JavaScript value.
  template <class R>
  Napi::Promise Run(Napi::Env env, std::function<R()> work, std::function<Napi::Value(Napi::Env, R&)> convert,
                    JsCall on_error = {}) {
    auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
    auto job = [this, deferred, work = std::move(work), convert = std::move(convert), on_error] {
      auto result = std::make_shared<std::optional<R>>();
      std::optional<KernelError> error;
      try {
        result->emplace(work());
      } catch (const KernelError& e) {
        error = e;
      } catch (const std::exception& e) {
        error.emplace(EIO, "internal", "", e.what());
      }
      Post([deferred, result, error = std::move(error), convert, on_error](Napi::Env env) {
        if (error) {
          if (on_error) on_error(env);
          deferred->Reject(ToJs(env, *error));
        } else {
          try {
            deferred->Resolve(convert(env, **result));
          } catch (const Napi::Error& e) {
            deferred->Reject(e.Value());
          }
        }
      });
    };
    if (!Submit(job)) {
      if (on_error) on_error(env);
      deferred->Reject(ToJs(env, Closed()));
    }
    return deferred->Promise();
  }
  // The same for work without a result.
  Napi::Promise Run(Napi::Env env, Work work);

  // JavaScript thread: end the thread after the work that is queued; resolves when it is joined. Idempotent.
  Napi::Promise Close(Napi::Env env);
  // The same; `done` is called on the JavaScript thread, at once if the thread is joined already.
  void Close(Napi::Env env, JsCall done);
  bool closing();
  static KernelError Closed() { return {ESHUTDOWN, "submit", "namespace", "the namespace is closed"}; }

  // Any thread: queue work that answers by Post, or not at all. False after Close().
  bool Submit(Work work);

  // This thread: call `on_ready(epoll events)` here when fd is ready. The fd stays the caller's.
  void Watch(int fd, uint32_t events, std::function<void(uint32_t)> on_ready);
  void Unwatch(int fd);
  // This thread: called once on this thread before it ends.
  void AtEnd(Work work);
  // Any thread: call `fn` on the JavaScript thread, in order.
  void Post(JsCall fn);

  static Napi::Value ToJs(Napi::Env env, const KernelError& e);

 private:
  explicit Executor(Napi::Env env);
  void Loop();
  void Stop();              // any thread; idempotent
  void CloseDescriptors();  // after the thread has ended
  static void CleanupHook(void* self);

  napi_env env_;
  napi_threadsafe_function tsfn_ = nullptr;
  std::thread thread_;
  int epoll_ = -1, wake_ = -1;
  std::mutex mutex_;
  std::deque<Work> queue_;                                          // guarded by mutex_
  bool closing_ = false;                                            // guarded by mutex_
  bool joined_ = false;                                             // JavaScript thread only
  std::unordered_map<int, std::function<void(uint32_t)>> watches_;  // this thread only
  std::vector<Work> at_end_;                                        // this thread only
  std::vector<JsCall> close_waiters_;                               // JavaScript thread only
  std::shared_ptr<Executor> self_;  // keeps the object alive while its thread runs; JavaScript thread only
};

}  // namespace pw
