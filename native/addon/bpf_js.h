// SPDX-License-Identifier: Apache-2.0
// How BPF objects look to JavaScript: a handle with the kernel's description on it. Shared by bpf_bind.cc (objects)
// and bpf_bind_map.cc (maps).
#pragma once

#include <functional>
#include <memory>

#include "bpf_types.h"
#include "js_handle.h"
#include "namespace.h"

namespace pw::bpf {

// A new handle. The object is closed by closeBpf(handle); a handle that is forgotten is closed when it is collected.
Napi::Object ToHandle(Napi::Env env, const std::shared_ptr<NamespaceContext>& context, const ObjectRef& object);

// Throws a TypeError for another value, EBADF for a closed handle, EINVAL for another kind or another namespace's: each
// namespace closes its descriptors on its own thread, so no other thread may be using them.
ObjectRef FromHandle(const Napi::Value& value, Kind kind, const NamespaceContext& context);
ObjectRef FromHandle(const Napi::Value& value, const NamespaceContext& context);

// Closes what the thread opened when it ends.
void CloseAtEnd(Executor& executor);

// Runs `work` on the namespace's thread.
template <class R>
Napi::Value OnThread(Napi::Env env, const std::shared_ptr<NamespaceContext>& context,
                     std::function<R(NamespaceContext&)> work, std::function<Napi::Value(Napi::Env, R&)> convert) {
  return context->executor->Run<R>(
      env,
      [context, work = std::move(work)] {
        CloseAtEnd(*context->executor);
        return work(*context);
      },
      std::move(convert));
}
inline Napi::Value OnThread(Napi::Env env, const std::shared_ptr<NamespaceContext>& context,
                            std::function<void(NamespaceContext&)> work) {
  return OnThread<bool>(
      env, context,
      [work = std::move(work)](NamespaceContext& c) {
        work(c);
        return true;
      },
      [](Napi::Env e, bool&) { return e.Undefined(); });
}

void InitBpfMaps(Napi::Object exports);

}  // namespace pw::bpf
