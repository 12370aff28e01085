// SPDX-License-Identifier: Apache-2.0
#include "executor.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

namespace pw {

namespace {

// Runs on the JavaScript thread for every Post. With a null env the environment is going down: only free.
void CallJs(napi_env env, napi_value, void*, void* data) {
  std::unique_ptr<Executor::JsCall> fn(static_cast<Executor::JsCall*>(data));
  if (env == nullptr) return;
  Napi::HandleScope scope(env);
  try {
    (*fn)(Napi::Env(env));
  } catch (const Napi::Error& e) {
    // A listener threw: an uncaught exception, as with an EventEmitter. While a worker is being terminated every call
    // into JavaScript fails, this one too; then there is nobody left to tell. (The addon is built with
    // NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS, else node-addon-api ends the process at such a failure.)
    try {
      napi_fatal_exception(env, e.Value());
    } catch (const Napi::Error&) {
    }
  }
}

}  // namespace

Executor::Executor(Napi::Env env) : env_(env) {}

std::shared_ptr<Executor> Executor::Start(Napi::Env env, const char* thread_name) {
  std::shared_ptr<Executor> self(new Executor(env));
  napi_value resource_name;
  napi_create_string_utf8(env, thread_name, NAPI_AUTO_LENGTH, &resource_name);
  if (napi_create_threadsafe_function(env, nullptr, nullptr, resource_name, 0, 1, nullptr, nullptr, nullptr, CallJs,
                                      &self->tsfn_) != napi_ok) {
    throw Napi::Error::New(env, "cannot create a thread-safe function");
  }
  self->epoll_ = epoll_create1(EPOLL_CLOEXEC);
  self->wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event ev{};
  ev.events = EPOLLIN;
  ev.data.fd = self->wake_;
  if (self->epoll_ < 0 || self->wake_ < 0 || epoll_ctl(self->epoll_, EPOLL_CTL_ADD, self->wake_, &ev) < 0) {
    napi_release_threadsafe_function(self->tsfn_, napi_tsfn_abort);
    throw Napi::Error::New(env, std::string("cannot create epoll or eventfd: ") + std::strerror(errno));
  }
  // Signals are for Node's own threads: a call into the kernel here is never interrupted by one.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    self->thread_ = std::thread([raw = self.get()] { raw->Loop(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  } catch (const std::system_error& e) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    napi_release_threadsafe_function(self->tsfn_, napi_tsfn_abort);
    throw Napi::Error::New(env, std::string("cannot start a thread: ") + e.what());
  }
  pthread_setname_np(self->thread_.native_handle(), thread_name);
  napi_add_env_cleanup_hook(env, CleanupHook, self.get());
  self->self_ = self;
  return self;
}

Executor::~Executor() {
  CloseDescriptors();
}

void Executor::CloseDescriptors() {
  if (epoll_ >= 0) close(epoll_);
  if (wake_ >= 0) close(wake_);
  epoll_ = wake_ = -1;
}

// The environment ends without Close(): end the thread before the library can be unloaded.
void Executor::CleanupHook(void* data) {
  auto* self = static_cast<Executor*>(data);
  std::shared_ptr<Executor> keep = self->self_;
  self->Stop();
  if (self->thread_.joinable()) self->thread_.join();
  self->self_.reset();
}

bool Executor::Submit(Work work) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closing_) return false;
  queue_.push_back(std::move(work));
  if (queue_.size() > 1) return true;  // the thread goes to sleep with an empty queue only
  uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);
  return true;
}

void Executor::Stop() {
  std::lock_guard<std::mutex> lock(mutex_);
  closing_ = true;
  uint64_t one = 1;
  (void)!write(wake_, &one, sizeof one);
}

Napi::Promise Executor::Run(Napi::Env env, Work work) {
  return Run<bool>(
      env,
      [work = std::move(work)] {
        work();
        return true;
      },
      [](Napi::Env e, bool&) { return e.Undefined(); });
}

Napi::Promise Executor::Close(Napi::Env env) {
  auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
  Close(env, [deferred](Napi::Env e) { deferred->Resolve(e.Undefined()); });
  return deferred->Promise();
}

void Executor::Close(Napi::Env env, JsCall done) {
  if (joined_) {
    done(env);
    return;
  }
  close_waiters_.push_back(std::move(done));
  Stop();
}

bool Executor::closing() {
  std::lock_guard<std::mutex> lock(mutex_);
  return closing_;
}

void Executor::Watch(int fd, uint32_t events, std::function<void(uint32_t)> on_ready) {
  epoll_event ev{};
  ev.events = events;
  ev.data.fd = fd;
  if (epoll_ctl(epoll_, watches_.count(fd) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0) {
    throw KernelError(errno, "epoll_ctl", "fd " + std::to_string(fd));
  }
  watches_[fd] = std::move(on_ready);
}

void Executor::Unwatch(int fd) {
  if (watches_.erase(fd)) epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

void Executor::AtEnd(Work work) {
  at_end_.push_back(std::move(work));
}

void Executor::Post(JsCall fn) {
  auto* data = new JsCall(std::move(fn));
  if (napi_call_threadsafe_function(tsfn_, data, napi_tsfn_nonblocking) != napi_ok) delete data;
}

void Executor::Loop() {
  for (;;) {
    epoll_event events[16];
    int n = epoll_wait(epoll_, events, 16, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == wake_) {
        uint64_t count;
        (void)!read(wake_, &count, sizeof count);
        continue;
      }
      auto it = watches_.find(events[i].data.fd);
      if (it == watches_.end()) continue;  // unwatched by an earlier callback of this round
      auto on_ready = it->second;          // a copy: the callback may unwatch itself
      on_ready(events[i].events);
    }
    for (;;) {
      Work work;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (queue_.empty()) {
          if (!closing_) break;
          goto end;
        }
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      work();
    }
  }
end:
  for (auto it = at_end_.rbegin(); it != at_end_.rend(); ++it) (*it)();
  at_end_.clear();
  // The last call of this thread: the JavaScript thread joins it, which cannot take long now.
  Post([this](Napi::Env env) {
    if (thread_.joinable()) thread_.join();
    joined_ = true;
    CloseDescriptors();  // now, not when the garbage collector finds the object
    napi_remove_env_cleanup_hook(env, CleanupHook, this);
    napi_release_threadsafe_function(tsfn_, napi_tsfn_release);
    std::shared_ptr<Executor> keep = std::move(self_);
    std::vector<JsCall> waiters = std::move(close_waiters_);
    for (auto& waiter : waiters) waiter(env);
  });
}

Napi::Value Executor::ToJs(Napi::Env env, const KernelError& e) {
  const char* name = strerrorname_np(e.err);
  const char* reason = strerrordesc_np(e.err);
  std::string message = e.op + (e.object.empty() ? "" : " " + e.object) + ": " + (reason ? reason : "unknown error");
  if (!e.text.empty()) message += ": " + e.text;
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("errno", Napi::Number::New(env, e.err));
  error.Set("code", Napi::String::New(env, name ? name : "EUNKNOWN"));
  error.Set("op", Napi::String::New(env, e.op));
  error.Set("object", Napi::String::New(env, e.object));
  error.Set("kernelText", Napi::String::New(env, e.text));
  return error.Value();
}

}  // namespace pw
