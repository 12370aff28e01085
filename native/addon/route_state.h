// SPDX-License-Identifier: Apache-2.0
// What the rtnetlink side keeps for an entered namespace. Every member belongs to one thread, named beside it.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "executor.h"
#include "fd.h"
#include "link.h"
#include "namespace.h"
#include "netlink.h"

namespace pw {

struct Deletion;  // link_delete.cc

// A thread that waits for the kernel's ack of one deletion at a time.
struct Reaper {
  std::shared_ptr<Executor> executor;
  std::unique_ptr<NetlinkSocket> socket;  // its own thread
  unsigned jobs = 0;                      // given and not finished; JavaScript thread
};

// One link that shall go.
struct Leaving {
  uint32_t ifindex;
  LinkRef ref;  // as the caller named it
  std::shared_ptr<Deletion> job;
  std::shared_ptr<Reaper> reaper;
};

struct Watcher {  // events.cc
  Fd fd;
  std::vector<char> buffer = std::vector<char>(64 * 1024);
};

struct RouteState {
  std::unique_ptr<NetlinkSocket> socket;     // namespace's thread
  std::unique_ptr<NetlinkSocket> netfilter;  // namespace's thread; masquerade_js.cc opens it

  // link_delete.cc
  std::vector<std::shared_ptr<Reaper>> reapers;                                        // JavaScript thread
  Fd gone_socket;                                                                      // namespace's thread
  std::unordered_map<uint32_t, std::vector<std::shared_ptr<Deletion>>> being_deleted;  // namespace's thread
  std::unordered_set<uint32_t> unlisting;  // asked for and not announced yet; namespace's thread
  std::vector<Leaving> leaving;            // to be asked for when those are announced; namespace's thread

  // events.cc
  uint32_t next_listener = 1;                                       // JavaScript thread
  std::unordered_map<uint32_t, Napi::FunctionReference> listeners;  // JavaScript thread
  std::unordered_map<uint32_t, std::shared_ptr<Watcher>> watchers;  // namespace's thread
};

// Namespace's thread, first and last thing.
void OpenRouteState(NamespaceContext& context);
void CloseRouteState(NamespaceContext& context);
// Namespace's thread: deletions that wait for others wait no more.
void StartDeletions(const std::shared_ptr<NamespaceContext>& context);
// JavaScript thread, when the namespace's own thread has ended; `done` when the reapers have.
void CloseReapers(Napi::Env env, const std::shared_ptr<NamespaceContext>& context, Executor::JsCall done);

// Run `work(socket)` on the namespace's thread and convert its result.
template <class R, class Work, class Convert>
Napi::Value OnSocket(const Napi::CallbackInfo& info, Work work, Convert convert) {
  auto context = ContextOf(info[0]);
  return context->executor->Run<R>(
      info.Env(), [context, work = std::move(work)]() -> R { return work(*context->route->socket); },
      std::move(convert));
}
template <class Work>
Napi::Value OnSocket(const Napi::CallbackInfo& info, Work work) {
  auto context = ContextOf(info[0]);
  return context->executor->Run(info.Env(), [context, work = std::move(work)] { work(*context->route->socket); });
}
// An array of what `one` makes of each element.
template <class T, class Work>
Napi::Value ListOnSocket(const Napi::CallbackInfo& info, Work work, Napi::Value (*one)(Napi::Env, const T&)) {
  return OnSocket<std::vector<T>>(info, std::move(work), [one](Napi::Env env, std::vector<T>& list) -> Napi::Value {
    Napi::Array array = Napi::Array::New(env, list.size());
    for (uint32_t i = 0; i < list.size(); i++) array[i] = one(env, list[i]);
    return array;
  });
}

void InitLinks(Napi::Env env, Napi::Object exports);
void InitLinkDelete(Napi::Env env, Napi::Object exports);
void InitAddresses(Napi::Env env, Napi::Object exports);
void InitRoutes(Napi::Env env, Napi::Object exports);
void InitNeighbours(Napi::Env env, Napi::Object exports);
void InitBridgeVlans(Napi::Env env, Napi::Object exports);
void InitBridgeStats(Napi::Env env, Napi::Object exports);
void InitEvents(Napi::Env env, Napi::Object exports);
void InitMasquerade(Napi::Env env, Napi::Object exports);
void InitSysctl(Napi::Env env, Napi::Object exports);
void InitReceive(Napi::Env env, Napi::Object exports);
void InitTransmit(Napi::Env env, Napi::Object exports);

}  // namespace pw
