// SPDX-License-Identifier: Apache-2.0
// The one error that kernel work may throw. It becomes a JavaScript Error with the fields errno, code, op, object and
// kernelText (see ToJs in executor.cc).
#pragma once

#include <cerrno>
#include <exception>
#include <string>
#include <utility>

namespace pw {

struct KernelError : std::exception {
  int err;             // positive errno
  std::string op;      // what was tried: "RTM_NEWLINK", "BPF_LINK_CREATE", "setns"
  std::string object;  // on what: an interface name, a pin path, a map name
  std::string text;    // the kernel's own words (extended ack, verifier log); may be empty

  KernelError(int e, std::string o, std::string obj, std::string t = {})
      : err(e < 0 ? -e : e), op(std::move(o)), object(std::move(obj)), text(std::move(t)) {
    what_ = op + " " + object + ": errno " + std::to_string(err) + (text.empty() ? "" : ": " + text);
  }
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

}  // namespace pw
