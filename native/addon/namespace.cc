// SPDX-License-Identifier: Apache-2.0
#include "namespace.h"

#include <memory>
#include <utility>

#include "netns.h"
#include "route_state.h"

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

// enter(handle): Promise<namespace object>. The thread holds the context until it ends, so that neither goes before
// the other; the last reference is dropped on the JavaScript thread, where the listeners belong.
Napi::Value Enter(const Napi::CallbackInfo& info) {
  auto context = std::make_shared<NamespaceContext>();
  context->netns = DupNetns(info[0]);
  context->executor = Executor::Start(info.Env(), "pw-netns");
  return context->executor->Run<bool>(
      info.Env(),
      [context] {
        EnterNetns(context->netns.get());
        OpenRouteState(*context);
        context->executor->AtEnd([context] {
          StartDeletions(context);
          CloseRouteState(*context);
          context->executor->Post([context](Napi::Env) {});
        });
        return true;
      },
      [context](Napi::Env env, bool&) -> Napi::Value { return Wrap(env, context); },
      [context](Napi::Env env) { context->executor->Close(env); });
}

// closeNamespace(ns): resolves when what was queued is done, all its threads are joined and every descriptor is closed.
// The namespace's thread goes first: it is the one that gives the reapers work.
Napi::Value Close(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  auto deferred = std::make_shared<Napi::Promise::Deferred>(info.Env());
  auto done = [context, deferred](Napi::Env env) {
    context->netns.Reset();
    deferred->Resolve(env.Undefined());
  };
  context->executor->Close(info.Env(), [context, done](Napi::Env env) {
    context->route->listeners.clear();
    CloseReapers(env, context, done);
  });
  return deferred->Promise();
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

void OpenRouteState(NamespaceContext& context) {
  context.route = std::make_shared<RouteState>();
  context.route->socket = std::make_unique<NetlinkSocket>(&context.netlink_writes);
}

void CloseRouteState(NamespaceContext& context) {
  RouteState& state = *context.route;
  for (auto& [id, watcher] : state.watchers) context.executor->Unwatch(watcher->fd.get());
  state.watchers.clear();
  if (state.gone_socket) context.executor->Unwatch(state.gone_socket.get());
  state.gone_socket.Reset();
  state.being_deleted.clear();
  state.netfilter.reset();
  state.socket.reset();
}

void InitNamespace(Napi::Env, Napi::Object exports) {
  Export<Enter>(exports, "enter");
  Export<Close>(exports, "closeNamespace");
  Export<Writes>(exports, "writes");
}

}  // namespace pw
