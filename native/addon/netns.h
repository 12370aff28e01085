// SPDX-License-Identifier: Apache-2.0
// Network namespaces as descriptors: opened and checked once, never looked up by path again; made and removed by path.
#pragma once

#include <napi.h>

#include "fd.h"

namespace pw {

// A descriptor of its own for the namespace behind a JavaScript NetnsHandle; EBADF if that handle is closed. The copy
// lets queued work outlive the handle.
Fd DupNetns(const Napi::Value& handle);

// Moves the calling thread, which must not be the JavaScript thread.
void EnterNetns(int fd);

// The calling thread is in another namespace while this lives. It cannot go on where it does not belong: if the way
// back is refused (only for want of memory: setns of a namespace that it came from), the process ends.
class NetnsVisit {
 public:
  NetnsVisit(int there, int home);
  ~NetnsVisit();
  NetnsVisit(const NetnsVisit&) = delete;
  NetnsVisit& operator=(const NetnsVisit&) = delete;

 private:
  int home_;
};

void InitNetns(Napi::Env env, Napi::Object exports);
void InitNetnsMake(Napi::Env env, Napi::Object exports);  // netns_make.cc

}  // namespace pw
