// SPDX-License-Identifier: Apache-2.0
// acceptCalls(listening, listener): takes the connections of a listening socket that Node listens on as well, before
// Node does, and reads what they have sent so far. A connection of Node's own takes about 0.3 ms of the JavaScript
// thread.
#include <fcntl.h>
#include <node_api.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "fd.h"
#include "host.h"
#include "js.h"
#include "js_handle.h"
#include "uv_poll.h"

namespace pw {

namespace {

constexpr int kAtOnce = 16;  // others of the loop have their turn, too
constexpr size_t kFirst = 256 * 1024;

// All on the JavaScript thread.
class Acceptor {
 public:
  static Acceptor* Start(Napi::Env env, Fd listening, Napi::Function listener) {
    uv_loop_s* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw KernelError(EINVAL, "napi_get_uv_event_loop", "");
    std::unique_ptr<Acceptor> self(new Acceptor(env, std::move(listening), listener));
    int error = uv_poll_init(loop, self->handle(), self->listening_.get());
    if (error < 0) throw KernelError(-error, "uv_poll_init", "");
    Acceptor* acceptor = self.release();  // Close() deletes it
    uv_handle_set_data(acceptor->handle(), acceptor);
    napi_add_async_cleanup_hook(env, CleanupHook, acceptor, &acceptor->cleanup_);
    // Of two descriptors of a socket epoll tells of the younger one first (add_wait_queue). Should that change, Node
    // takes the connections: they are served all the same.
    error = uv_poll_start(acceptor->handle(), UV_READABLE, [](uv_handle_s* handle, int, int) {
      static_cast<Acceptor*>(uv_handle_get_data(handle))->TakeAll();
    });
    if (error < 0) {
      acceptor->Close();
      throw KernelError(-error, "uv_poll_start", "");
    }
    return acceptor;
  }

  // What is JavaScript's goes now, the rest when libuv has let go of the handle; an environment that ends waits for it.
  void Close() {
    if (closed_) return;
    closed_ = true;
    if (!taking_) Forget();
    uv_close(handle(), [](uv_handle_s* handle) {
      auto* self = static_cast<Acceptor*>(uv_handle_get_data(handle));
      napi_remove_async_cleanup_hook(self->cleanup_);
      delete self;
    });
  }

 private:
  friend std::default_delete<Acceptor>;
  Acceptor(Napi::Env env, Fd listening, Napi::Function listener)
      : env_(env),
        listening_(std::move(listening)),
        listener_(Napi::Persistent(listener)),
        context_(std::in_place, env, "pw-accept"),
        buffer_(kFirst),
        memory_(new char[uv_handle_size(UV_POLL)]) {}
  ~Acceptor() = default;

  static void CleanupHook(napi_async_cleanup_hook_handle, void* self) { static_cast<Acceptor*>(self)->Close(); }

  uv_handle_s* handle() { return reinterpret_cast<uv_handle_s*>(memory_.get()); }

  void Forget() {
    listener_.Reset();
    context_.reset();
  }

  void TakeAll() {
    taking_ = true;
    for (int i = 0; i < kAtOnce && !closed_ && TakeOne(); i++) {
    }
    taking_ = false;
    if (closed_) Forget();  // by the listener itself
  }

  // False: none is left. What is wrong otherwise is met by Node, too, which knows what to do.
  bool TakeOne() {
    Fd connection(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!connection) return false;
    ssize_t n = recv(connection.get(), buffer_.data(), buffer_.size(), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return true;  // it has left
    Napi::HandleScope scope(env_);
    Napi::Value first = n < 0 ? env_.Null() : Napi::Buffer<char>::Copy(env_, buffer_.data(), static_cast<size_t>(n));
    const int fd = connection.Release();
    try {
      listener_.MakeCallback(env_.Global(), {Napi::Number::New(env_, fd), first}, *context_);
    } catch (const Napi::Error& e) {
      napi_fatal_exception(env_, e.Value());  // as with an EventEmitter
    }
    return true;
  }

  Napi::Env env_;
  Fd listening_;
  Napi::FunctionReference listener_;
  std::optional<Napi::AsyncContext> context_;
  std::vector<char> buffer_;
  std::unique_ptr<char[]> memory_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool closed_ = false, taking_ = false;
};

Napi::Value AcceptCalls(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  // A descriptor of its own: libuv takes none twice.
  Fd listening(fcntl(static_cast<int>(Uint32Of(info[0])), F_DUPFD_CLOEXEC, 0));
  if (!listening) throw KernelError(errno, "dup", "listening socket");
  if (!info[1].IsFunction()) throw KernelError(EINVAL, "argument", "listener", "a function is needed");
  Acceptor* acceptor = Acceptor::Start(env, std::move(listening), info[1].As<Napi::Function>());
  return Napi::Function::New(env, [acceptor, closed = std::make_shared<bool>(false)](const Napi::CallbackInfo&) {
    if (!std::exchange(*closed, true)) acceptor->Close();
  });
}

}  // namespace

void InitAccept(Napi::Env, Napi::Object exports) {
  Export<AcceptCalls>(exports, "acceptCalls");
}

}  // namespace pw
