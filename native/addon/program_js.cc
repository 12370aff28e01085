// SPDX-License-Identifier: Apache-2.0
// runProgram(file, environment, input, timeout, maxOutput, onOutput?): a promise, kept by a thread of libuv's pool. The
// program is started at once, and throws if it cannot be.
#include <sys/wait.h>

#include <memory>
#include <optional>

#include "convert.h"
#include "executor.h"
#include "js.h"
#include "program.h"

namespace pw {

namespace {

// JavaScript's thread.
void Tell(Napi::Env env, Napi::Function listener, std::nullptr_t*, std::string* output) {
  std::unique_ptr<std::string> text(output);
  if (env == nullptr) return;  // it is going down
  try {
    listener.Call({Napi::String::New(env, *text)});
  } catch (const Napi::Error& e) {
    napi_fatal_exception(env, e.Value());  // as with an EventEmitter
  }
}

using Listener = Napi::TypedThreadSafeFunction<std::nullptr_t, std::string, Tell>;

class ProgramRun : public Napi::AsyncWorker {
 public:
  ProgramRun(Napi::Env env, std::unique_ptr<Program> program, std::optional<Listener> listener)
      : AsyncWorker(env, "pw-program"),
        program_(std::move(program)),
        listener_(std::move(listener)),
        deferred_(Napi::Promise::Deferred::New(env)) {}
  ~ProgramRun() override {
    if (listener_) listener_->Release();
  }
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      std::function<void(const std::string&)> on_output;
      if (listener_) {
        on_output = [this](const std::string& output) {
          auto text = std::make_unique<std::string>(output);
          if (listener_->NonBlockingCall(text.get()) == napi_ok) text.release();
        };
      }
      end_ = program_->Attend(on_output);
    } catch (const KernelError& e) {
      error_ = e;
    } catch (const std::exception& e) {
      error_.emplace(EIO, "internal", "", e.what());
    }
  }
  void OnOK() override {
    Napi::Env env = Env();
    if (error_) return deferred_.Reject(Executor::ToJs(env, *error_));
    Napi::Object out = Napi::Object::New(env);
    out.Set("exitCode", WIFEXITED(end_.status) ? WEXITSTATUS(end_.status) : -1);
    out.Set("signal", WIFSIGNALED(end_.status) ? WTERMSIG(end_.status) : 0);
    out.Set("cut", end_.cut);
    out.Set("stdout", end_.output);
    out.Set("stderr", end_.errors);
    deferred_.Resolve(out);
  }

 private:
  std::unique_ptr<Program> program_;
  std::optional<Listener> listener_;
  Napi::Promise::Deferred deferred_;
  ProgramEnd end_;
  std::optional<KernelError> error_;
};

Napi::Value Run(const Napi::CallbackInfo& info) {
  ProgramCall call;
  call.file = ToText(info[0], "file");
  Napi::Array environment = ToObject(info[1], "environment").As<Napi::Array>();
  for (uint32_t i = 0; i < environment.Length(); i++) {
    call.environment.push_back(ToText(environment.Get(i), "environment"));
  }
  call.input = ToText(info[2], "input");
  call.timeout_ms = ToU32(info[3], "timeout", 600'000);
  call.max_output = ToU32(info[4], "maxOutput");
  // Here, not on the other thread: that may have to wait until this one rests.
  std::unique_ptr<Program> program = Program::Start(std::move(call));
  std::optional<Listener> listener;
  if (info[5].IsFunction()) listener = Listener::New(info.Env(), info[5].As<Napi::Function>(), "pw-output", 0, 1);
  auto* run = new ProgramRun(info.Env(), std::move(program), std::move(listener));  // deletes itself when it is done
  Napi::Promise promise = run->promise();
  run->Queue();
  return promise;
}

}  // namespace

void InitPrograms(Napi::Env, Napi::Object exports) {
  Export<Run>(exports, "runProgram");
}

}  // namespace pw
