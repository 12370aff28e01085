// SPDX-License-Identifier: Apache-2.0
// Programs that are run to their end.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pw {

struct ProgramCall {
  std::string file;
  std::vector<std::string> environment;  // "NAME=value"
  std::string input;
  uint32_t timeout_ms = 0;
  uint32_t max_output = 0;  // bytes, of each of the two streams
};

struct ProgramEnd {
  int status = 0;        // as waitpid() gives it
  const char* cut = "";  // why it was killed: "timeout" or "output"
  std::string output, errors;
};

// A program that has begun. Whoever destroys it kills it, with all that it has started, and waits for its end.
class Program {
 public:
  // Throws KernelError if it cannot be started. What the pipe takes of the input is there when it begins.
  static std::unique_ptr<Program> Start(ProgramCall call);
  virtual ~Program() = default;
  // Blocks until it has ended, or was killed. `on_output`, if there is one, is called with all that it has written so
  // far whenever that is more.
  virtual ProgramEnd Attend(const std::function<void(const std::string&)>& on_output) = 0;
};

void InitPrograms(Napi::Env env, Napi::Object exports);

}  // namespace pw
