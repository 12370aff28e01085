// SPDX-License-Identifier: Apache-2.0
#include "namespace.h"

#include <memory>
#include <optional>
#include <utility>

#include "netns.h"

namespace pw {

namespace {

constexpr napi_type_tag kNamespaceTag = {0x2f8c5e017b6d4a92, 0x9d40e3b86a175fc3};

using Holder = std::shared_ptr<NamespaceContext>;

Napi::Object Wrap(Napi::Env env, Holder context) {
  Napi::Object object = Napi::Object::New(env);
  object.TypeTag(&kNamespaceTag);
  auto holder = std::make_unique<Holder>(std::move(context));
  napi_status status = napi_wrap(
      env, object, holder.get(), [](napi_env, void* data, void*) { delete static_cast<Holder*>(data); }, nullptr,
      nullptr);
  if (status != napi_ok) throw Napi::Error::New(env, "napi_wrap failed");
  holder.release();
  return object;
}

// enter(handle): Promise<namespace object>
Napi::Value Enter(const Napi::CallbackInfo& info) {
  auto context = std::make_shared<NamespaceContext>();
  context->netns = DupNetns(info[0]);
  context->executor = Executor::Start(info.Env(), "pw-netns");
  using Failure = std::optional<KernelError>;
  return context->executor->Run<Failure>(
      info.Env(),
      [context]() -> Failure {
        try {
          EnterNetns(context->netns.get());
          return std::nullopt;
        } catch (const KernelError& e) {
          return e;
        }
      },
      [context](Napi::Env env, Failure& failure) -> Napi::Value {
        if (failure) {
          context->executor->Close(env);
          throw Napi::Error(env, Executor::ToJs(env, *failure));
        }
        return Wrap(env, context);
      });
}

Napi::Value Close(const Napi::CallbackInfo& info) {
  return ContextOf(info[0])->executor->Close(info.Env());
}

Napi::Value Writes(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("netlink", Napi::Number::New(info.Env(), static_cast<double>(context->netlink_writes.load())));
  result.Set("bpf", Napi::Number::New(info.Env(), static_cast<double>(context->bpf_writes.load())));
  return result;
}

}  // namespace

std::shared_ptr<NamespaceContext> ContextOf(const Napi::Value& ns) {
  if (ns.IsObject()) {
    auto object = ns.As<Napi::Object>();
    void* data = nullptr;
    if (object.CheckTypeTag(&kNamespaceTag) && napi_unwrap(ns.Env(), object, &data) == napi_ok) {
      return *static_cast<Holder*>(data);
    }
  }
  throw Napi::TypeError::New(ns.Env(), "not an entered namespace");
}

std::shared_ptr<Executor> ExecutorOf(const Napi::Value& ns) {
  return ContextOf(ns)->executor;
}

void InitNamespace(Napi::Env, Napi::Object exports) {
  Export<Enter>(exports, "enter");
  Export<Close>(exports, "closeNamespace");
  Export<Writes>(exports, "writes");
}

}  // namespace pw
