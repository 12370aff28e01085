// SPDX-License-Identifier: Apache-2.0
// /proc/sys/net as a namespace's thread sees it: the tree is looked up by the namespace of the calling thread.
#include <fcntl.h>

#include <cstring>

#include "convert.h"
#include "route_state.h"

namespace pw {

namespace {

constexpr size_t kValueMax = 4096;  // a sysctl's value is at most a page

// "net/..." without empty, "." and ".." components.
std::string CheckPath(const Napi::Value& value) {
  std::string path = ToText(value, "sysctl");
  bool good = path.compare(0, 4, "net/") == 0;
  for (size_t at = 0; good && at <= path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string part = path.substr(at, end - at);
    good = !part.empty() && part != "." && part != "..";
    at = end + 1;
  }
  if (!good) throw KernelError(EINVAL, "sysctl", path, "a path below net/ is needed, with slashes and without \"..\"");
  return path;
}

Fd Open(const std::string& path, int flags) {
  Fd fd(open(("/proc/sys/" + path).c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) throw KernelError(errno, "sysctl", path);
  return fd;
}

Napi::Value Write(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  std::string path = CheckPath(info[1]);
  std::string value = ToText(info[2], "value");
  if (value.empty() || value.size() > kValueMax)
    throw KernelError(EINVAL, "sysctl", path, "a value of 1 to 4096 bytes is needed");
  return context->executor->Run(info.Env(), [path, value] {
    Fd fd = Open(path, O_WRONLY);
    ssize_t written = write(fd.get(), value.data(), value.size());
    if (written < 0) throw KernelError(errno, "sysctl", path);
    if (static_cast<size_t>(written) != value.size()) throw KernelError(EIO, "sysctl", path, "only a part was taken");
  });
}

Napi::Value Read(const Napi::CallbackInfo& info) {
  auto context = ContextOf(info[0]);
  std::string path = CheckPath(info[1]);
  return context->executor->Run<std::string>(
      info.Env(),
      [path] {
        Fd fd = Open(path, O_RDONLY);
        std::string value(kValueMax, '\0');
        ssize_t got = read(fd.get(), value.data(), value.size());
        if (got < 0) throw KernelError(errno, "sysctl", path);
        value.resize(static_cast<size_t>(got));
        while (!value.empty() && value.back() == '\n') value.pop_back();
        return value;
      },
      [](Napi::Env env, std::string& value) -> Napi::Value { return Napi::String::New(env, value); });
}

}  // namespace

void InitSysctl(Napi::Env, Napi::Object exports) {
  Export<Write>(exports, "writeSysctl");
  Export<Read>(exports, "readSysctl");
}

}  // namespace pw
