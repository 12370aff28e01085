// SPDX-License-Identifier: Apache-2.0
#include "netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>

#include "convert.h"
#include "error.h"
#include "executor.h"
#include "js.h"

namespace pw {

namespace {

constexpr napi_type_tag kHandleTag = {0x6e1d2a5b90c84f37, 0xa3b7c11e5d2f4860};
constexpr char kOwn[] = "/proc/self/ns/net";  // of the main thread, whichever thread asks

struct Handle {
  Fd fd;
};

Handle* Unwrap(const Napi::Value& value) {
  if (value.IsObject()) {
    auto object = value.As<Napi::Object>();
    void* data = nullptr;
    if (object.CheckTypeTag(&kHandleTag) && napi_unwrap(value.Env(), object, &data) == napi_ok) {
      return static_cast<Handle*>(data);
    }
  }
  throw Napi::TypeError::New(value.Env(), "not a network namespace handle");
}

Napi::Value CloseHandle(const Napi::CallbackInfo& info) {
  Unwrap(info.This())->fd.Reset();
  return info.Env().Undefined();
}

Napi::Value MakeHandle(Napi::Env env, const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));  // non-blocking: the path may be a FIFO
  if (!fd) throw KernelError(errno, "open", path);
  struct statfs fs;
  if (fstatfs(fd.get(), &fs) < 0) throw KernelError(errno, "fstatfs", path);
  if (fs.f_type != NSFS_MAGIC || ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    throw KernelError(EINVAL, "open", path, "not a network namespace");
  }
  struct stat st, own;
  if (fstat(fd.get(), &st) < 0) throw KernelError(errno, "fstat", path);
  if (stat(kOwn, &own) < 0) throw KernelError(errno, "stat", kOwn);

  Napi::Object handle = Napi::Object::New(env);
  handle.TypeTag(&kHandleTag);
  handle.Set("device", Napi::BigInt::New(env, static_cast<uint64_t>(st.st_dev)));
  handle.Set("inode", Napi::BigInt::New(env, static_cast<uint64_t>(st.st_ino)));
  handle.Set("isOwn", Napi::Boolean::New(env, st.st_dev == own.st_dev && st.st_ino == own.st_ino));
  handle.Set("close", Napi::Function::New<Guard<CloseHandle>>(env, "close"));
  auto native = std::make_unique<Handle>(Handle{std::move(fd)});
  napi_status status = napi_wrap(
      env, handle, native.get(), [](napi_env, void* data, void*) { delete static_cast<Handle*>(data); }, nullptr,
      nullptr);
  if (status != napi_ok) throw Napi::Error::New(env, "napi_wrap failed");
  native.release();
  handle.Freeze();
  return handle;
}

Napi::Value OpenNetns(const Napi::CallbackInfo& info) {
  return MakeHandle(info.Env(), ToText(info[0], "path"));
}

Napi::Value OwnNetns(const Napi::CallbackInfo& info) {
  return MakeHandle(info.Env(), kOwn);
}

}  // namespace

Fd DupNetns(const Napi::Value& value) {
  Handle* handle = Unwrap(value);
  Fd copy(fcntl(handle->fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) throw KernelError(errno, "dup", "network namespace", "the handle is closed");
  return copy;
}

void EnterNetns(int fd) {
  if (setns(fd, CLONE_NEWNET) < 0) throw KernelError(errno, "setns", "network namespace");
}

NetnsVisit::NetnsVisit(int there, int home) : home_(home) {
  EnterNetns(there);
}

NetnsVisit::~NetnsVisit() {
  if (setns(home_, CLONE_NEWNET) < 0) std::abort();
}

void InitNetns(Napi::Env, Napi::Object exports) {
  Export<OpenNetns>(exports, "openNetns");
  Export<OwnNetns>(exports, "ownNetns");
}

}  // namespace pw
