// SPDX-License-Identifier: Apache-2.0
// The JavaScript object that stands for an entered namespace, and what is kept for it here.
#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "executor.h"
#include "fd.h"
#include "js.h"

namespace pw {

struct RouteState;  // route_state.h: the rtnetlink sockets and listeners of a namespace

struct NamespaceContext {
  std::shared_ptr<Executor> executor;
  // Operations that change something, counted when they are handed to the kernel; any thread.
  std::atomic<uint64_t> netlink_writes{0};
  std::atomic<uint64_t> bpf_writes{0};
  Fd netns;  // keeps a way in for the second thread
  std::shared_ptr<RouteState> route;
};

// What enter() gave. Throws a TypeError for any other value. The result may be captured by work: it holds no reference
// to JavaScript.
std::shared_ptr<NamespaceContext> ContextOf(const Napi::Value& ns);
std::shared_ptr<Executor> ExecutorOf(const Napi::Value& ns);

void InitNamespace(Napi::Env env, Napi::Object exports);

}  // namespace pw
