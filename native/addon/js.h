// SPDX-License-Identifier: Apache-2.0
// How a C++ function becomes a member of the addon: a KernelError thrown before any work was queued becomes the same
// JavaScript Error that a rejected promise would carry.
#pragma once

#include <napi.h>

#include "executor.h"

namespace pw {

using JsFunction = Napi::Value (*)(const Napi::CallbackInfo&);

template <JsFunction F>
Napi::Value Guard(const Napi::CallbackInfo& info) {
  try {
    return F(info);
  } catch (const KernelError& e) {
    throw Napi::Error(info.Env(), Executor::ToJs(info.Env(), e));
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Napi::Error(info.Env(), Executor::ToJs(info.Env(), KernelError(EIO, "internal", "", e.what())));
  }
}

// Export<Links>(exports, "links")
template <JsFunction F>
void Export(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Guard<F>>(exports.Env(), name));
}

}  // namespace pw
